"""What checks say: verdicts, and findings as a table and as plain data, alike for every verb that checks something."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quorate.plan.words import clean, line
from quorate.report.console import BAD, GOOD, QUIET, WARN


class Status(StrEnum):
    """How a check ended, the best first."""

    PASSED = "passed"
    SKIPPED = "skipped"
    """It has no object in this cluster."""
    UNCHECKED = "not checked"
    """It could not be found out: never the same as passed."""
    WARNED = "warned"
    WAIVED = "waived"
    """It failed, and the operator knows better."""
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """What a judge says of what was seen."""

    status: Status
    detail: str = ""
    """One line; with the number that it is about."""


def passed(detail: str = "") -> Verdict:
    """It is as it should be."""
    return Verdict(Status.PASSED, detail)


def skipped(detail: str) -> Verdict:
    """There is nothing to check in this cluster."""
    return Verdict(Status.SKIPPED, detail)


def unchecked(detail: str = "the host does not tell") -> Verdict:
    """It could not be found out: never the same as passed."""
    return Verdict(Status.UNCHECKED, detail)


def warned(detail: str) -> Verdict:
    """It is doubtful, and stops nothing."""
    return Verdict(Status.WARNED, detail)


def failed(detail: str) -> Verdict:
    """The claim does not hold."""
    return Verdict(Status.FAILED, detail)


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    id: str
    """The name by which people speak of the check."""
    title: str
    """The claim."""
    verdict: Verdict
    """On the cluster as a whole."""
    seconds: float = 0.0
    """How long it took."""
    hosts: Mapping[str, Verdict] = field(default_factory=dict)
    """On each host, by name, where they are judged one by one."""
    fix: str = ""
    """What to do about it, where the check knows."""

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.verdict.status

    @property
    def detail(self) -> str:
        """What was seen, in one line."""
        return self.verdict.detail


LOOKS: Mapping[Status, tuple[str, str]] = {
    Status.PASSED: ("✓", GOOD),
    Status.FAILED: ("✗", BAD),
    Status.WARNED: ("!", WARN),
    Status.WAIVED: ("~", WARN),
    Status.SKIPPED: ("-", WARN),
    Status.UNCHECKED: ("?", WARN),
}
"""Mark and style by status; also the order in which they are counted."""


def table(console: Console, findings: Iterable[Finding]) -> None:
    """One row per finding, with what was seen below its title."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    rows.add_column("", width=1)
    rows.add_column("id", style=QUIET, no_wrap=True)
    rows.add_column("check and what was seen", ratio=1)
    rows.add_column("s", justify="right", style=QUIET, no_wrap=True)
    for finding in findings:
        mark, style = LOOKS[finding.status]
        words = Text(finding.title, "" if finding.status is Status.PASSED else style)
        if finding.detail:
            words.append("\n" + clean(finding.detail), QUIET if finding.status is not Status.FAILED else "")
        rows.add_row(Text(mark, style), finding.id, words, f"{finding.seconds:.1f}")
    console.print(rows)


def counts(findings: Sequence[Finding]) -> str:
    """`12 passed, 1 failed`."""
    count = Counter(finding.status for finding in findings)
    return ", ".join(f"{count[status]} {status}" for status in LOOKS if count[status])


def as_dict(finding: Finding) -> dict[str, object]:
    """Plain data; with hosts, and the fix unless all is well, where hosts were judged one by one."""
    plain: dict[str, object] = {
        "id": finding.id,
        "title": finding.title,
        "status": finding.status.value,
        "detail": clean(finding.detail),
        "seconds": round(finding.seconds, 3),
    }
    if finding.hosts:
        plain["fix"] = finding.fix if finding.status is not Status.PASSED else ""
        plain["hosts"] = [
            {"host": name, "status": each.status.value, "detail": line(each.detail)}
            for name, each in finding.hosts.items()
        ]
    return plain
