"""What is true of the hosts and can't be chosen: frozen values, asked once and given to `compile`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    selinux: Literal["absent", "disabled", "permissive", "enforcing"] = "absent"
    time_sync: str = ""
    """Name of the active time daemon, empty when there is none."""
    sysctls: frozenset[str] = frozenset()
    """Those of the wanted sysctl keys that exist and are writable."""
    modules: frozenset[str] = frozenset()
    """Those of the wanted kernel modules that are built in, loaded or loadable."""
    resolv_conf: str = "/etc/resolv.conf"
    """The resolver file that names real upstream servers."""
    nameservers: tuple[str, ...] = ()
    """The servers that it names."""
    etcd_member: bool = False
    """Whether etcd's data directory holds a member."""
    members: tuple[Member, ...] = ()
    """All members of etcd, as the one on this host tells."""
    copy: str = ""
    """Cluster, number and digest of the sealed copy of a state folder that the host keeps."""
    running: frozenset[str] = frozenset()
    """Units of ours that are active."""


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
