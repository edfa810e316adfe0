"""What rests while a service of its host restarts: it would answer with errors meanwhile, and others can serve.

An API server that stops in good order is left by its clients first; one whose way to etcd is cut answers what it was
doing with an error, and nobody knows whether a write was done. So it stops before its member of etcd, or its way there,
and starts after it, once a host; the next host's turn comes when it answers again. Where it is the only one that runs,
the shorter outage is the better one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from quorate.core import Key
from quorate.plan.graph import Part
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit
from quorate.spec.processes import resting


def rested(parts: Sequence[Part], runs: Callable[[Part], bool]) -> list[Part]:
    """The parts, those that run and have users that do letting them rest, if these run on another host as well."""
    users = {unit for units in resting().values() for unit in units}
    running: dict[str, dict[str, Part]] = {unit: {} for unit in users}
    for part in parts:
        for unit in users & {resource.unit for resource in _units(part)}:
            if runs(part):
                running[unit][part.host] = part

    def let_rest(part: Part) -> Part:
        named = (user for resource in _units(part) for user in resting().get(resource.unit, ()))
        found = {user: running[user][part.host] for user in named if part.host in running[user]}
        found = {user: serving for user, serving in found.items() if len(running[user]) > 1}
        return _resting(part, found) if found and runs(part) else part

    return [let_rest(part) for part in parts]


def _units(part: Part) -> list[Unit]:
    return [resource for resource in part.resources if isinstance(resource, Unit)]


def _resting(part: Part, users: Mapping[str, Part]) -> Part:
    """The part that lets its users rest, and proves that they answer again."""
    watches = frozenset(_watched(part.resources))
    proofs = (
        # Of this host alone: whoever waits for the part does not wait for its users.
        replace(resource, what=f"{resource.what} after {part.component}", own=True, company=(), watches=watches)
        for user in users.values()
        for resource in user.resources
        if isinstance(resource, Ready)
    )
    resources = (
        replace(resource, dependants=tuple(users)) if isinstance(resource, Unit) else resource
        for resource in part.resources
    )
    return replace(part, resources=(*resources, *proofs))


def _watched(resources: Iterable[Resource]) -> Iterable[Key]:
    """The services, and what they load."""
    for unit in (resource for resource in resources if isinstance(resource, Unit)):
        yield unit.key
        yield from (Key(unit.host, "file", path) for path in unit.loads)
