"""What a preflight found: one finding per check, waivers, and the refusal."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from quorate.core import PlanError, UsageError
from quorate.plan.words import line, many
from quorate.preflight.catalog import CHECKS
from quorate.preflight.check import World
from quorate.report.findings import Finding, Status, Verdict

RANK: Mapping[Status, int] = {status: rank for rank, status in enumerate(Status)}
SHOWN = 4
"""Different words about hosts that passed, before the rest is only counted."""


def overall(hosts: Mapping[str, Verdict]) -> Verdict:
    """The worst status of all hosts, and what was seen: the worst first, hosts with the same words together."""
    groups: dict[Verdict, list[str]] = {}
    for name, verdict in hosts.items():
        groups.setdefault(verdict, []).append(name)
    ranked = sorted(groups, key=lambda verdict: -RANK[verdict.status])
    status = ranked[0].status
    mixed = len({each.status for each in groups} - {Status.PASSED}) > 1

    def words(verdict: Verdict) -> str:
        if len(groups[verdict]) == len(hosts) and status is Status.PASSED:
            return line(verdict.detail)
        mark = f" ({verdict.status})" if mixed else ""
        return f"{', '.join(groups[verdict])}{mark}: {line(verdict.detail)}"

    telling = [each for each in ranked if each.detail and (each.status is not Status.PASSED or status is Status.PASSED)]
    shown = telling if status is not Status.PASSED else telling[:SHOWN]
    more = [f"and {len(telling) - len(shown)} more"] if len(telling) > len(shown) else []
    return Verdict(status, "; ".join([*map(words, shown), *more]))


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
            words = [f"  {finding.id}@{name}: {line(v.detail)}. Fix: {finding.fix}" for finding, name, v in bad]
            raise PlanError(
                "\n".join([f"preflight: {many(len(bad), 'finding')} against it; nothing was changed", *words]),
                f"repair it, or waive what you know better by name: --waive {bad[0][0].id}@{bad[0][1]}",
            )


def judge(world: World, seconds: Mapping[str, float] | None = None) -> tuple[Finding, ...]:
    """Every check on every host that it has an object on.

    `seconds` by name of the question: a finding has the longest that a host took, and several checks may share one.
    """
    findings = []
    for check in CHECKS:
        if check.upgrade and not world.upgrades:
            continue
        hosts = world.there if check.remote else world.cluster.hosts
        judged = {host.name: check.judge(world, host) for host in hosts}
        if check.upgrade and world.begun:
            judged = {name: verdict and _weakened(verdict) for name, verdict in judged.items()}
        verdicts = {name: verdict for name, verdict in judged.items() if verdict is not None}
        if verdicts:
            took = max(((seconds or {}).get(question.name, 0.0) for question in check.asks), default=0.0)
            findings.append(Finding(check.id, check.title, overall(verdicts), took, verdicts, check.fix))
    return tuple(findings)


def _weakened(verdict: Verdict) -> Verdict:
    return Verdict(Status.WARNED, verdict.detail) if verdict.status is Status.FAILED else verdict


def waive(found: Iterable[Finding], waivers: Iterable[str]) -> tuple[Finding, ...]:
    """The findings, with failures that a waiver names (`ID` or `ID@HOST`) marked as waived."""
    names = frozenset(waivers)

    def waived(finding: Finding) -> Finding:
        verdicts = {
            name: Verdict(Status.WAIVED, verdict.detail)
            if verdict.status is Status.FAILED and names & {finding.id, f"{finding.id}@{name}"}
            else verdict
            for name, verdict in finding.hosts.items()
        }
        return replace(finding, verdict=overall(verdicts), hosts=verdicts)

    return tuple(waived(finding) for finding in found)


def known(waivers: Iterable[str], hosts: Iterable[str]) -> None:
    """Raise QuorateError for a waiver of no check or no host: a typing mistake must not look like a waiver."""
    ids, names = [check.id for check in CHECKS], list(hosts)
    for waiver in waivers:
        id, at, host = re.fullmatch(r"([^@]*)(@?)(.*)", waiver, re.DOTALL).groups()  # type: ignore[union-attr]
        if id not in ids:
            raise UsageError(f"--waive {waiver}: there is no check {id}", f"checks: {', '.join(ids)}")
        if at and host not in names:
            raise UsageError(f"--waive {waiver}: the cluster has no host {host}", f"hosts: {', '.join(names)}")
