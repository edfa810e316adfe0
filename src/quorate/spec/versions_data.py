"""The version table: what each Kubernetes minor needs, from 1.20 to 1.37.

Each entry of `_CHANGES` says only what is new in a minor; the rest is as in the minor before it. Sources:
kubeadm's constants (pause, CoreDNS, etcd's line and least version), containerd's RELEASES.md (its range and floors)
and script/setup/runc-version (runc's line), etcd's changelogs, and the changelogs and command line references of
kubernetes.io. The default of etcd, containerd, runc and CNI plugins is a late patch of the line that fits: fixes alone.
From 1.29 on each default is one that the Go module proxy serves, so that it can be built.
"""

from dataclasses import replace

from quorate.spec.minor import Flaw, Minor, Range

_STALE = "may answer a read with what was true before a pause or a change of the leader"

ETCD_FLAWS = (
    Flaw(
        Range("3.5.0", "3.5.3"), "may lose writes and let members differ after a crash (etcd issue 13766)", never=True
    ),
    Flaw(Range("3.5.3", "3.5.5"), "may not start again after a member lost power (etcd issue 14429)", never=True),
    Flaw(Range("3.5.5", "3.5.6"), "lets members differ after a crash in the midst of defrag", never=True),
    Flaw(Range("3.4.0", "3.4.42"), _STALE),
    Flaw(Range("3.5.6", "3.5.28"), _STALE),
    Flaw(Range("3.6.0", "3.6.9"), _STALE),
)
"""By release, those that follow each other in order. Source: etcd's CHANGELOG-3.4, 3.5 and 3.6."""

ETCD_RESTORERS = {"3.4": ("etcdctl",), "3.5": ("etcdutl", "etcdctl")}
"""By line: programs that read and restore a snapshot, the better one first; from 3.6 on etcdutl alone. Source: the
same changelogs."""

ETCD_RAISES = ("3.4.27", "3.5.10", "3.6.0")
"""The first of each line whose restore knows --bump-revision and --mark-compacted. Source: the same changelogs."""

_FIRST = Minor(
    kubernetes="1.20",
    # kubeadm's is 3.4.13; later patches of 3.4 are fixes alone, and 3.4.45 was its last.
    etcd="3.4.45",
    etcd_range=Range("3.4.0", "3.6.0"),
    # CRI v1alpha2, which containerd 2.0 dropped; 1.7 is the last with it.
    containerd="1.7.35",
    containerd_range=Range("1.4.0", "2.0.0"),
    containerd_floors=(),
    runc="1.3.7",
    cni_plugins="1.9.1",
    crictl="1.34.0",
    age="1.3.2",
    docker="20.10.24",
    docker_range=Range("19.3.0", "25.0.0"),
    pause_image="registry.k8s.io/pause:3.2",
    coredns_image="registry.k8s.io/coredns:1.7.0",
    coredns=None,
    metrics_server=None,
    oldest_kubelet="1.18",
    control_plane_labels=("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"),
    control_plane_taints=("node-role.kubernetes.io/master",),
    scheduler_api="kubescheduler.config.k8s.io/v1beta1",
    controller_plain_port=True,
    scheduler_plain_port=True,
    authentication_api=None,
    watch_termination_flag=False,
    first_start_race=False,
    dockershim=True,
    runtime_flag=True,
    runtime_endpoint_field=False,
    sandbox_image_flag=True,
    fail_cgroup_v1_field=False,
    fail_cgroup_v1_default=False,
    proxy_modes=("iptables", "ipvs"),
    nftables_gate=False,
    ipvs_deprecated=False,
)

_PAUSE = "registry.k8s.io/pause"
_COREDNS = "registry.k8s.io/coredns/coredns"
_MASTER = "node-role.kubernetes.io/master"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

