"""From a cluster and the facts to every resource and its needs; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quorate.component import COMPONENTS, apiserver, etcd, leaving
from quorate.component.context import Component, Context
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.plan.gate import Gate
from quorate.plan.gone import removals
from quorate.plan.graph import After, Graph, Part, ahead, edges, in_turn, order
from quorate.resource.block import Block
from quorate.resource.brick import Brick
from quorate.resource.removal import Removal
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Cluster, Role
from quorate.spec.leaving import retiring, retiring_lines, standing


@dataclass(frozen=True)
class Compiled:
    """All resources in an order in which they may be touched."""

    resources: tuple[Brick, ...]
    needs: Mapping[Key, frozenset[Key]]
    """Of things and gates, each after what it needs."""
    component_of: Mapping[Key, str]
    gates: Mapping[Key, Gate] = field(default_factory=dict)
    """What of `needs` is no thing."""


def compile_cluster(context: Context) -> Compiled:
    """Ask every component about every host that answers, add what has to go, and derive the order.

    A component that runs already anywhere changes one host at a time, if it is one of those, each proven ready before
    the next; on an empty cluster all hosts start at once (etcd's first member is never healthy alone), but for API
    servers of minors where those race. A member that joins a running etcd comes after all that run.
    """
    olds = [cluster for cluster in context.former if cluster != context.cluster]
    context = replace(context, cluster=_ordered(context.cluster))
    doors = retiring(context.cluster, olds)
    door = standing(context.cluster, context.established)
    lines = retiring_lines(context.cluster, olds)
    drains = any(each.loses(Role.WORKER) for each in context.leaving)
    meanwhile = replace(context, retiring=doors, retiring_lines=lines, standing=door, transition=drains)
    now = _parts(meanwhile)
    parts = removals(context, olds, now, _parts)
    if doors or lines or door or drains:
        ends = _later(now, _parts(context), leaving.drains(context))
        parts = [*_after(ends, parts), *ends]
    running = {(part.component, part.host) for part in parts if _runs(context, part)}
    graph = edges(parts, _after_others(context.cluster), running)
    for component in COMPONENTS:
        _in_turn(context, component, [part for part in parts if part.component == component.NAME], graph)
    by_key = {brick.key: brick for part in parts for brick in part.resources}
    sequence = order(graph.needs)
    return Compiled(
        tuple(by_key[key] for key in sequence if key in by_key),
        {key: frozenset(graph.needs[key]) for key in sequence},
        {brick.key: part.component for part in parts for brick in part.resources},
        graph.gates,
    )


def _after_others(cluster: Cluster) -> dict[str, After]:
    """What each component comes after, in numbers of this cluster."""
    enough = {Enough.ALL: None, Enough.MOST: len(cluster.members) // 2 + 1, Enough.ONE: 1, Enough.NONE: 0}
    return {
        component.NAME: After(
            component.AFTER,
            {name: enough[each] for name, each in component.MEETS.items()},
            felt=component.TURNS is not Turns.TOGETHER,
        )
        for component in COMPONENTS
    }


def _in_turn(context: Context, component: Component, mine: Sequence[Part], graph: Graph) -> None:
    """Who waits for whom among the hosts of one component."""
    joining = [part for part in mine if component is etcd and context.joins(context.cluster.host(part.host))]
    rest = [part for part in mine if part not in joining]
    running = [part for part in rest if _runs(context, part)]
    stopped = [part for part in rest if part not in running]
    if component.TURNS is not Turns.TOGETHER and (running or joining):
        # A balancer that serves its own host alone is no loss to others.
        strict = component.TURNS is Turns.STRICT and not all(part.alone for part in mine)
        in_turn(graph, stopped, running, joining=joining, strict=strict)
    elif component is apiserver and context.minor.first_start_race and context.established is None:
        first = next((part for part in mine if part.host == context.spokesman.name), None)
        if first:
            ahead(graph, first, [part for part in mine if part is not first])


def _later(now: list[Part], final: list[Part], after: frozenset[Key]) -> list[Part]:
    """What differs when the transition is over, and the services that load it: done after everything else."""
    meanwhile = {brick.key: brick.desired for part in now for brick in part.resources}
    found = []
    for part in final:
        files = [brick for brick in part.resources if brick.desired != meanwhile.get(brick.key)]
        paths = {path for brick in files for path in brick.traces}
        loads = [brick for brick in part.resources if isinstance(brick, Unit) and paths & set(brick.loads)]
        gates = [brick for brick in part.resources if isinstance(brick, Ready) and loads]
        bricks = tuple(
            replace(brick, later=True, explicit=brick.explicit | after) for brick in (*files, *loads, *gates)
        )
        if bricks:
            found.append(Part(leaving.NAME, part.host, bricks))
    return _names_first(found)


def _names_first(parts: list[Part]) -> list[Part]:
    """The parts, with /etc/hosts of every host before all else: nobody looks up an endpoint that goes now."""
    names = frozenset(brick.key for part in parts for brick in part.resources if isinstance(brick, Block))

    def behind(brick: Brick) -> Brick:
        return brick if isinstance(brick, Block) else replace(brick, explicit=brick.explicit | names)

    return [replace(part, resources=tuple(map(behind, part.resources))) for part in parts]


def _after(ends: list[Part], parts: list[Part]) -> list[Part]:
    """The parts, with a host's old things taken away only when its transition is over: it may use them so long."""
    found = []
    for part in parts:
        keys = frozenset(brick.key for end in ends if end.host == part.host for brick in end.resources)
        goes = [
            replace(brick, explicit=brick.explicit | keys) if isinstance(brick, Removal) else brick
            for brick in part.resources
        ]
        found.append(replace(part, resources=tuple(goes)) if part.component == leaving.NAME else part)
    return found


def _parts(context: Context) -> list[Part]:
    """What each component wants on each host that answers."""
    found = [
        Part(component.NAME, host.name, tuple(component.resources(context, host)))
        for component in COMPONENTS
        for host in context.cluster.hosts
        if host.name not in context.absent
    ]
    return [part for part in found if part.resources]


def _ordered(cluster: Cluster) -> Cluster:
    """The hosts by name, so that moving one in the file moves nothing in a cluster; only the order of the
    balancers among themselves says something: the first is preferred for the virtual IP.
    """
    balancers = iter(cluster.balancers)
    names = {host.name for host in cluster.balancers}
    hosts = sorted(cluster.hosts, key=lambda host: host.name)
    return cluster.model_copy(
        update={"hosts": tuple(next(balancers) if host.name in names else host for host in hosts)}
    )


def _runs(context: Context, part: Part) -> bool:
    running = context.facts.of(part.host).running
    gone = [brick for removal in part.resources if isinstance(removal, Removal) for brick in removal.bricks]
    return any(isinstance(brick, Unit) and brick.unit in running for brick in (*part.resources, *gone))
