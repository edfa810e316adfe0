"""What stands around the change of a worker that runs: once for each host, whatever number of its components change."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from quorate.component.context import Context
from quorate.core import Key
from quorate.plan.graph import Part
from quorate.render.sh import quote
from quorate.resource.brick import Brick
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.fallback import Fallback, Settled
from quorate.resource.kube import kubectl
from quorate.resource.system import Hook, User
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Host

NAME = "rollout"


def around(context: Context, parts: Sequence[Part], lane: Collection[str], runs: Callable[[Part], bool]) -> list[Part]:
    """The parts, and of each worker that `runs` what the file wants around the change of its `lane`: a hook, a drain;
    the node that takes pods again, a hook, a pause.
    """
    rollout = context.cluster.rollout
    if not (rollout.drain or rollout.before or rollout.after or rollout.pause_seconds):
        return list(parts)
    hosts: dict[str, list[Part]] = {}
    for part in parts:
        if part.component in lane:
            hosts.setdefault(part.host, []).append(part)
    more, ahead = list[Part](), dict[str, frozenset[Key]]()
    for name, mine in hosts.items():
        if any(map(runs, mine)):
            first, last = _of(context, context.cluster.host(name), mine)
            ahead[name] = frozenset(brick.key for brick in first)
            more += [Part(NAME, brick.host, (brick,), name) for brick in (*first, *last)]
    found = [_behind(part, ahead.get(part.host, frozenset())) if part.component in lane else part for part in parts]
    return [*found, *more]


def _of(context: Context, host: Host, parts: Sequence[Part]) -> tuple[list[Brick], list[Brick]]:
    """What is done before the change of a host, and after it."""
    watches = _watches(host.name, parts)
    acts = frozenset(key for part in parts for key in part.acts)
    first = _chain(_before(context, host), frozenset(), watches)
    return first, _chain(_after(context, host), acts, watches)


def _before(context: Context, host: Host) -> list[Brick]:
    rollout, found = context.cluster.rollout, list[Brick]()
    if rollout.before:
        found.append(Hook(host=host.name, what="before the change", order=quote(rollout.before)))
    if rollout.drain:
        seconds, api = context.cluster.kubelet.drain_seconds, context.api_host.name
        run = kubectl(_url(context), timeout=f"{seconds}s")
        found.append(Drained(host=api, node=host.node, run=run, seconds=seconds))
    return found


def _after(context: Context, host: Host) -> list[Brick]:
    rollout, found = context.cluster.rollout, list[Brick]()
    if rollout.drain:
        found.append(Uncordoned(host=context.api_host.name, node=host.node, run=kubectl(_url(context))))
    if rollout.after:
        found.append(Hook(host=host.name, what="after the change", order=quote(rollout.after)))
    if rollout.pause_seconds:
        found.append(Hook(host=host.name, what="pause", order=f"sleep {rollout.pause_seconds}"))
    return found


def _url(context: Context) -> str:
    """Of the API server through which objects are written."""
    return f"https://{context.api_host.ip}:{context.cluster.apiserver.port}"


def _chain(bricks: Iterable[Brick], before: frozenset[Key], watches: frozenset[Key]) -> list[Brick]:
    """One after the other, all after `before`."""
    found: list[Brick] = []
    for brick in bricks:
        found.append(replace(brick, explicit=brick.explicit | before, watches=watches))
        before = frozenset({brick.key})
    return found


def _behind(part: Part, ahead: frozenset[Key]) -> Part:
    """The part, nothing of which is touched before."""
    bricks = (
        brick if isinstance(brick, User) else replace(brick, explicit=brick.explicit | ahead)
        for brick in part.resources
    )
    return replace(part, resources=tuple(bricks)) if ahead else part


def _watches(host: str, parts: Sequence[Part]) -> frozenset[Key]:
    """What disturbs the host's pods when it changes: all of its lane but proofs, and what its services load."""
    bricks = [brick for part in parts for brick in part.resources]
    loads = {path for brick in bricks if isinstance(brick, Unit) for path in brick.loads}
    own = {brick.key for brick in bricks if not isinstance(brick, Ready | Fallback | Settled)}
    return frozenset(own | {Key(host, "file", path) for path in loads})