_CHANGES: dict[str, dict[str, object]] = {
    "1.21": {
        "oldest_kubelet": "1.19",
        "pause_image": f"{_PAUSE}:3.4.1",
        "coredns_image": f"{_COREDNS}:v1.8.0",
        # From 1.14.3 on it reads EndpointSlices of discovery/v1, which 1.21 brought.
        "coredns": "1.14.6",
    },
    "1.22": {
        "oldest_kubelet": "1.20",
        "etcd": "3.5.35",
        "pause_image": f"{_PAUSE}:3.5",
        "coredns_image": f"{_COREDNS}:v1.8.4",
        "scheduler_api": "kubescheduler.config.k8s.io/v1beta2",
        "controller_plain_port": False,
    },
    "1.23": {
        "oldest_kubelet": "1.21",
        # kubelet speaks CRI v1 from here on, v1alpha2 as a fallback up to 1.25.
        "containerd_range": Range("1.4.0", "3.0.0"),
        "pause_image": f"{_PAUSE}:3.6",
        "coredns_image": f"{_COREDNS}:v1.8.6",
        "scheduler_api": "kubescheduler.config.k8s.io/v1beta3",
        "scheduler_plain_port": False,
    },
    "1.24": {
        "oldest_kubelet": "1.22",
        "docker": None,
        "docker_range": None,
        "dockershim": False,
        "pause_image": f"{_PAUSE}:3.7",
        "control_plane_labels": (_CONTROL_PLANE,),
        "control_plane_taints": (_CONTROL_PLANE, _MASTER),
    },
    "1.25": {
        "oldest_kubelet": "1.23",
        "pause_image": f"{_PAUSE}:3.8",
        "coredns_image": f"{_COREDNS}:v1.9.3",
        "control_plane_taints": (_CONTROL_PLANE,),
        "scheduler_api": "kubescheduler.config.k8s.io/v1",
    },
    "1.26": {
        "oldest_kubelet": "1.24",
        # CRI v1 only.
        "containerd_range": Range("1.6.0", "3.0.0"),
        "pause_image": f"{_PAUSE}:3.9",
    },
    "1.27": {
        "oldest_kubelet": "1.25",
        "coredns_image": f"{_COREDNS}:v1.10.1",
        "watch_termination_flag": True,
        "runtime_flag": False,
        "runtime_endpoint_field": True,
    },
    # Three minors of skew, but never below 1.25.
    "1.28": {"oldest_kubelet": "1.25"},
    "1.29": {
        "oldest_kubelet": "1.26",
        "etcd_range": Range("3.5.0", "3.6.0"),
        "coredns_image": f"{_COREDNS}:v1.11.1",
        "proxy_modes": ("iptables", "ipvs", "nftables"),
        "nftables_gate": True,
    },
    "1.30": {"oldest_kubelet": "1.27"},
    "1.31": {
        "oldest_kubelet": "1.28",
        "pause_image": f"{_PAUSE}:3.10",
        "coredns_image": f"{_COREDNS}:v1.11.3",
        "etcd_range": Range("3.5.11", "3.6.0"),
        "metrics_server": "0.8.0",
        "nftables_gate": False,
        "fail_cgroup_v1_field": True,
    },
    "1.32": {
        "oldest_kubelet": "1.29",
        "authentication_api": "apiserver.config.k8s.io/v1beta1",
    },
    "1.33": {
        "oldest_kubelet": "1.30",
        # MultiCIDRServiceAllocator by default: its repair is tried again after a conflict, not after "already exists"
        # (registry/core/service/ipallocator/controller/repairip.go, RunUntil; the same to 1.37.2).
        "first_start_race": True,
        "etcd_range": Range("3.5.11", "3.7.0"),
        "containerd": "2.3.7",
        "runc": "1.5.3",
        "coredns_image": f"{_COREDNS}:v1.12.0",
    },
    "1.34": {
        "oldest_kubelet": "1.31",
        "etcd": "3.6.16",
        "etcd_range": Range("3.5.21", "3.8.0"),
        "containerd_floors": ("1.6.39", "1.7.28", "2.0.6", "2.1.3"),
        "metrics_server": "0.9.0",
        "pause_image": f"{_PAUSE}:3.10.1",
        "coredns_image": f"{_COREDNS}:v1.12.1",
        "authentication_api": "apiserver.config.k8s.io/v1",
    },
    "1.35": {
        "oldest_kubelet": "1.32",
        "etcd_range": Range("3.5.24", "3.8.0"),
        "containerd_floors": ("1.7.28", "2.1.5", "2.2.0"),
        "crictl": "1.37.0",
        "coredns_image": f"{_COREDNS}:v1.13.1",
        "sandbox_image_flag": False,
        "fail_cgroup_v1_default": True,
        "ipvs_deprecated": True,
    },
    "1.36": {
        "oldest_kubelet": "1.33",
        # kubelet asks the runtime for its cgroup driver, which containerd 1.7 does not tell; until 1.38 it then takes
        # its own configuration's word (KEP-4033).
        "containerd_floors": ("2.2.0", "2.3.0"),
        "pause_image": f"{_PAUSE}:3.10.2",
        "coredns_image": f"{_COREDNS}:v1.14.2",
    },
    "1.37": {
        "oldest_kubelet": "1.34",
        "etcd": "3.7.3",
        "containerd": "2.4.2",
        "cni_plugins": "1.10.0",
        "coredns_image": f"{_COREDNS}:v1.14.6",
    },
}


def _minors() -> dict[str, Minor]:
    minors = {_FIRST.kubernetes: _FIRST}
    last = _FIRST
    for name, changes in _CHANGES.items():
        last = replace(last, kubernetes=name, **changes)  # type: ignore[arg-type]
        minors[name] = last
    return minors


MINORS: dict[str, Minor] = _minors()
"""By name, the oldest first."""
