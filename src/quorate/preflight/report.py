"""What a preflight found: one finding per check, waivers, and the refusal."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from quorate.core import PlanError, UsageError
from quorate.plan.words import line, many
from quorate.preflight.catalog import CHECKS
from quorate.preflight.check import RANK, Check, Verdict, World
from quorate.report import findings
from quorate.report.findings import Status

SHOWN = 4
"""Different words about hosts that passed, before the rest is only counted."""


@dataclass(frozen=True)
class Finding:
    """What one check found on all hosts that it has an object on."""

    check: Check
    hosts: Mapping[str, Verdict]
    seconds: float = 0.0
    """The longest that a host took to answer its questions; several checks may share one."""

    @property
    def id(self) -> str:
        """The check's id, by which it is waived."""
        return self.check.id

    @property
    def title(self) -> str:
        """The check's claim."""
        return self.check.title

    @property
    def status(self) -> Status:
        """The worst of all hosts."""
        return max((each.status for each in self.hosts.values()), key=RANK.__getitem__)

    @property
    def detail(self) -> str:
        """What was seen, host by host, the worst first; those with the same words together."""
        groups: dict[Verdict, list[str]] = {}
        for name, verdict in self.hosts.items():
            groups.setdefault(verdict, []).append(name)
        worst = sorted(groups, key=lambda verdict: -RANK[verdict.status])
        if self.status is not Status.PASSED:
            worst = [each for each in worst if each.status is not Status.PASSED]
        told = [each for each in worst if each.detail]
        cut = told if self.status is not Status.PASSED else told[:SHOWN]
        more = [f"and {len(told) - len(cut)} more"] if len(told) > len(cut) else []
        return "; ".join([*(self._words(groups[each], each) for each in cut), *more])

    def _words(self, names: Sequence[str], verdict: Verdict) -> str:
        if len(names) == len(self.hosts) and self.status is Status.PASSED:
            return line(verdict.detail)
        mixed = len({each.status for each in self.hosts.values()} - {Status.PASSED}) > 1
        mark = f" ({verdict.status})" if mixed else ""
        return f"{', '.join(names)}{mark}: {line(verdict.detail)}"

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        hosts = [{"host": name, "status": v.status.value, "detail": line(v.detail)} for name, v in self.hosts.items()]
        return {
            **findings.as_dict(self),
            "fix": self.check.fix if self.status is not Status.PASSED else "",
            "hosts": hosts,
        }


@dataclass(frozen=True)
class Report:
    """All findings, and what they cost."""

    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    scripts: int = 0

    def of(self, status: Status) -> tuple[Finding, ...]:
        """The findings of one status."""
        return tuple(finding for finding in self.findings if finding.status is status)

    @property
    def waived(self) -> tuple[str, ...]:
        """What was waived, as `id@host: detail`: it belongs into the journal."""
        return tuple(
            f"{finding.id}@{name}: {line(verdict.detail)}"
            for finding in self.findings
            for name, verdict in finding.hosts.items()
            if verdict.status is Status.WAIVED
        )

    @property
    def cost(self) -> str:
        """What it took, in words."""
        return f"{many(self.scripts, 'script')}, {self.seconds:.1f} s"

    def demand(self) -> None:
        """Raise PlanError with every failed finding and its fix; nothing is changed then."""
        bad = [
            (finding, name, verdict)
            for finding in self.findings
            for name, verdict in finding.hosts.items()
            if verdict.status is Status.FAILED
        ]
        if bad:
            words = [f"  {finding.id}@{name}: {line(v.detail)}. Fix: {finding.check.fix}" for finding, name, v in bad]
            raise PlanError(
                "\n".join([f"preflight: {many(len(bad), 'finding')} against it; nothing was changed", *words]),
                f"repair it, or waive what you know better by name: --waive {bad[0][0].id}@{bad[0][1]}",
            )


def judge(world: World, seconds: Mapping[str, float] | None = None) -> tuple[Finding, ...]:
    """Every check on every host; `seconds` by name of the question."""
    found = []
    for check in CHECKS:
        hosts = world.there if check.remote else world.cluster.hosts
        verdicts = {host.name: check.judge(world, host) for host in hosts}
        said = {name: verdict for name, verdict in verdicts.items() if verdict is not None}
        if said:
            took = max(((seconds or {}).get(question.name, 0.0) for question in check.asks), default=0.0)
            found.append(Finding(check, said, took))
    return tuple(found)


def waive(found: Iterable[Finding], waivers: Iterable[str]) -> tuple[Finding, ...]:
    """The findings, with failures that a waiver names (`ID` or `ID@HOST`) marked as waived."""
    names = frozenset(waivers)
    return tuple(
        replace(
            finding,
            hosts={
                name: Verdict(Status.WAIVED, verdict.detail)
                if verdict.status is Status.FAILED and names & {finding.id, f"{finding.id}@{name}"}
                else verdict
                for name, verdict in finding.hosts.items()
            },
        )
        for finding in found
    )


def known(waivers: Iterable[str], hosts: Iterable[str]) -> None:
    """Raise QuorateError for a waiver of no check or no host: a typing mistake must not look like a waiver."""
    ids, names = [check.id for check in CHECKS], list(hosts)
    for waiver in waivers:
        id, at, host = re.fullmatch(r"([^@]*)(@?)(.*)", waiver, re.DOTALL).groups()  # type: ignore[union-attr]
        if id not in ids:
            raise UsageError(f"--waive {waiver}: there is no check {id}", f"checks: {', '.join(ids)}")
        if at and host not in names:
            raise UsageError(f"--waive {waiver}: the cluster has no host {host}", f"hosts: {', '.join(names)}")
