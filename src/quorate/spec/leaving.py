"""Who leaves: hosts and roles that the cluster had when it was applied before, and that the file has no more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from quorate.spec.cluster import Cluster, Host, Role


@dataclass(frozen=True)
class Leaving:
    """A host that leaves with all it has, or that stays and loses roles."""

    host: Host
    """As it was."""
    roles: frozenset[Role]
    """Those that it had and has no more."""
    whole: bool
    """The file does not name the host any more."""

    def loses(self, role: Role) -> bool:
        """Whether it had the role and has it no more."""
        return role in self.roles


def leaving(now: Cluster, former: Sequence[Cluster]) -> tuple[Leaving, ...]:
    """All that leave, by name; of what a host was in several former clusters, the last one tells how to reach it."""
    was: dict[str, Host] = {}
    had: dict[str, set[Role]] = {}
    for cluster in former:
        for host in cluster.hosts:
            was[host.name] = host
            had.setdefault(host.name, set()).update(Role(role) for role in host.roles)
    stay = {host.name: {Role(role) for role in host.roles} for host in now.hosts}
    found = []
    for name, host in sorted(was.items()):
        lost = frozenset(had[name] - stay.get(name, set()))
        if lost:
            found.append(Leaving(host, lost, whole=name not in stay))
    return tuple(found)


@dataclass(frozen=True)
class FormerEndpoint:
    """An endpoint that clients are still pointed at while they move to another."""

    vip: str
    """Empty when the balancers never held it."""
    port: int
    local: bool = False
    """On loopback alone: each host's own."""
    hosts: tuple[str, ...] = ()
    """Addresses of those that had it."""


def _former_endpoint(cluster: Cluster) -> FormerEndpoint:
    hosts = tuple(host.ip for host in cluster.balancing)
    return FormerEndpoint(str(cluster.endpoint.vip or ""), cluster.balancer_port, cluster.endpoint.local, hosts)


def retiring(now: Cluster, former: Sequence[Cluster]) -> tuple[FormerEndpoint, ...]:
    """The endpoints that the balancers of former clusters held, and that are not the one of now."""
    if not now.balancing:
        return ()
    found: dict[FormerEndpoint, FormerEndpoint] = {}
    for endpoint in (_former_endpoint(was) for was in former if was.balancing):
        place = replace(endpoint, hosts=())
        before = found[place].hosts if place in found else ()
        found[place] = replace(endpoint, hosts=tuple(dict.fromkeys((*before, *endpoint.hosts))))
    found.pop(replace(_former_endpoint(now), hosts=()), None)
    return tuple(found.values())


def retiring_lines(now: Cluster, former: Sequence[Cluster]) -> tuple[str, ...]:
    """The lines for /etc/hosts of former endpoints' names, which clients look up until they are pointed elsewhere."""
    lines = dict.fromkeys(was.hosts_line for was in former if was.hosts_line)
    return tuple(line for line in lines if line != now.hosts_line)


def standing(now: Cluster, established: Cluster | None) -> Cluster | None:
    """The cluster as it was, when its nodes find it at its first master and are about to find it elsewhere."""
    if established is None or established.balancing or established.endpoint.vip or established.endpoint.address:
        return None
    endpoint = established.masters[0]
    stays = any(host.name == endpoint.name and host.ip == endpoint.ip for host in now.masters)
    return established if stays and now.node_url != established.node_url else None


@dataclass(frozen=True)
class Kept:
    """What of former clusters is served on in a stage: clients use it, or pods are there."""

    former_endpoints: tuple[FormerEndpoint, ...] = ()
    """Endpoints that the balancers keep besides their own until nobody is pointed at them any more."""
    names: tuple[str, ...] = ()
    """Their lines in /etc/hosts."""
    api_server: Cluster | None = None
    """The cluster without balancers that grows: its one API server is the endpoint, and runs on by its flags."""
    nodes: tuple[Host, ...] = ()
    """Workers that leave, and have pods yet."""
    hosts: tuple[Host, ...] = ()
    """Hosts that leave, and those that lose roles, as they were: others let them in."""
    runtime: str = ""
    """The runtime that nodes have pods of until they go over to the file's."""


def everybody(now: Cluster, former: Sequence[Cluster]) -> Cluster:
    """The cluster with the hosts that leave, so that they can be reached."""
    gone = tuple(each.host for each in leaving(now, former) if each.whole)
    return now.model_copy(update={"hosts": (*now.hosts, *gone)})
