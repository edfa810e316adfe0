"""What rests while a service of its host restarts: it would answer with errors meanwhile, and others can serve.

An API server that stops in good order is left by its clients first; one whose way to etcd is cut answers what it was
doing with an error, and nobody knows whether a write was done. So it stops before its member of etcd, or its way there,
and starts after it, once a host; the next host's turn comes when it answers again. Where it is the only one that runs,
the shorter outage is the better one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from quorate.component import apiserver, etcd, etcd_way
from quorate.core import Key
from quorate.plan.graph import Part
from quorate.resource.brick import Brick
from quorate.resource.unit import Ready, Unit

DEPENDANTS: Mapping[str, str] = {etcd.NAME: apiserver.NAME, etcd_way.NAME: apiserver.NAME}
"""By component, the one that uses it on its host."""


def rested(parts: Sequence[Part], runs: Callable[[Part], bool]) -> list[Part]:
    """The parts, those that run and have a dependant that does letting it rest, if it runs on another host as well."""
    running: dict[str, dict[str, Part]] = {name: {} for name in DEPENDANTS.values()}
    for part in parts:
        if part.component in running and runs(part):
            running[part.component][part.host] = part

    def resting(part: Part) -> Part:
        serving = running[DEPENDANTS[part.component]] if part.component in DEPENDANTS else {}
        user = serving.get(part.host)
        return _resting(part, user) if user and len(serving) > 1 and runs(part) else part

    return [resting(part) for part in parts]


def _resting(part: Part, user: Part) -> Part:
    """The part that lets its user rest, and proves that it answers again."""
    units = tuple(brick.unit for brick in user.resources if isinstance(brick, Unit))
    watches = frozenset(_watched(part.resources))
    proofs = (
        # Of this host alone: whoever waits for the part does not wait for its user.
        replace(brick, what=f"{brick.what} after {part.component}", own=True, company=(), watches=watches)
        for brick in user.resources
        if isinstance(brick, Ready)
    )
    bricks = (replace(brick, dependants=units) if isinstance(brick, Unit) else brick for brick in part.resources)
    return replace(part, resources=(*bricks, *proofs))


def _watched(bricks: Iterable[Brick]) -> Iterable[Key]:
    """The services, and what they load."""
    for unit in (brick for brick in bricks if isinstance(brick, Unit)):
        yield unit.key
        yield from (Key(unit.host, "file", path) for path in unit.loads)
