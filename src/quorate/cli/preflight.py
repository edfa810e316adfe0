"""`quorate preflight`: what would break an apply, before it begins; and the same within `apply`."""

import dataclasses
from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.look import Looked, look
from quorate.cli.names import demand_known
from quorate.cli.output import Output, busy, print_json
from quorate.component.context import Context
from quorate.core import ArtifactError, PlanError, Transport
from quorate.execute.facts import gather
from quorate.operation import runtimes, upgrade
from quorate.plan.words import line
from quorate.preflight.check import World
from quorate.preflight.report import Report
from quorate.preflight.report import known as demand_checks
from quorate.preflight.runner import preflight as run_preflight
from quorate.report import findings as findings_text
from quorate.report.console import BAD, GOOD, NAME, QUIET
from quorate.report.event import Checked, Emit
from quorate.report.findings import Status
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.load import load
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table
from quorate.state.past import Past
from quorate.state.store import Store


async def check_hosts(
    out: Output,
    file: Path,
    replaced: frozenset[str],
    without: frozenset[str],
    waivers: tuple[str, ...],
    *,
    json: bool,
) -> int:
    """Print what would break an apply."""
    cluster = load(file)
    demand_known(cluster, tuple(sorted(replaced | without)), ())
    demand_checks(waivers, [host.name for host in cluster.hosts])
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "looking at the hosts"):
            world = await _world(cluster, file, via, replaced, without)
            report = await run_preflight(world, via, waivers=waivers)
    failed = report.of(Status.FAILED)
    if json:
        rows = [findings_text.as_dict(finding) for finding in report.findings]
        print_json({"cluster": cluster.name, "ok": not failed, "seconds": round(report.seconds, 3), "findings": rows})
    else:
        findings_text.table(out.console, report.findings)
        _print_fixes(out, report)
        out.console.print()
        style = BAD if failed else f"bold {GOOD}"
        out.say(
            (f"{cluster.name}: ", NAME), (findings_text.counts(report.findings), style), (f"  {report.cost}", QUIET)
        )
    return PlanError.exit_code if failed else 0


async def _world(
    cluster: Cluster, file: Path, via: Transport, replaced: frozenset[str], without: frozenset[str]
) -> World:
    """The world of a plan; where none can be made, that is a finding, and the hosts are looked at all the same."""
    try:
        return _world_of(await look(cluster, file, via, lambda _event: None, replaced=replaced, without=without))
    except (PlanError, ArtifactError) as error:
        trouble = line(f"{error}. {error.hint}" if error.hint else str(error))
    past = Past(Store.beside(file, cluster.name), file, cluster)
    facts, lost = await gather(cluster, via)
    context = Context(
        cluster,
        Facts(hosts=facts),
        Supply(),
        Secrets(),
        table(cluster.versions.kubernetes),
        established=past.established,
        former=past.former,
        replaced=replaced,
        met=frozenset(past.machines()),
    )
    reasons = {name: error.message for name, error in lost.items()}
    return World(context, past.machines(), trouble=trouble, lost=reasons)


def _world_of(looked: Looked) -> World:
    prepared = looked.prepared
    lost = dict.fromkeys(prepared.plan.unreachable, "did not answer")
    lost |= {name: why.removeprefix(f"{name}: ") for name, why in prepared.lost.items()}
    record = prepared.past.record
    return World(
        prepared.context,
        prepared.past.machines(),
        prepared.plan,
        lost=lost,
        later=tuple(each.plan for each in prepared.later),
        begun=record is not None and record.kind in (runtimes.NAME, upgrade.NAME),
    )


async def check_before(
    out: Output, lines: Emit | None, looked: Looked, via: Transport, waivers: tuple[str, ...]
) -> tuple[Looked, Report]:
    """The preflight of an apply, when there is anything to change; told at once when a host is missing.

    Raises QuorateError for a waiver that names nothing.
    """
    demand_checks(waivers, [host.name for host in looked.prepared.context.cluster.hosts])
    if not looked.shown.lines:
        return looked, Report()
    report = await run_preflight(_world_of(looked), via, waivers=waivers)
    if any(finding.id in ("reachable", "sudo") and finding.status == "failed" for finding in report.findings):
        print_findings(out, lines, report)
    return dataclasses.replace(looked.then("preflight", report.seconds), waived=report.waived), report


def demand_passed(out: Output, lines: Emit | None, report: Report) -> None:
    """Print the findings, and raise PlanError with every failed finding that is not waived."""
    print_findings(out, lines, report)
    report.demand()


def print_findings(out: Output, lines: Emit | None, report: Report) -> None:
    """What did not pass, and what it cost; each finding as an event for programs."""
    if lines:
        for each in report.findings:
            lines(Checked(each.id, each.title, each.status.value, each.detail, each.seconds))
    elif report.findings:
        unpassed = [finding for finding in report.findings if finding.status != "passed"]
        if unpassed:
            out.console.print()
            findings_text.table(out.console, unpassed)
            _print_fixes(out, report)
        out.say(("preflight: ", ""), findings_text.counts(report.findings), (f"  {report.cost}", QUIET))


def _print_fixes(out: Output, report: Report) -> None:
    """What to do about warnings and failures."""
    to_fix = [finding for finding in report.findings if finding.status in ("failed", "warned", "waived")]
    if to_fix:
        out.console.print()
    for finding in to_fix:
        out.say((f"{finding.id:<14}", QUIET), finding.fix)
