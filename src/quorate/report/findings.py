"""Findings of checks as a table, alike for every verb that checks something."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quorate.plan.words import clean
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


LOOKS: Mapping[str, tuple[str, str]] = {
    Status.PASSED: ("✓", GOOD),
    Status.FAILED: ("✗", BAD),
    Status.WARNED: ("!", WARN),
    Status.WAIVED: ("~", WARN),
    Status.SKIPPED: ("-", WARN),
    Status.UNCHECKED: ("?", WARN),
}
"""Mark and style by status; also the order in which they are counted."""


class Finding(Protocol):
    """What a row of the table needs; `status` is one of LOOKS."""

    @property
    def id(self) -> str:
        """The name by which people speak of the check."""
        ...

    @property
    def title(self) -> str:
        """The claim."""
        ...

    @property
    def status(self) -> str:
        """How it ended."""
        ...

    @property
    def detail(self) -> str:
        """What was seen, in one line."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


def table(console: Console, findings: Iterable[Finding]) -> None:
    """One row per finding, with what was seen below its title."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    rows.add_column("", width=1)
    rows.add_column("id", style=QUIET, no_wrap=True)
    rows.add_column("check and what was seen", ratio=1)
    rows.add_column("s", justify="right", style=QUIET, no_wrap=True)
    for finding in findings:
        mark, style = LOOKS[finding.status]
        told = Text(finding.title, "" if finding.status == "passed" else style)
        if finding.detail:
            told.append("\n" + clean(finding.detail), QUIET if finding.status != "failed" else "")
        rows.add_row(Text(mark, style), finding.id, told, f"{finding.seconds:.1f}")
    console.print(rows)


def counts(findings: Sequence[Finding]) -> str:
    """`12 passed, 1 failed`."""
    found = Counter(str(finding.status) for finding in findings)
    return ", ".join(f"{found[word]} {word}" for word in LOOKS if found[word])


def as_dict(finding: Finding) -> dict[str, object]:
    """Plain data."""
    return {
        "id": finding.id,
        "title": finding.title,
        "status": str(finding.status),
        "detail": clean(finding.detail),
        "seconds": round(finding.seconds, 3),
    }
