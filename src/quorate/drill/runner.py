"""A whole drill: one probe and one watch for all its faults, tried one after another, and the report of them."""

import asyncio
import os
import platform
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from random import Random

from quorate.core import Transport
from quorate.drill import pods
from quorate.drill.api import Api
from quorate.drill.attribution import attributed
from quorate.drill.catalog import Fault, fitted, named
from quorate.drill.one import Place, Sick, run
from quorate.drill.outage import Outages
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, Target
from quorate.drill.scene import Skip, probed
from quorate.drill.streams import stream_stats
from quorate.drill.watchers import watching
from quorate.report.drill import report as drilled
from quorate.report.drill.report import DrillReport, Run
from quorate.report.event import Emit, Said
from quorate.spec.cluster import LOOPBACK, Cluster, Host
from quorate.spec.secrets import Secrets
from quorate.spec.whatif import rows

UNDISTURBED_S = 3.0
"""Seconds without a fault at the beginning, to know what the measurement itself is like."""
GAP_BETWEEN_RUNS_S = 1.0
"""Between two runs: what one has left behind must not be felt in the next."""

OnRun = Callable[[drilled.Fault, Run], None]
"""Is told each run when it has ended; the fault has no runs yet."""


async def drill(
    cluster: Cluster,
    secrets: Secrets,
    via: Transport,
    *,
    faults: Sequence[str] = (),
    runs: int = 1,
    seed: int = 0,
    pace: Pace | None = None,
    settings: str = "quorate",
    seconds: Mapping[str, float] | None = None,
    target: Target | None = None,
    emit: Emit = lambda _event: None,
    on_run: OnRun = lambda _fault, _run: None,
) -> DrillReport:
    """Try faults, all for none, each so many times; whatever happens, what is broken is healed.

    For control experiments there are `settings`, whose they are; `seconds` for which a fault is left, where that is
    not its own time; and `target`, another way to the API than the endpoint.
    Raises QuorateError for a fault that does not exist, and when the cluster can't be probed.
    """
    pace, left, outages = pace or Pace(), seconds or {}, Outages(via)
    wanted = [fitted(fault, cluster) for fault in named(faults)]
    began, since, namespace = datetime.now(UTC), time.monotonic(), f"quorate-drill-{uuid.uuid4().hex[:6]}"
    tried: list[drilled.Fault] = []
    sick = ""
    async with _way(cluster, secrets, via, target) as way:
        api = Api(way)
        try:
            async with Probe(way, pace, namespace=namespace) as probe, watching(cluster, via, way) as board:
                emit(Said("starting pods"))
                without = await pods.start(api, cluster, namespace)
                place = Place(
                    cluster, via, probe, board, api, outages, Random(seed), namespace, since, with_pods=not without
                )
                emit(Said("calm: measuring without a fault"))
                first = time.monotonic()
                await asyncio.sleep(UNDISTURBED_S)
                calm = stream_stats(probe.window(first, time.monotonic()))
                for fault in wanted:
                    fault = replace(fault, seconds=left.get(fault.name, fault.seconds))
                    found, sick = await _repeat(place, fault, runs, sick, emit, on_run)
                    tried.append(found)
        finally:
            # Nothing is open here unless something above was cut off.
            for said in await asyncio.shield(outages.heal()):
                emit(Said(f"not healed: {said}"))
            api.close()
    assert probe.result is not None
    return DrillReport(
        cluster=cluster.name,
        settings=settings,
        began=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - since, 1),
        version=version("quorate"),
        about=_about(cluster, pace, runs, seed, without, None if target else probed(cluster)),
        calm=calm,
        faults=attributed(tried, {key: at - probe.began for key, at in place.moments.items()}, probe.result),
        survival=rows(cluster),
        problem="; ".join(filter(None, (sick, probe.result.problem))),
    )


@asynccontextmanager
async def _way(cluster: Cluster, secrets: Secrets, via: Transport, given: Target | None) -> AsyncIterator[Target]:
    """Where the probe comes in: as given, at the endpoint, or where nodes have balancers of their own through one."""
    host = probed(cluster)
    if given or not host:
        yield given or Target.of(cluster, secrets)
        return
    async with via.forward(host.name, cluster.balancer_port) as port:
        yield replace(Target.of(cluster, secrets), host=LOOPBACK, port=port, server_name=LOOPBACK)


async def _repeat(
    place: Place, fault: Fault, runs: int, sick: str, emit: Emit, on_run: OnRun
) -> tuple[drilled.Fault, str]:
    """All runs of a fault, and why no other may be tried, if so."""
    told = drilled.Fault(fault.name, fault.title, fault.goals, loops=fault.loops, kubelets=fault.kubelets)
    if sick:
        return replace(told, skipped=sick), sick
    found: list[Run] = []
    for number in range(1, runs + 1):
        emit(Said(f"{fault.name}, run {number} of {runs}: {fault.title}"))
        try:
            one = await run(place, fault, number)
        except Skip as skip:
            return replace(told, runs=found, skipped="" if found else str(skip)), ""
        except Sick as error:
            return replace(told, runs=found, skipped="" if found else str(error)), str(error)
        found.append(one)
        on_run(told, one)
        worst = replace(told, runs=found).worst
        found = [each if each is worst else replace(each, ticks={}) for each in found]
        await asyncio.sleep(GAP_BETWEEN_RUNS_S)
    return replace(told, runs=found), ""


def _about(cluster: Cluster, pace: Pace, runs: int, seed: int, without: str, through: Host | None) -> Mapping[str, str]:
    count = {"masters": cluster.masters, "etcd members": cluster.members, "workers": cluster.workers}
    hosts = ", ".join(f"{len(found)} {what}" for what, found in count.items())
    return {
        "topology": f"{hosts}, {len(cluster.balancing)} balancers ({cluster.load_balancer.kind})",
        "kubernetes": cluster.versions.kubernetes,
        "pace": f"new {pace.new:g} s, kept {pace.kept:g} s, writes {pace.writes:g} s",
        "runs": str(runs),
        "seed": str(seed),
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.release().partition('-')[0]}",
        "pods": without or "two on each worker",
        **({"probe": f"by SSH to {through.name}, through its own balancer"} if through else {}),
    }
