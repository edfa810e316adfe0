"""The version table: what each Kubernetes minor needs, from 1.20 to 1.36.

Each entry of `_CHANGES` says only what is new in a minor; the rest is as in the minor before it. Sources:
kubeadm's constants (pause, CoreDNS, etcd's line and least version), containerd's RELEASES.md (its range), and the
changelogs and command line references of kubernetes.io. The default of etcd, containerd, runc and CNI plugins is a
late patch of the line that fits: fixes alone.
"""

from dataclasses import replace

from quorate.spec.versions import Minor, Range

_FIRST = Minor(
    kubernetes="1.20",
    # kubeadm's is 3.4.13; later patches of 3.4 are fixes alone.
    etcd="3.4.34",
    etcd_range=Range("3.4.0", "3.6.0"),
    # CRI v1alpha2, which containerd 2.0 dropped; 1.7 is the last with it, and supported for long.
    containerd="1.7.34",
    containerd_range=Range("1.4.0", "2.0.0"),
    runc="1.2.9",
    cni_plugins="1.9.1",
    docker="20.10.24",
    docker_range=Range("19.3.0", "25.0.0"),
    pause_image="registry.k8s.io/pause:3.2",
    coredns_image="registry.k8s.io/coredns:1.7.0",
    oldest_kubelet="1.18",
    control_plane_labels=("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"),
    control_plane_taints=("node-role.kubernetes.io/master",),
    scheduler_api="kubescheduler.config.k8s.io/v1beta1",
    controller_plain_port=True,
    scheduler_plain_port=True,
    authentication_api=None,
    watch_termination_flag=False,
    dockershim=True,
    runtime_flag=True,
    runtime_endpoint_field=False,
    sandbox_image_flag=True,
    fail_cgroup_v1_field=False,
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
    },
    "1.22": {
        "oldest_kubelet": "1.20",
        # 3.5.0 to 3.5.2 may lose data (etcd issue 13766).
        "etcd": "3.5.33",
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
        "nftables_gate": False,
        "fail_cgroup_v1_field": True,
    },
    "1.32": {
        "oldest_kubelet": "1.29",
        "authentication_api": "apiserver.config.k8s.io/v1beta1",
    },
    "1.33": {
        "oldest_kubelet": "1.30",
        "etcd_range": Range("3.5.0", "3.7.0"),
        "containerd": "2.3.4",
        "runc": "1.3.6",
        "coredns_image": f"{_COREDNS}:v1.12.0",
    },
    "1.34": {
        "oldest_kubelet": "1.31",
        "etcd": "3.6.14",
        "etcd_range": Range("3.5.21", "3.7.0"),
        "pause_image": f"{_PAUSE}:3.10.1",
        "coredns_image": f"{_COREDNS}:v1.12.1",
        "authentication_api": "apiserver.config.k8s.io/v1",
    },
    "1.35": {
        "oldest_kubelet": "1.32",
        "etcd_range": Range("3.5.24", "3.7.0"),
        "coredns_image": f"{_COREDNS}:v1.13.1",
        "sandbox_image_flag": False,
        "ipvs_deprecated": True,
    },
    "1.36": {
        "oldest_kubelet": "1.33",
        # kubelet asks the runtime for its cgroup driver, which containerd 1.7 does not tell.
        "containerd_range": Range("2.0.0", "3.0.0"),
        "pause_image": f"{_PAUSE}:3.10.2",
        "coredns_image": f"{_COREDNS}:v1.14.2",
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
