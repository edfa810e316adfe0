"""One run of one fault: look, break, leave it broken, heal, wait until all is well, and tell what clients met."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

from quorate.core import QuorateError, Transport
from quorate.drill import lanes, pods
from quorate.drill.api import Api
from quorate.drill.board import LEASE, LEFT_OUT, UNIT, VIP, Board, Topic
from quorate.drill.catalog import Fault
from quorate.drill.outage import Outages
from quorate.drill.probe import Probe
from quorate.drill.scene import ELECTED, Scene
from quorate.drill.streams import samples, stream_stats
from quorate.drill.targets import Experiment
from quorate.execute.health import trouble
from quorate.report.drill.report import Run
from quorate.spec.cluster import Cluster
from quorate.spec.timing import timing

WELL_WITHIN_S = 90.0
"""Seconds for everything to be well again after a healing, and before a fault."""
BEGIN_WITHIN_S = 1.0
"""Seconds within which a fault begins, at random: timers of the cluster are met at every point of their rounds."""
LOOK_VALID_S = 5.0
"""Seconds for which a look at the cluster's health is good enough to begin a fault."""
LEASE_ANSWER_S = 0.5
"""Seconds after a fault from which on a lease that is renewed is renewed by a leader that lives: answers take time."""
PING_SLACK_S = 2.0
"""Seconds by which a connection that is asked for a sign of life may be silent longer than until it is asked."""
KUBELETS_BACK_S = 60.0
"""Seconds for kubelets to hear the API again, once all else is well."""
BETWEEN_LOOKS_S = 0.3
"""Seconds between two looks at the cluster's health, and three times what a look took: looking costs CPU, too."""


class Sick(QuorateError):
    """The cluster does not become healthy: it is not hurt further."""


@dataclass
class Place:
    """What the runs of a drill share."""

    cluster: Cluster
    via: Transport
    probe: Probe
    board: Board
    api: Api
    outages: Outages
    rng: Random
    namespace: str
    began: float
    """The drill's beginning, by the monotonic clock."""
    with_pods: bool = False
    moments: dict[tuple[str, int], float] = field(default_factory=dict)
    """When each run's fault was, by fault and number of the run."""
    well_at: float = -inf
    """When all was seen to be well last."""


def scene(cluster: Cluster, board: Board) -> Scene:
    """The cluster as it was seen last."""
    hosts = {host.name: host for host in cluster.hosts}
    owners = [host for host in cluster.balancers if board.now(Topic(VIP, host.name)) == "yes"]
    now = time.monotonic()
    led = lanes.leader(board, (), now - 0.1, now)
    holders = {name: hosts.get(lanes.host_of(board, board.now(Topic(LEASE, name=name)))) for name in ELECTED}
    return Scene(
        cluster,
        owners[0] if len(owners) == 1 else None,
        hosts.get(led[-1].value) if led else None,
        {name: host for name, host in holders.items() if host is not None},
    )


async def well(place: Place, since: float) -> str:
    """What is wrong right now, empty when nothing is: services, virtual IP, nodes, and leaders that lead since then.

    What the watches know comes first: to look at every host costs each some 0.1 s of CPU, and would itself be felt;
    so it is done in turn.
    """
    down = [
        f"{topic.name} on {topic.host} is {state}"
        for topic in place.board.topics(UNIT)
        # A service that was never seen to run is one that the watch can't see there.
        if not (state := place.board.now(topic)).startswith("running") and place.board.ever(topic, "running")
    ]
    down += [
        f"the balancer on {topic.host} leaves out {out}"
        for topic in place.board.topics(LEFT_OUT)
        if (out := place.board.now(topic))
    ]
    if down:
        return "; ".join(down)
    idle = [name for name in ELECTED if place.board.renewed.get(name, 0.0) < since]
    if idle:
        return f"nobody leads since then: {', '.join(idle)}"
    return await place.api.unready() or await trouble(place.cluster, place.via, in_turn=True)


