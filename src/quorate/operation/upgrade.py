"""Upgrade: other versions of what runs, part after part on all hosts, in the order that its versions want.

Each stage is the cluster at the versions of then, asked for the parts that move; the rest stays what it is. What does
not hold on a host goes back there and ends the run (`plan.fallback`), so nothing is mixed by more than one step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from quorate.component import COMPONENTS, access, apiserver, cni, controller_manager, etcd, images, scheduler
from quorate.component.context import Context, Stop
from quorate.component.turns import Turns
from quorate.operation import change
from quorate.operation.stage import Refusal, Stage
from quorate.spec.cluster import Cluster, Role
from quorate.spec.upgrade_path import CONTROL, ETCD, NODES
from quorate.spec.versions import parts

NAME = "upgrade"
REPLACES = frozenset({"runtime"})
"""It has a refusal of its own."""
PARTS: Mapping[str, frozenset[str]] = {
    ETCD: frozenset({etcd.NAME}),
    CONTROL: frozenset({apiserver.NAME, controller_manager.NAME, scheduler.NAME, access.NAME}),
    NODES: frozenset({*(each.NAME for each in COMPONENTS if each.TURNS is Turns.CANARY), images.NAME, cni.NAME}),
}
"""The components that are asked while a part moves."""
ALIKE = ("hosts", "endpoint", "load_balancer", "network", "runtime", "pki")
"""Sections of the file that are as they were: else a stage would begin what a later one ends."""


def stages(context: Context) -> tuple[Stage, ...]:
    """A stage for each move, and then all that the file says."""
    return (*(_stage(context, stop) for stop in context.stops), *change.stages(replace(context, stops=())))


def _stage(context: Context, stop: Stop) -> Stage:
    part, name = stop.move.part, f"{stop.move.part} {stop.move.version}"
    cluster = _drained(stop.cluster) if part == NODES and _disturbs(context, stop) else stop.cluster
    then = replace(context, cluster=cluster, supply=stop.supply, minor=stop.minor, stops=())
    needed = (host.name for host in cluster.hosts if set(host.roles) != {Role.WORKER})
    return Stage(
        name,
        then,
        parts=PARTS[part],
        answering=frozenset() if part == NODES else frozenset(needed),
        no_return=_no_return(context, stop),
    )


def _disturbs(context: Context, stop: Stop) -> bool:
    """Whether containers may be started anew: a kubelet of another minor does so, and so does another runtime's."""
    was, now = context.releases, stop.move.versions
    runtimes = any(was.get(part) != now.get(part) for part in ("containerd", "docker"))
    return runtimes or parts(was["kubernetes"])[:2] != parts(now["kubernetes"])[:2]


def drains(context: Context) -> bool:
    """Whether nodes are drained on the way."""
    moved = (stop for stop in context.stops if stop.move.part == NODES)
    return any(stop.cluster.rollout.drain or _disturbs(context, stop) for stop in moved)


def _drained(cluster: Cluster) -> Cluster:
    return cluster.model_copy(update={"rollout": cluster.rollout.model_copy(update={"drain": True})})


def _no_return(context: Context, stop: Stop) -> str:
    was, now, part = context.releases, stop.move.versions, stop.move.part
    if part == ETCD and parts(was["etcd"])[:2] != parts(now["etcd"])[:2]:
        return f"when the last member runs etcd {now['etcd']}, only a backup leads back to {was['etcd']}"
    if part == CONTROL and parts(was["kubernetes"])[:2] != parts(now["kubernetes"])[:2]:
        return f"API servers of {now['kubernetes']} write what older ones need not read: only a backup leads back"
    return ""


def refusals(context: Context) -> Iterator[Refusal]:
    """What no way leads to, and what is better done before or after."""
    yield from change.refusals(context)
    for part, why, fix in context.astray:
        yield Refusal(f"versions.{part}: {why}", fix)
    was = context.established
    if was is None:
        return
    if was.runtime.kind != context.cluster.runtime.kind:
        yield Refusal(
            f"the file has other versions, and another runtime: {was.runtime.kind} -> {context.cluster.runtime.kind}",
            "change the runtime first: write the versions of before, `quorate apply`, and then these",
        )
    elif other := [name for name in ALIKE if getattr(was, name) != getattr(context.cluster, name)]:
        yield Refusal(
            f"the file has other versions, and another {', '.join(other)}: an upgrade changes nothing else",
            "apply one of the two first, with the other as it was",
        )
    for host in context.cluster.hosts:
        if host.name in context.absent and set(host.roles) != {Role.WORKER}:
            yield Refusal(
                f"{host.name} does not answer: it would be left behind at {context.releases['kubernetes']}",
                f"bring it back, or leave it out with `--without {host.name}`",
            )
