"""What has to go: everything that a former cluster had on a host and that the file does not want there any more."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from quorate.component import COMPONENTS
from quorate.component.context import Context
from quorate.core import Blob, Key
from quorate.operation import leaving
from quorate.plan.graph import Part
from quorate.resource.file import Directory
from quorate.resource.package import Packages
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.leaving import Leaving
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

Parts = Callable[[Context], list[Part]]


class _Any(dict[str, str]):
    """Something for every name: what is taken away is known by its place, not by its content."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, _name: str) -> object:
        return self._value

    def __contains__(self, _name: object) -> bool:
        return True

    def get(self, _name: object, _default: object = None) -> object:  # type: ignore[override]
        return self._value


def _past(context: Context, cluster: Cluster) -> Context:
    """The inputs that make the places of a former cluster's resources."""
    facts = Facts(context.facts.hosts, pod_cidrs=_Any("192.0.2.0/24"))
    pems = Secrets(_Any(b"-"), _Any("-"))  # type: ignore[arg-type]
    supply = places(context.supply.parts)
    return Context(cluster, facts, supply, pems, table(cluster.versions.kubernetes), _Any(""), absent=context.absent)


def _behind(context: Context) -> Iterator[Context]:
    """The same for hosts that were away, each for itself."""
    for host, clusters in context.behind.items():
        for cluster in clusters if host not in context.absent else ():
            others = frozenset(each.name for each in cluster.hosts if each.name != host)
            yield replace(_past(context, cluster), absent=others)


def places(parts: Mapping[str, tuple[str, ...]]) -> Supply:
    """A supply that names what there may be and has nothing of it: enough to take things away."""
    return replace(Supply(), binaries=_Any(Blob(Path("/nonexistent"), "", 0)), parts=parts)  # type: ignore[arg-type]


def removals(
    context: Context, olds: Sequence[Cluster], now: Sequence[Part], parts: Parts, *, clears: bool
) -> list[Part]:
    """The parts of now, with what the clusters in `olds` left behind taken away where it is.

    On a host that keeps its roles, the old things of a part go before the new ones start, which may want the same port.
    The rest goes where a stage `clears`, the last started first: whole parts, and what belongs to a host or a role that
    leaves.
    """
    kept = {resource.key for part in now for resource in part.resources}
    old: dict[tuple[str, str], dict[Key, Resource]] = defaultdict(dict)
    for past in (*(_past(context, cluster) for cluster in olds), *_behind(context)):
        past = replace(past, cluster=_let_go(context.cluster, past.cluster))
        for part in parts(past):
            if part.host not in context.absent:
                old[part.host, part.component] |= {b.key: b for b in part.resources if b.key not in kept}
    goes = {each.host.name: each for each in context.leaving}
    found = list(now)
    for host, mine in _by_host(old).items():
        each = goes.get(host)
        if each is not None and each.whole:
            found += [_cleaning(each, mine)] if clears else []
            continue
        wanted = _packages(now, host)
        stay = _directories(now, host)
        alone = {component: list(_alone(resources, wanted, stay)) for component, resources in mine.items()}
        if each is None:
            found = [_first(part, alone.get(part.component, ())) if part.host == host else part for part in found]
            here = {part.component for part in now if part.host == host}
            alone = {component: resources for component, resources in alone.items() if component not in here}
            each = Leaving(context.cluster.host(host), frozenset(), whole=False)
        if clears:
            acts = frozenset(key for part in now if part.host == host for key in part.acts)
            found += _last(each, alone, acts)
    return found


def _let_go(now: Cluster, was: Cluster) -> Cluster:
    """A former cluster without the Docker that the file leaves to its hosts."""
    if not now.runtime.keep_docker:
        return was
    return was.model_copy(update={"runtime": was.runtime.model_copy(update={"kind": now.runtime.kind})})


def _packages(parts: Sequence[Part], host: str) -> set[str]:
    """The packages that a host shall have."""
    resources = (resource for part in parts if part.host == host for resource in part.resources)
    return {name for resource in resources if isinstance(resource, Packages) for name in resource.packages}


def _directories(parts: Sequence[Part], host: str) -> set[str]:
    """The directories that a host shall have."""
    resources = (resource for part in parts if part.host == host for resource in part.resources)
    return {resource.path for resource in resources if isinstance(resource, Directory)}


def _by_host(old: Mapping[tuple[str, str], Mapping[Key, Resource]]) -> dict[str, dict[str, list[Resource]]]:
    """Resources by host and component, components in the order in which they go."""
    rank = {component.NAME: number for number, component in enumerate(COMPONENTS)}
    hosts: dict[str, dict[str, list[Resource]]] = defaultdict(dict)
    for (host, component), resources in sorted(old.items(), key=lambda item: (item[0][0], -rank[item[0][1]])):
        if resources:
            hosts[host][component] = list(resources.values())
    return hosts


def _backwards(resources: Sequence[Resource]) -> Iterator[Resource]:
    """What runs, then what lies on the disk."""
    for passive in (False, True):
        yield from (resource for resource in reversed(resources) if resource.passive is passive)


def _cleaning(each: Leaving, mine: Mapping[str, Sequence[Resource]]) -> Part:
    resources = [resource for part in reversed(list(mine.values())) for resource in part]
    name = each.host.name
    goes = Removal(host=name, what=leaving.EVERYTHING, resources=tuple(_backwards(resources)), whole=True)
    return Part(leaving.NAME, name, (goes,))


def _alone(resources: Sequence[Resource], wanted: set[str], stay: set[str]) -> Iterator[Resource]:
    """The resources, without what others want: packages of another part of the host, directories that `stay`."""
    for resource in resources:
        if isinstance(resource, Directory):
            above = (str(parent) for parent in PurePosixPath(resource.path).parents)
            yield replace(resource, within=next((path for path in above if path in stay), ""))
        elif not isinstance(resource, Packages):
            yield resource
        elif rest := tuple(name for name in resource.packages if name not in wanted):
            yield replace(resource, packages=rest, alone=True)


def _first(part: Part, resources: Sequence[Resource]) -> Part:
    """The part with the removal of its old things before anything of it runs."""
    if not any(resource.traces or resource.brought for resource in resources):
        return part
    goes = Removal(host=part.host, what=part.component, resources=tuple(_backwards(resources)))
    first = next((n for n, resource in enumerate(part.resources) if not resource.passive), len(part.resources))
    return replace(part, resources=(*part.resources[:first], goes, *part.resources[first:]))


def _last(each: Leaving, mine: Mapping[str, Sequence[Resource]], before: frozenset[Key]) -> Iterator[Part]:
    """The removals of a host that loses roles or parts, one part of the cluster after the other, and all after what
    still acts there, which may use them so long.
    """
    for component, resources in mine.items():
        if any(resource.traces or resource.brought for resource in resources):
            goes = Removal(host=each.host.name, what=component, resources=tuple(_backwards(resources)), explicit=before)
            before = frozenset({goes.key})
            yield Part(leaving.NAME, each.host.name, (goes,))