async def settle(place: Place, since: float) -> float | None:
    """When all was well, by the monotonic clock; None when it is not in time. `since`: see `well`."""
    place.well_at, end = -inf, time.monotonic() + WELL_WITHIN_S
    while (begun := time.monotonic()) < end:
        if not await well(place, since):
            place.well_at = time.monotonic()
            return place.well_at
        await asyncio.sleep(max(BETWEEN_LOOKS_S, 3 * (time.monotonic() - begun)))
    return None


async def run(place: Place, fault: Fault, number: int) -> Run:
    """Try a fault once. Raises Skip where it can't be tried, Sick when the cluster is not well before it."""
    if time.monotonic() - place.well_at > LOOK_VALID_S and await settle(place, 0.0) is None:
        raise Sick(f"the cluster is not healthy: {await well(place, 0.0)}")
    experiment = fault.select(scene(place.cluster, place.board), place.rng)
    before = await pods.insist(place.api, place.namespace) if place.with_pods else {}
    await asyncio.sleep(place.rng.uniform(0, BEGIN_WITHIN_S))
    problem, moment = "", time.monotonic()
    try:
        moment = await place.outages.begin(experiment.injections, fault.seconds)
        await asyncio.sleep(max(0.0, moment + fault.seconds - time.monotonic()))
    except QuorateError as error:
        problem = f"it could not be broken: {error}"
    finally:
        over = time.monotonic()
        failed = await asyncio.shield(place.outages.heal())
    healed = time.monotonic()
    if failed:
        problem = f"not healed: {'; '.join(failed)}"
    elif place.outages.found:
        problem = "; ".join(place.outages.found)
    healthy = await settle(place, moment + LEASE_ANSWER_S)
    kubelets = await _kubelets(place, experiment, moment)
    place.moments[fault.name, number] = moment
    moved = await _moved(place, experiment, before) if place.with_pods else ()
    told = _told(
        place, experiment, number, (moment, over, healed, healthy or time.monotonic()), healthy, moved, problem
    )
    return replace(told, kubelets=kubelets)


async def _kubelets(place: Place, experiment: Experiment, moment: float) -> Mapping[str, float | None]:
    """When each kubelet heard the API again; waits for those that did not yet."""
    silence, end = timing(place.cluster).http2_idle_s + PING_SLACK_S, time.monotonic() + KUBELETS_BACK_S
    while True:
        found = lanes.talks(place.board, experiment.cut, moment + LEASE_ANSWER_S, moment, silence)
        if all(each is not None for each in found.values()) or time.monotonic() > end:
            return {host: None if each is None else round(each, 3) for host, each in found.items()}
        await asyncio.sleep(BETWEEN_LOOKS_S)


async def _moved(place: Place, experiment: Experiment, before: pods.Pods) -> tuple[str, ...]:
    nodes = {host.node for host in place.cluster.hosts if host.name in experiment.cut}
    try:
        return pods.moved(before, await pods.insist(place.api, place.namespace), nodes)
    except QuorateError:
        return ()


def _told(
    place: Place,
    experiment: Experiment,
    number: int,
    moments: tuple[float, float, float, float],
    healthy: float | None,
    moved: tuple[str, ...],
    problem: str,
) -> Run:
    fault, over, healed, end = moments
    board, names = place.board, [host.name for host in place.cluster.balancers]
    result = place.probe.window(fault, end)
    wider = place.probe.window(fault - lanes.SHOWN_BEFORE_S, end)
    takeovers: Mapping[str, float] = lanes.takeovers(board, experiment.cut, fault, end)
    owned = lanes.one_owner(board, names, experiment.cut, (fault, over, end)) if place.cluster.endpoint.vip else None
    return Run(
        number=number,
        at=round(fault - place.began, 3),
        target=": ".join([experiment.label, *(["; ".join(place.outages.did)] if place.outages.did else [])]),
        outage=round(healed - fault, 3),
        felt=stream_stats(result),
        disorder=result.disorder,
        one_owner=None if owned is None else round(owned, 3),
        takeovers={what: round(seconds, 3) for what, seconds in takeovers.items()},
        moved=moved,
        healthy=None if healthy is None else round(healthy - healed, 3),
        ticks=samples(wider, result.begin),
        spans=lanes.spans(board, experiment.cut, fault, end),
        problem=problem,
    )
