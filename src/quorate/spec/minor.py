"""What one Kubernetes minor is: a row of the version table, and how versions compare."""

from dataclasses import dataclass
from typing import Literal

from quorate.core import QuorateError

ProxyMode = Literal["iptables", "ipvs", "nftables"]


def parts(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: `1.20.2` is (1, 20, 2).

    A leading `v` and what follows `-` or `+` count for nothing. Raises `QuorateError` when it is no version.
    """
    core = version.removeprefix("v").split("-")[0].split("+")[0]
    try:
        return tuple(int(part) for part in core.split("."))
    except ValueError:
        raise QuorateError(f"{version!r} is not a version", "write it as 1.20.2") from None


@dataclass(frozen=True)
class Range:
    """Versions from `low` (included) to `below` (excluded)."""

    low: str
    below: str

    def __contains__(self, version: str) -> bool:
        return parts(self.low) <= parts(version) < parts(self.below)

    def __str__(self) -> str:
        return f"{self.low} or later, before {self.below}"


@dataclass(frozen=True)
class Flaw:
    """Releases of a part with a fault that is known."""

    releases: Range
    fault: str
    """What they do, as the end of a sentence that begins with the release."""
    never: bool = False
    """It breaks a cluster or its data: refused. Else it is told, and stops nothing."""


@dataclass(frozen=True)
class Minor:
    """One Kubernetes minor; a field that names a flag or a configuration field says whether that exists."""

    kubernetes: str
    """The minor itself, such as `1.20`."""

    etcd: str
    """The etcd release installed unless the cluster file names one."""
    etcd_range: Range
    containerd: str
    containerd_range: Range
    """What kubelet can talk to at all."""
    containerd_floors: tuple[str, ...]
    """What containerd's project tests with this minor: the least patch of each of its lines; empty where not known."""
    runc: str
    cni_plugins: str
    crictl: str
    age: str
    docker: str | None
    """Docker release to install; None where kubelet has no dockershim."""
    docker_range: Range | None
    pause_image: str
    coredns_image: str
    coredns: str | None
    """The CoreDNS that quorate can build an image of; None where it wants an API that the minor does not serve."""
    metrics_server: str | None
    """The metrics-server that quorate can build an image of; None where none of those that can be had fits."""

    oldest_kubelet: str
    """The oldest kubelet and kube-proxy minor that may meet an API server of this one."""
    control_plane_labels: tuple[str, ...]
    """Labels that mark a control-plane node."""
    control_plane_taints: tuple[str, ...]
    """Keys of the NoSchedule taints that keep pods off a control-plane node."""

    scheduler_api: str
    """apiVersion of KubeSchedulerConfiguration."""
    controller_plain_port: bool
    """controller-manager still opens plain HTTP at port 10252, on all addresses unless told otherwise."""
    scheduler_plain_port: bool
    """scheduler still opens plain HTTP at port 10251, on all addresses unless told otherwise."""
    authentication_api: str | None
    """apiVersion of AuthenticationConfiguration, where its `anonymous` needs no feature gate."""

    watch_termination_flag: bool
    """API server has `--shutdown-watch-termination-grace-period`."""
    first_start_race: bool
    """Of several API servers that start on an empty etcd, one may find that another has just made an address of a
    service, give up, and end after a minute."""

    dockershim: bool
    """kubelet has `--network-plugin` and `--cni-*`, and starts containers with Docker by default."""
    runtime_flag: bool
    """kubelet must be told `--container-runtime=remote`."""
    runtime_endpoint_field: bool
    """KubeletConfiguration has `containerRuntimeEndpoint`; else it is a flag."""
    sandbox_image_flag: bool
    """kubelet has `--pod-infra-container-image`."""
    fail_cgroup_v1_field: bool
    """KubeletConfiguration has `failCgroupV1`."""
    fail_cgroup_v1_default: bool
    """kubelet refuses cgroup v1 unless that field is false."""

    proxy_modes: tuple[ProxyMode, ...]
    nftables_gate: bool
    """kube-proxy wants the feature gate NFTablesProxyMode for its nftables mode."""
    ipvs_deprecated: bool
    """kube-proxy warns of its ipvs mode."""

    @property
    def containerd_config(self) -> int:
        """Version of containerd's configuration for the default containerd: 3 from 2.0 on, else 2."""
        return containerd_config(self.containerd)


def containerd_config(version: str) -> int:
    """Version of containerd's configuration file: 3 came with containerd 2.0, which moved the CRI keys."""
    return 3 if parts(version) >= (2, 0) else 2


def containerd_static(version: str) -> bool:
    """Whether a containerd release has a statically linked archive beside the usual one: from 1.7.0 on.

    The usual ones want the build machine's C library: glibc 2.31 for 1.7 and 2.0, glibc 2.35 from 2.1 on by
    upstream's release notes, which Debian 11 and RHEL 8 and 9 don't have. Source: containerd's Makefile.
    """
    return parts(version) >= (1, 7)
