"""`quorate preflight`: what would break an apply, before it begins; and the same within `apply`."""

import dataclasses
from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.look import Looked, look
from quorate.cli.names import known
from quorate.cli.output import Output, busy, dump
from quorate.component.context import Context
from quorate.core import ArtifactError, PlanError, Transport
from quorate.execute.facts import gather
from quorate.plan.words import line
from quorate.preflight import report
from quorate.preflight.check import World
from quorate.preflight.report import Report
from quorate.preflight.runner import preflight as fly
from quorate.report import findings as text
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
    known(cluster, tuple(sorted(replaced | without)), ())
    report.known(waivers, [host.name for host in cluster.hosts])
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "looking at the hosts"):
            world = await _world(cluster, file, via, replaced, without)
            found = await fly(world, via, waivers=waivers)
    bad = found.of(Status.FAILED)
    if json:
        rows = [text.as_dict(finding) for finding in found.findings]
        dump({"cluster": cluster.name, "ok": not bad, "seconds": round(found.seconds, 3), "findings": rows})
    else:
        text.table(out.console, found.findings)
        _fixes(out, found)
        out.console.print()
        style = BAD if bad else f"bold {GOOD}"
        out.say((f"{cluster.name}: ", NAME), (text.counts(found.findings), style), (f"  {found.cost}", QUIET))
    return PlanError.exit_code if bad else 0


async def _world(
    cluster: Cluster, file: Path, via: Transport, replaced: frozenset[str], without: frozenset[str]
) -> World:
    """The world of a plan; where none can be made, that is a finding, and the hosts are looked at all the same."""
    try:
        return _seen(await look(cluster, file, via, lambda _event: None, replaced=replaced, without=without))
    except (PlanError, ArtifactError) as error:
        trouble = line(f"{error}. {error.hint}" if error.hint else str(error))
    past = Past(Store.beside(file, cluster.name), file, cluster)
    found, lost = await gather(cluster, via)
    context = Context(
        cluster,
        Facts(hosts=found),
        Supply(),
        Secrets(),
        table(cluster.versions.kubernetes),
        established=past.established,
        former=past.former,
        replaced=replaced,
        met=frozenset(past.machines()),
    )
    gone = {name: error.message for name, error in lost.items()}
    return World(context, past.machines(), trouble=trouble, lost=gone)


def _seen(looked: Looked) -> World:
    prepared = looked.prepared
    lost = dict.fromkeys(prepared.plan.unreachable, "did not answer")
    lost |= {name: why.removeprefix(f"{name}: ") for name, why in prepared.lost.items()}
    return World(prepared.context, prepared.past.machines(), prepared.plan, lost=lost)


async def before(
    out: Output, lines: Emit | None, looked: Looked, via: Transport, waivers: tuple[str, ...]
) -> tuple[Looked, Report]:
    """The preflight of an apply, when there is anything to change; told at once when a host is missing.

    Raises QuorateError for a waiver that names nothing.
    """
    report.known(waivers, [host.name for host in looked.prepared.context.cluster.hosts])
    if not looked.shown.lines:
        return looked, report.Report()
    found = await fly(_seen(looked), via, waivers=waivers)
    if any(finding.id in ("reachable", "sudo") and finding.status == "failed" for finding in found.findings):
        tell(out, lines, found)
    return dataclasses.replace(looked.then("preflight", found.seconds), waived=found.waived), found


def settle(out: Output, lines: Emit | None, found: Report) -> None:
    """Tell, and raise PlanError with every failed finding that is not waived."""
    tell(out, lines, found)
    found.demand()


def tell(out: Output, lines: Emit | None, found: Report) -> None:
    """What did not pass, and what it cost; each finding as an event for programs."""
    if lines:
        for each in found.findings:
            lines(Checked(each.id, each.title, each.status.value, each.detail, each.seconds))
    elif found.findings:
        rest = [finding for finding in found.findings if finding.status != "passed"]
        if rest:
            out.console.print()
            text.table(out.console, rest)
            _fixes(out, found)
        out.say(("preflight: ", ""), text.counts(found.findings), (f"  {found.cost}", QUIET))


def _fixes(out: Output, found: Report) -> None:
    """What to do about warnings and failures."""
    bad = [finding for finding in found.findings if finding.status in ("failed", "warned", "waived")]
    if bad:
        out.console.print()
    for finding in bad:
        out.say((f"{finding.id:<14}", QUIET), finding.fix)
