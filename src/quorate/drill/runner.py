"""A whole drill: one probe and one watch for all its faults, tried one after another, and the report of them."""

import asyncio
import os
import platform
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from random import Random

from quorate.core import Transport
from quorate.drill import pods
from quorate.drill.api import Api
from quorate.drill.blame import blamed
from quorate.drill.catalog import Fault, named
from quorate.drill.felt import felt
from quorate.drill.one import Place, Sick, run
from quorate.drill.order import Pace, Target
from quorate.drill.outage import Outages
from quorate.drill.probe import Probe
from quorate.drill.scene import Skip
from quorate.drill.watchers import watching
from quorate.report import drilled
from quorate.report.drilled import Drilled, Run
from quorate.report.event import Emit, Said
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import Secrets
from quorate.spec.whatif import rows

CALM = 3.0
"""Seconds without a fault at the beginning, to know what the measurement itself is like."""
SECOND = 1.0
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
) -> Drilled:
    """Try faults, all for none, each so many times; whatever happens, what is broken is healed.

    For control experiments there are `settings`, whose they are; `seconds` for which a fault is left, where that is
    not its own time; and `target`, another way to the API than the endpoint.
    Raises QuorateError for a fault that does not exist, and when the cluster can't be probed.
    """
    wanted, pace, left = named(faults), pace or Pace(), seconds or {}
    target, outages = target or Target.of(cluster, secrets), Outages(via)
    began, since, namespace = datetime.now(UTC), time.monotonic(), f"quorate-drill-{uuid.uuid4().hex[:6]}"
    tried: list[drilled.Fault] = []
    api, sick = Api(target), ""
    try:
        async with Probe(target, pace, namespace=namespace) as probe, watching(cluster, via, target) as board:
            emit(Said("starting pods"))
            without = await pods.start(api, cluster, namespace)
            place = Place(
                cluster, via, probe, board, api, outages, Random(seed), namespace, since, with_pods=not without
            )
            emit(Said("calm: measuring without a fault"))
            first = time.monotonic()
            await asyncio.sleep(CALM)
            calm = felt(probe.window(first, time.monotonic()))
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
    return Drilled(
        cluster=cluster.name,
        settings=settings,
        began=began.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - since, 1),
        version=version("quorate"),
        about=_about(cluster, pace, runs, seed, without),
        calm=calm,
        faults=blamed(tried, {key: at - probe.began for key, at in place.moments.items()}, probe.result),
        survival=rows(cluster),
        problem="; ".join(filter(None, (sick, probe.result.problem))),
    )


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
        await asyncio.sleep(SECOND)
    return replace(told, runs=found), ""


def _about(cluster: Cluster, pace: Pace, runs: int, seed: int, without: str) -> Mapping[str, str]:
    count = {"masters": cluster.masters, "etcd members": cluster.members, "workers": cluster.workers}
    hosts = ", ".join(f"{len(found)} {what}" for what, found in count.items())
    return {
        "topology": f"{hosts}, {len(cluster.balancers)} balancers ({cluster.load_balancer.kind})",
        "kubernetes": cluster.versions.kubernetes,
        "pace": f"new {pace.new:g} s, kept {pace.kept:g} s, writes {pace.writes:g} s",
        "runs": str(runs),
        "seed": str(seed),
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.release().partition('-')[0]}",
        "pods": without or "two on each worker",
    }
