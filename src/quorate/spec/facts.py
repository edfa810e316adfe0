"""What is true of the hosts and can't be chosen: frozen values, asked once and given to `compile`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal


@dataclass(frozen=True)
class Member:
    """One member of etcd, as another or itself tells it."""

    id: str
    """In hex, as etcdctl takes it."""
    name: str
    """Empty for one that was added and has never run."""
    peer_url: str
    learner: bool = False


@dataclass(frozen=True)
class Resolver:
    """A file that names whom to ask for names."""

    path: str
    servers: tuple[str, ...] = ()
    """Addresses, in its order."""


@dataclass(frozen=True)
class Address:
    """An address of a host."""

    interface: str
    address: IPv4Interface
    """With the length of its prefix."""


NOWHERE = ("blackhole", "unreachable", "prohibit")
"""Kinds of routes that say that there is no way."""


@dataclass(frozen=True)
class Route:
    """A way to other machines, as the kernel knows it."""

    to: IPv4Network
    via: str = ""
    """The gateway; empty where those machines are on the wire themselves."""
    dev: str = ""
    proto: str = ""
    """Who made it: `kernel` with an address, `static`, a daemon."""
    table: str = "main"
    nowhere: str = ""
    """The kind of a route by which nothing is reached, one of NOWHERE."""

    def __str__(self) -> str:
        ways = (("via", self.via), ("dev", self.dev), ("table", self.table if self.table != "main" else ""))
        told = [f"{word} {value}" for word, value in ways if value]
        return " ".join(filter(None, [self.nowhere, str(self.to), *told]))


@dataclass(frozen=True)
class Unmounted:
    """A mount point where nothing is mounted."""

    path: str
    told_by: str
    """The file, or the unit of systemd, that says that it is one."""

    def __str__(self) -> str:
        return f"{self.path} is a mount point by {self.told_by}, and nothing is mounted there"


@dataclass(frozen=True)
class HostFacts:
    """One host as found."""

    machine_id: str = ""
    os_id: str = "debian"
    """ID of /etc/os-release."""
    os_like: tuple[str, ...] = ()
    os_version: str = ""
    package_manager: Literal["apt", "dnf", "yum", "zypper", "none"] = "apt"
    arch: str = "amd64"
    kernel: str = ""
    cgroup: Literal["v1", "v2"] = "v2"
    interface: str = "eth0"
    """Interface that carries the host's address."""
    prefix: int = 24
    """Prefix length of the host's address."""
    addresses: tuple[Address, ...] = ()
    """All IPv4 addresses of the host."""
    router_id: int | None = None
    """The virtual_router_id of the host's keepalived, if ours runs there."""
    routes: tuple[Route, ...] = ()
    """Those to other machines, the kernel's with each address among them; not the routes to pods that we make."""
    memory_bytes: int = 0
    cpus: int = 1
    container: bool = False
    """The host shares its kernel with others (its clock and some limits are not its own)."""
    conntrack_writable: bool = True
    oom_adjustable: bool = True
    """Whether processes may lower oom_score_adj."""
    nofile_limit: int = 1048576
    """Highest RLIMIT_NOFILE that root can get."""
    ipvs: bool = True
    nftables: bool = True
    firewall: Literal["none", "firewalld", "ufw", "iptables"] = "none"
    networkd: tuple[tuple[str, str, str], ...] = ()
    """Where systemd-networkd runs: each link that it manages, its `.network` file, and the KeepConfiguration that the
    host's own files set."""
    network_manager: bool = False
    """Whether NetworkManager runs."""
    ssh_ports: tuple[int, ...] = ()
    """Where sshd listens, as far as the host says."""
    selinux: Literal["absent", "disabled", "permissive", "enforcing"] = "absent"
    time_sync: str = ""
    """Name of the active time daemon, empty when there is none."""
    sysctls: frozenset[str] = frozenset()
    """Those of the wanted sysctl keys that exist and are writable."""
    modules: frozenset[str] = frozenset()
    """Those of the wanted kernel modules that are built in, loaded or loadable."""
    resolvers: tuple[Resolver, ...] = ()
    """The resolver files that are there, in the order in which they are looked at."""
    etcd_member: bool = False
    """Whether etcd's data directory holds a member: a log, and not only what a start on an empty disk leaves."""
    restored: str = ""
    """The restore that etcd's data come from, by its id."""
    unmounted: Unmounted | None = None
    """A mount point that the data directory should lie on, and does not."""
    members: tuple[Member, ...] = ()
    """All members of etcd, as the one on this host tells."""
    etcd_leads: bool = False
    """Whether the host's member leads the others."""
    copy: str = ""
    """Cluster, number and digest of the sealed copy of a state folder that the host keeps."""
    running: frozenset[str] = frozenset()
    """Units of ours that are active."""

    def way(self, address: IPv4Address) -> Route | None:
        """The route by which the host reaches an address; None where there is none, or the host did not tell."""
        there = [route for route in self.routes if route.table == "main" and address in route.to]
        return max(there, key=lambda route: route.to.prefixlen, default=None)


@dataclass(frozen=True)
class Facts:
    """All hosts as found, and what was decided once and must not change."""

    hosts: Mapping[str, HostFacts] = field(default_factory=dict)
    pod_cidrs: Mapping[str, str] = field(default_factory=dict)
    """Each worker's part of the pod network, given once and kept in the state folder."""

    @property
    def members(self) -> tuple[Member, ...]:
        """All members of etcd, as the first host that has one tells."""
        return next((facts.members for _, facts in sorted(self.hosts.items()) if facts.members), ())

    def of(self, host: str) -> HostFacts:
        """Facts of one host; defaults for one that was not asked."""
        return self.hosts.get(host, HostFacts())
