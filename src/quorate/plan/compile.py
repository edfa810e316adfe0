"""From a cluster and the facts to every resource and its needs; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from quorate.component import COMPONENTS
from quorate.component.context import Context
from quorate.core import Key
from quorate.plan import graph
from quorate.resource.brick import Brick
from quorate.spec.cluster import Cluster


@dataclass(frozen=True)
class Compiled:
    """All resources in an order in which they may be touched."""

    resources: tuple[Brick, ...]
    needs: Mapping[Key, frozenset[Key]]
    component_of: Mapping[Key, str]


def compile_cluster(context: Context) -> Compiled:
    """Ask every component about every host, and derive the order.

    A component marked SERIAL that runs already anywhere changes one host at a time, each proven ready before
    the next; on an empty cluster all hosts start at once (etcd's first member is never healthy alone).
    """
    context = replace(context, cluster=_ordered(context.cluster))
    parts = [
        graph.Part(component.NAME, host.name, tuple(component.resources(context, host)))
        for component in COMPONENTS
        for host in context.cluster.hosts
    ]
    parts = [part for part in parts if part.resources]
    after = {component.NAME: component.AFTER for component in COMPONENTS}
    needs = graph.edges(parts, after)
    for component in COMPONENTS:
        mine = [part for part in parts if part.component == component.NAME]
        running = [part for part in mine if _runs(context, part)]
        if component.SERIAL and running:
            needs = graph.serial([part for part in mine if part not in running], running, needs)
    by_key = {brick.key: brick for part in parts for brick in part.resources}
    ordered = tuple(by_key[key] for key in graph.order(needs))
    return Compiled(ordered, needs, {brick.key: part.component for part in parts for brick in part.resources})


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


def _runs(context: Context, part: graph.Part) -> bool:
    running = context.facts.of(part.host).running
    return any(brick.key.kind == "unit" and brick.name in running for brick in part.resources)
