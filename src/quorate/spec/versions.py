"""What each Kubernetes minor needs: versions are data, and a component asks here instead of comparing."""

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
class Minor:
    """One Kubernetes minor; a field that names a flag or a configuration field says whether that exists."""

    kubernetes: str
    """The minor itself, such as `1.20`."""

    etcd: str
    """The etcd release installed unless the cluster file names one."""
    etcd_range: Range
    containerd: str
    containerd_range: Range
    runc: str
    cni_plugins: str
    docker: str | None
    """Docker release to install; None where kubelet has no dockershim."""
    docker_range: Range | None
    pause_image: str
    coredns_image: str

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


def supported() -> tuple[str, ...]:
    """All minors of the table, the oldest first."""
    from quorate.spec.versions_data import MINORS

    return tuple(MINORS)


def table(version: str) -> Minor:
    """What the minor of a Kubernetes version (`1.20.2`, `v1.20.2` or `1.20`) needs.

    Raises `QuorateError` when the table doesn't have it.
    """
    from quorate.spec.versions_data import MINORS

    minor = ".".join(str(part) for part in parts(version)[:2])
    if minor not in MINORS:
        known = tuple(MINORS)
        raise QuorateError(
            f"Kubernetes {version} is not one that quorate knows",
            f"choose one from {known[0]} to {known[-1]}",
        )
    return MINORS[minor]


def kubelet_fits(apiserver: str, kubelet: str) -> bool:
    """Whether a kubelet or kube-proxy may meet an API server: never newer, nor older than the table says."""
    oldest = parts(table(apiserver).oldest_kubelet)
    return oldest <= parts(kubelet)[:2] <= parts(apiserver)[:2]


def controller_fits(apiserver: str, controller: str) -> bool:
    """Whether a controller-manager or scheduler may meet an API server: the same minor or one older.

    Two API servers beside each other follow the same rule, the newer as `apiserver`.
    Source: kubernetes.io, "Version Skew Policy".
    """
    api, other = parts(apiserver)[:2], parts(controller)[:2]
    return api[0] == other[0] and 0 <= api[1] - other[1] <= 1
