"""From a cluster and the facts to every resource and its needs; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from quorate.component import COMPONENTS, access, apiserver, etcd
from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.operation import leaving, restore, runtimes
from quorate.operation.stage import Stage
from quorate.plan.around import NAME as AROUND
from quorate.plan.around import around
from quorate.plan.dependants import rested
from quorate.plan.fallback import fallen_back
from quorate.plan.gate import Gate, Turn
from quorate.plan.gone import removals
from quorate.plan.graph import After, Graph, Lane, Part, ahead, edges, in_turn, topological_order
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster

NODES = tuple(component.NAME for component in COMPONENTS if component.TURNS is Turns.CANARY)
"""What a worker runs for itself."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """All resources of a stage. What waits for what is worked out when somebody asks: where nothing has to be done,
    nobody does.
    """

    stage: str
    parts: tuple[Part, ...]
    context: Context
    answering: frozenset[str] = frozenset()
    """Hosts without which it does not begin."""

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """The resources, component after component and host after host."""
        return tuple(resource for part in self.parts for resource in part.resources)

    @cached_property
    def ordered(self) -> tuple[Resource, ...]:
        """The resources in an order in which they may be touched."""
        by_key = {resource.key: resource for resource in self.resources}
        return tuple(by_key[key] for key in self.needs if key in by_key)

    @cached_property
    def needs(self) -> Mapping[Key, frozenset[Key]]:
        """Of things and gates, each after what it needs. Raises PlanError when it goes round in a circle."""
        needs = self._graph.needs
        return {key: frozenset(needs[key]) for key in topological_order(needs)}

    @property
    def gates(self) -> Mapping[Key, Gate]:
        """What of `needs` is no thing."""
        return self._graph.gates

    @property
    def turns(self) -> Mapping[Key, Turn]:
        """Whose turn it is, of what waits for that."""
        return self._graph.turns

    @cached_property
    def component_of(self) -> Mapping[Key, str]:
        """The component of each thing."""
        return {resource.key: part.component for part in self.parts for resource in part.resources}

    @cached_property
    def _graph(self) -> Graph:
        return _linked(self.parts, self.context)


def compile_stage(stage: Stage) -> Compiled:
    """Ask every component about every host that answers, and add what the stage does besides and what has to go."""
    context = replace(stage.context, cluster=_ordered(stage.context.cluster))
    parts = _parts(context)
    if stage.parts is None:
        olds = [cluster for cluster in stage.context.former if cluster != stage.context.cluster]
        parts = removals(context, olds, parts, _parts, clears=stage.clears)
    parts = [fallen_back(part) if _serves(context, part) else part for part in parts]
    # Who rests may be of a part that is not asked.
    parts = rested(parts, lambda part: _serves(context, part))
    parts = [part for part in parts if stage.parts is None or part.component in stage.parts]
    parts = around(context, parts, NODES, lambda part: _runs(context, part))
    return Compiled(stage.name, (*parts, *_acts(stage)), context, stage.answering)


def _acts(stage: Stage) -> list[Part]:
    """What a stage does besides, as parts of hosts."""
    hosts: dict[str, list[Resource]] = {}
    for resource in stage.acts:
        hosts.setdefault(resource.host, []).append(resource)
    return [Part(stage.acts_of, host, tuple(mine)) for host, mine in hosts.items()]


def _linked(parts: Sequence[Part], context: Context) -> Graph:
    """The order of a stage.

    A component that runs already anywhere changes one host at a time, if it is one of those, each proven ready before
    the next; on an empty cluster all hosts start at once (etcd's first member is never healthy alone), but for API
    servers of minors where those race. A member that joins a running etcd comes after all that run.
    """
    running = {(part.component, part.host) for part in parts if _runs(context, part)}
    graph = edges(parts, _after_others(context.cluster), running)
    by_component: dict[str, list[Part]] = {}
    for part in parts:
        by_component.setdefault(part.component, []).append(part)
    for lane, names in _lanes(context.cluster):
        _in_turn(context, lane, [part for name in names for part in by_component.get(name, ())], graph)
    return graph


def _lanes(cluster: Cluster) -> Iterator[tuple[Lane, tuple[str, ...]]]:
    """Who changes in turn, with the components: those of control plane and balancers each for itself, what a worker
    runs for itself all at once, so that a host is disturbed once.
    """
    for component in COMPONENTS:
        if component.TURNS is Turns.STRICT:
            yield Lane(component.NAME, strict=True), (component.NAME,)
    rollout = cluster.rollout
    yield (
        Lane("node", strict=False, width=rollout.width(len(cluster.workers)), canaries=rollout.canaries),
        (*NODES, AROUND),
    )


def _after_others(cluster: Cluster) -> dict[str, After]:
    """What each component comes after, in numbers of this cluster."""
    enough = {Enough.ALL: None, Enough.MOST: len(cluster.members) // 2 + 1, Enough.ONE: 1, Enough.NONE: 0}
    found = {
        component.NAME: After(
            component.AFTER,
            {name: enough[each] for name, each in component.MEETS.items()},
            felt=component.TURNS is not Turns.TOGETHER,
        )
        for component in COMPONENTS
    }
    return {
        **found,
        leaving.NAME: After(),
        restore.NAME: After(),
        runtimes.NAME: After(),
        AROUND: After(everywhere={access.NAME: 0}),
    }


def _in_turn(context: Context, lane: Lane, mine: Sequence[Part], graph: Graph) -> None:
    """Who waits for whom among the hosts of a lane."""
    hosts: dict[str, list[Part]] = {}
    for part in mine:
        hosts.setdefault(part.worker or part.host, []).append(part)
    member = lane.name == etcd.NAME
    joining = [parts for host, parts in hosts.items() if member and context.joins(context.cluster.host(host))]
    rest = [parts for parts in hosts.values() if parts not in joining]
    running = [parts for parts in rest if any(_runs(context, part) for part in parts)]
    # Each leader that stops is an election, and a window without writes: it comes last, so there is one.
    running.sort(key=lambda parts: member and context.of(context.cluster.host(parts[0].host)).etcd_leads)
    stopped = [parts for parts in rest if parts not in running]
    if running or joining:
        # A balancer that serves its own host alone is no loss to others.
        strict = lane.strict and not all(part.alone for part in mine)
        in_turn(graph, replace(lane, strict=strict), stopped, running, joining)
    elif lane.name == apiserver.NAME and context.minor.first_start_race and context.established is None:
        first = next((part for part in mine if part.host == context.api_host.name), None)
        if first:
            ahead(graph, first, [part for part in mine if part is not first])


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
    """Whether a service of the part runs, be it one that it is about to exchange."""
    gone = [resource for removal in part.resources if isinstance(removal, Removal) for resource in removal.resources]
    return _serves(context, part) or _any_runs(context, part.host, gone)


def _serves(context: Context, part: Part) -> bool:
    """Whether one of its own services runs: then there is something to go back to."""
    return _any_runs(context, part.host, part.resources)


def _any_runs(context: Context, host: str, resources: Iterable[Resource]) -> bool:
    running = context.facts.of(host).running
    return any(isinstance(resource, Unit) and resource.unit in running for resource in resources)
