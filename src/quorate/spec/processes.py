"""The table of processes: which services a cluster has, on which hosts, and what others must know of them.

Whoever asks what runs where asks here: `status` and its health checks, the port matrix, what a loss means, drills,
`verify`, who rests while another restarts. A new service is one entry, beside the component that puts it on hosts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quorate.spec import metrics_server
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.layout import ETCD_WAY_UNIT, FIREWALL_UNIT
from quorate.spec.ports import (
    BALANCER_STATE,
    CONTROLLER_MANAGER,
    ETCD_CLIENT,
    ETCD_METRICS,
    ETCD_PEER,
    ETCD_WAY,
    ETCD_WAY_ROOM,
    ETCD_WAY_STATE,
    KUBELET,
    KUBELET_HEALTH,
    PROXY_HEALTH,
    PROXY_METRICS,
    SCHEDULER,
    Listener,
    metrics_on_hosts,
)

Where = Callable[[Cluster, Host], bool]


def _never(_cluster: Cluster, _host: Host) -> bool:
    """Of services that are there by what is found on a host: nobody can expect them by the file alone."""
    return False


def _nothing(_cluster: Cluster, _host: Host) -> tuple[Listener, ...]:
    return ()


@dataclass(frozen=True)
class Process:
    """A service that quorate may put on a host."""

    unit: str
    role: Role | None
    """Whose it is; None of nodes of any kind."""
    runs: Where = _never
    """Whether a host must have it."""
    vital: Callable[[Cluster], frozenset[Role]] = lambda _cluster: frozenset()
    """The roles that a host does not fill without it."""
    elected: bool = False
    """One of all leads, by a lease of its name; the others wait."""
    health: Callable[[Cluster, Host], str] | None = None
    """URL on the host that answers 2xx while it is well."""
    listens: Callable[[Cluster, Host], tuple[Listener, ...]] = _nothing
    starts_after: tuple[str, ...] = ()
    """Units of the host that come before it."""
    rests_for: tuple[str, ...] = ()
    """Units of the host whose restart it does not bear: it stops before, if others of its kind serve meanwhile."""
    drilled: bool = True
    """A fault of a drill may hit it."""

    @property
    def name(self) -> str:
        """The unit without its suffix."""
        return self.unit.removesuffix(".service")


def _has(role: Role) -> Where:
    return lambda _cluster, host: host.has(role)


def _balances(kind: str) -> Where:
    return lambda cluster, host: cluster.balances(host) and cluster.load_balancer.kind == kind


def _holds(cluster: Cluster, host: Host) -> bool:
    """Whether the host may hold the virtual IP."""
    return cluster.balances(host) and cluster.endpoint.vip is not None


def _vital(*roles: Role) -> Callable[[Cluster], frozenset[Role]]:
    return lambda _cluster: frozenset(roles)


def _vital_balancer(kind: str) -> Callable[[Cluster], frozenset[Role]]:
    """Of a balancer: to who serves others, and to a worker that balances for itself."""

    def roles(cluster: Cluster) -> frozenset[Role]:
        own = (Role.WORKER,) if cluster.endpoint.local else ()
        return frozenset((Role.LOAD_BALANCER, *own) if cluster.load_balancer.kind == kind else ())

    return roles


def _at_endpoint(cluster: Cluster, _host: Host) -> str:
    return f"https://127.0.0.1:{cluster.balancer_port}/readyz"


def _balancers_ports(cluster: Cluster, host: Host) -> tuple[Listener, ...]:
    found = [Listener(cluster.endpoint.port, "endpoint.port")] if host.has(Role.LOAD_BALANCER) else []
    if cluster.endpoint.local:
        found.append(Listener(cluster.endpoint.local_port, "endpoint.local_port", local=True))
    if cluster.vip_moves or cluster.endpoint.local or cluster.load_balancer.kind == "haproxy":
        found.append(Listener(BALANCER_STATE, "balancer's state", local=True))
    return tuple(found)


def _ports(*listeners: Listener) -> Callable[[Cluster, Host], tuple[Listener, ...]]:
    return lambda _cluster, _host: listeners


def _runtime(kind: str) -> Process:
    def vital(cluster: Cluster) -> frozenset[Role]:
        return frozenset({Role.WORKER} if cluster.runtime.kind == kind else ())

    def runs(cluster: Cluster, host: Host) -> bool:
        return host.has(Role.WORKER) and cluster.runtime.kind == kind

    below = ("containerd.service",) if kind == "docker" else ()
    return Process(f"{kind}.service", Role.WORKER, runs, vital, starts_after=below, drilled=False)


def _balancer(kind: str) -> Process:
    return Process(
        f"{kind}.service",
        Role.LOAD_BALANCER,
        _balances(kind),
        _vital_balancer(kind),
        health=_at_endpoint,
        listens=_balancers_ports,
    )


ETCD, WAY, APISERVER = "etcd.service", ETCD_WAY_UNIT, "kube-apiserver.service"
KUBELET_UNIT, KEEPALIVED = "kubelet.service", "keepalived.service"
RUNTIMES = ("containerd.service", "docker.service")
PROCESSES: tuple[Process, ...] = (
    Process(
        ETCD,
        Role.ETCD,
        _has(Role.ETCD),
        _vital(Role.ETCD),
        listens=_ports(
            Listener(ETCD_CLIENT, "etcd"),
            Listener(ETCD_PEER, "etcd peers"),
            Listener(ETCD_METRICS, "etcd metrics", local=True),
        ),
    ),
    Process(
        WAY,
        Role.CONTROL_PLANE,
        _has(Role.CONTROL_PLANE),
        _vital(Role.CONTROL_PLANE),
        health=lambda _cluster, _host: f"http://127.0.0.1:{ETCD_WAY_STATE}/",
        listens=_ports(
            *(Listener(port, "way to etcd", local=True) for port in (ETCD_WAY, ETCD_WAY_STATE, ETCD_WAY_ROOM))
        ),
    ),
    Process(
        APISERVER,
        Role.CONTROL_PLANE,
        _has(Role.CONTROL_PLANE),
        _vital(Role.CONTROL_PLANE),
        health=lambda cluster, host: f"https://{host.ip}:{cluster.apiserver.port}/readyz",
        listens=lambda cluster, _host: (Listener(cluster.apiserver.port, "apiserver.port"),),
        rests_for=(ETCD, WAY),
    ),
    Process(
        "kube-controller-manager.service",
        Role.CONTROL_PLANE,
        _has(Role.CONTROL_PLANE),
        _vital(Role.CONTROL_PLANE),
        elected=True,
        health=lambda _cluster, _host: f"https://127.0.0.1:{CONTROLLER_MANAGER}/healthz",
        listens=_ports(Listener(CONTROLLER_MANAGER, "kube-controller-manager", local=True)),
    ),
    Process(
        "kube-scheduler.service",
        Role.CONTROL_PLANE,
        _has(Role.CONTROL_PLANE),
        _vital(Role.CONTROL_PLANE),
        elected=True,
        health=lambda _cluster, _host: f"https://127.0.0.1:{SCHEDULER}/healthz",
        listens=_ports(Listener(SCHEDULER, "kube-scheduler", local=True)),
    ),
    Process(
        KUBELET_UNIT,
        Role.WORKER,
        _has(Role.WORKER),
        _vital(Role.WORKER),
        health=lambda _cluster, _host: f"http://127.0.0.1:{KUBELET_HEALTH}/healthz",
        listens=_ports(Listener(KUBELET, "kubelet"), Listener(KUBELET_HEALTH, "kubelet health", local=True)),
        starts_after=RUNTIMES,
    ),
    _runtime("containerd"),
    _runtime("docker"),
    Process(
        "kube-proxy.service",
        Role.WORKER,
        _has(Role.WORKER),
        health=lambda _cluster, host: f"http://{host.ip}:{PROXY_HEALTH}/healthz",
        listens=_ports(
            Listener(PROXY_METRICS, "kube-proxy metrics", local=True), Listener(PROXY_HEALTH, "kube-proxy health")
        ),
    ),
    Process("quorate-rules.service", Role.WORKER, _has(Role.WORKER), drilled=False),
    _balancer("nginx"),
    Process("quorate-upstreams.service", Role.LOAD_BALANCER, _balances("nginx"), drilled=False),
    _balancer("haproxy"),
    Process(
        "quorate-pulse.service",
        Role.LOAD_BALANCER,
        lambda cluster, host: cluster.balances(host) and cluster.vip_moves,
        drilled=False,
    ),
    Process(
        "quorate-watchdog.service",
        Role.LOAD_BALANCER,
        lambda cluster, host: cluster.balances(host) and cluster.endpoint.local,
        drilled=False,
    ),
    Process(
        KEEPALIVED,
        Role.LOAD_BALANCER,
        _holds,
        lambda cluster: frozenset({Role.LOAD_BALANCER} if cluster.endpoint.vip else ()),
    ),
    Process("quorate-address.service", Role.LOAD_BALANCER, _holds, drilled=False),
    Process(
        "quorate-routes.service",
        None,
        lambda cluster, host: (
            cluster.network.cni == "routed" and (host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE))
        ),
        drilled=False,
    ),
    Process("quorate-hostports.service", None, drilled=False),
    Process(FIREWALL_UNIT, None, drilled=False),
)


def starting(table: tuple[Process, ...]) -> tuple[Process, ...]:
    """A table in the order in which its services start: each after those that come before it."""
    by_unit = {process.unit: process for process in table}
    found: dict[str, Process] = {}

    def add(process: Process) -> None:
        for unit in process.starts_after:
            add(by_unit[unit])
        found.setdefault(process.unit, process)

    for process in table:
        add(process)
    return tuple(found.values())


_BUILT = (Role.ETCD, Role.CONTROL_PLANE, Role.LOAD_BALANCER, Role.WORKER, None)
"""Whose services are built first."""


def unit_names() -> tuple[str, ...]:
    """Every service that quorate may put on a host, as they start."""
    return tuple(process.unit for process in starting(PROCESSES))


def on(cluster: Cluster, host: Host) -> tuple[Process, ...]:
    """The services that a host must have, in the order in which they are built."""
    found = (process for process in starting(PROCESSES) if process.runs(cluster, host))
    return tuple(sorted(found, key=lambda process: _BUILT.index(process.role)))


def vital(cluster: Cluster, role: Role) -> tuple[str, ...]:
    """The names of the services without which a host does not do what a role is for."""
    return tuple(process.name for process in PROCESSES if role in process.vital(cluster))


def elected() -> tuple[str, ...]:
    """The names of those of which one leads."""
    return tuple(process.name for process in PROCESSES if process.elected)


def control_plane() -> tuple[str, ...]:
    """The units of a control plane as they start, without its way to etcd, which serves them until they have ended."""
    return tuple(each.unit for each in starting(PROCESSES) if each.role is Role.CONTROL_PLANE and each.unit != WAY)


def resting() -> Mapping[str, tuple[str, ...]]:
    """By unit, those of its host that rest while it restarts."""
    users: dict[str, tuple[str, ...]] = {}
    for process in PROCESSES:
        for unit in process.rests_for:
            users[unit] = (*users.get(unit, ()), process.unit)
    return users


def listeners(cluster: Cluster, host: Host) -> tuple[Listener, ...]:
    """The ports that are taken on a host, NodePorts aside: by sshd, services, and pods in the host's network."""
    found = [Listener(host.ssh.port or cluster.ssh.port or 22, "ssh.port")] if not host.ssh_address else []
    found += [listener for process in on(cluster, host) for listener in process.listens(cluster, host)]
    if host.has(Role.WORKER) and metrics_on_hosts(cluster):
        found.append(Listener(metrics_server.HOST_PORT, "metrics-server"))
    return tuple(found)
