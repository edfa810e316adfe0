"""Who listens where, and who may talk to it: the port matrix, computed from the cluster file as plain data.

Firewall rules and the documentation are views of it; who takes which port of a host is in `processes`. Ports are
those of kubernetes.io "Ports and Protocols", etcd's defaults, and VRRP (RFC 9568: IP protocol 112).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from quorate.spec import metrics_server
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.leaving import FormerEndpoint

ETCD_CLIENT = 2379
ETCD_PEER = 2380
ETCD_METRICS = 2381
"""Health and metrics without TLS, on loopback only."""
ETCD_WAY = 2382
"""The API server's way to etcd, on loopback; not etcd's own port, for a member may be on the same host."""
ETCD_WAY_STATE = 2383
"""Whether that way leads to a member, and to which; on loopback, plain HTTP."""
BALANCER_STATE = 2384
"""Where a balancer answers by itself, on loopback, plain HTTP: that it runs, and what haproxy knows of the API servers.
Beside the two above, which it may meet."""
ETCD_WAY_ROOM = 2385
"""Where the way to etcd leads while no member answers, on loopback."""
KUBELET = 10250
KUBELET_HEALTH = 10248
PROXY_METRICS = 10249
PROXY_HEALTH = 10256
CONTROLLER_MANAGER = 10257
SCHEDULER = 10259
ANY = ("any",)


@dataclass(frozen=True)
class Listener:
    """A process with a port of its host; `field` is the setting that gives the port, or the process."""

    port: int
    field: str
    local: bool = False
    """On loopback only."""


@dataclass(frozen=True)
class Opening:
    """Something to let in on a host; `ports` are ports or ranges `first-last`, none for `vrrp` and `all`."""

    protocol: Literal["tcp", "udp", "vrrp", "all"]
    ports: tuple[str, ...]
    sources: tuple[str, ...]
    """Addresses and networks, sorted; `("any",)` for everybody."""
    purpose: str

    def told(self, most: int = 1000) -> str:
        """In words, with no more than so many of its sources."""
        what = {"vrrp": "VRRP", "all": "everything"}.get(self.protocol) or f"{'+'.join(self.ports)}/{self.protocol}"
        more = len(self.sources) - most
        listed = ", ".join(self.sources[:most]) + (f" and {more} more" if more > 0 else "")
        return f"{what} from {'everybody' if self.sources == ANY else listed} ({self.purpose})"


def openings(cluster: Cluster, host: Host, retiring: Sequence[FormerEndpoint] = ()) -> tuple[Opening, ...]:
    """What a host must let in from outside itself; nothing else is needed. SSH is not ours to open: whoever brings
    quorate to a host is let in already, and from where others may come is the host's own decision.

    kube-apiserver is open to all hosts, to pods (which reach it as the `kubernetes` service) and, where it is
    itself the endpoint or behind an address that quorate does not run, to everybody. `retiring` are endpoints that the
    host still serves.
    """
    former_endpoints = [former for former in retiring if not former.local]
    masters, members, workers = _ips(cluster.masters), _ips(cluster.members), _ips(cluster.workers)
    balancers, everyone = _ips(cluster.balancers), _ips(cluster.hosts)
    pods = str(cluster.network.pod_cidr)
    found: list[Opening] = []
    if host.has(Role.ETCD):
        found.append(_tcp(ETCD_CLIENT, [*masters, *members], "etcd clients"))
        found.append(_tcp(ETCD_PEER, members, "etcd peers"))
    if host.has(Role.CONTROL_PLANE):
        fronted = bool(cluster.endpoint.vip or (cluster.endpoint.address and balancers)) and len(
            former_endpoints
        ) == len(retiring)
        found.append(_tcp(cluster.apiserver.port, [*everyone, pods] if fronted else ANY, "kube-apiserver"))
    if host.has(Role.LOAD_BALANCER):
        ports = dict.fromkeys([cluster.endpoint.port, *(former.port for former in former_endpoints)])
        found += [_tcp(port, ANY, "API endpoint") for port in ports]
        if cluster.endpoint.vip and len(balancers) > 1:
            found.append(Opening("vrrp", (), _sorted(balancers), "VRRP of the balancers"))
    else:
        found += [opening for former in former_endpoints for opening in _held(former)]
    if host.has(Role.WORKER):
        found.append(_tcp(KUBELET, [*masters, *workers, pods], "kubelet"))
        if metrics_on_hosts(cluster):
            found.append(_tcp(metrics_server.HOST_PORT, masters, "metrics-server"))
        span = cluster.network.node_ports
        found += [Opening(protocol, (span,), ANY, "NodePorts") for protocol in ("tcp", "udp")]
        found.append(Opening("all", (), _sorted([pods, *workers]), "pods and overlay networks of other nodes"))
    own = host.ip
    peers = (_without(opening, own) for opening in found)
    return tuple(opening for opening in peers if opening.sources)


def _held(former: FormerEndpoint) -> Iterable[Opening]:
    """What a balancer of before goes on letting in until nobody is pointed at it any more."""
    yield _tcp(former.port, ANY, "API endpoint")
    if former.vip and len(former.hosts) > 1:
        yield Opening("vrrp", (), _sorted(former.hosts), "VRRP of the balancers")


def metrics_on_hosts(cluster: Cluster) -> bool:
    """Whether metrics-server takes a port of its host."""
    return metrics_server.wanted(cluster) and metrics_server.on_hosts(cluster)


def _tcp(port: int, sources: Iterable[str], purpose: str) -> Opening:
    return Opening("tcp", (str(port),), _sorted(sources), purpose)


def _without(opening: Opening, own: str) -> Opening:
    """The opening for others: a host's own traffic never meets its firewall."""
    sources = tuple(source for source in opening.sources if source != own)
    return Opening(opening.protocol, opening.ports, sources, opening.purpose)


def _ips(hosts: Iterable[Host]) -> list[str]:
    return [host.ip for host in hosts]


def _sorted(sources: Iterable[str]) -> tuple[str, ...]:
    """Addresses in numeric order, each once, so that rules are the same whatever the order of the file."""

    def rank(source: str) -> tuple[tuple[int, ...], str]:
        return tuple(int(part) for part in source.partition("/")[0].split(".") if part.isdigit()), source

    return tuple(sorted(set(sources), key=rank))
