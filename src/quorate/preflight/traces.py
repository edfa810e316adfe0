"""What other tools that build clusters leave on a host, as data, and how each takes it away itself."""

from dataclasses import dataclass

from quorate.spec.layout import KUBERNETES, UNITS

PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
"""Services that several tools, this one too, call by these names."""
MANIFESTS = f"{KUBERNETES}/manifests"
"""Static pods: a kubelet that is pointed here starts a control plane."""


@dataclass(frozen=True)
class Tool:
    """One tool that builds clusters."""

    name: str
    marks: tuple[str, ...]
    """Paths that it makes, and nobody else."""
    leave: str
    """Its own way to take a cluster away."""
    also: tuple[str, ...] = ()
    """Paths that others make too: told where a mark is."""
    services: tuple[str, ...] = ()
    """Where one of them runs, or starts with the host, the cluster is alive."""
    alive: bool = False
    """Its marks alone stand for a cluster: the kubelet that serves it has a name of everybody's."""


TOOLS = (
    Tool(
        "kubeasz",
        ("/opt/kube/bin", "/etc/kube-lb", f"{UNITS}/kube-lb.service", "/etc/l4lb", f"{UNITS}/l4lb.service"),
        "`ezctl destroy CLUSTER` where it was built, or `ezctl del-node CLUSTER IP`, then rm -rf /opt/kube",
        also=(f"{KUBERNETES}/ssl", "/etc/etcd/ssl"),
        services=("kube-lb", "l4lb", *PARTS),
    ),
    Tool(
        "kubeadm",
        (
            *(f"{KUBERNETES}/{name}.conf" for name in ("admin", "super-admin", "kubelet", "controller-manager")),
            *(f"{MANIFESTS}/{part}.yaml" for part in PARTS),
        ),
        "`kubeadm reset -f`, then rm -rf /etc/kubernetes /etc/cni/net.d",
        alive=True,
    ),
    Tool(
        "kubespray",
        ("/usr/local/bin/kubernetes-scripts",),
        "`ansible-playbook reset.yml --limit HOST` where it was built",
        services=PARTS,
    ),
    Tool(
        "k3s",
        ("/var/lib/rancher/k3s", "/etc/rancher/k3s", f"{UNITS}/k3s.service", f"{UNITS}/k3s-agent.service"),
        "k3s-uninstall.sh, on an agent k3s-agent-uninstall.sh",
        services=("k3s", "k3s-agent"),
    ),
    Tool(
        "rke2",
        ("/var/lib/rancher/rke2", "/etc/rancher/rke2"),
        "rke2-uninstall.sh",
        services=("rke2-server", "rke2-agent"),
    ),
    Tool("rke", ("/opt/rke",), "`rke remove` where it was built"),
    Tool(
        "k0s",
        ("/var/lib/k0s", "/etc/k0s", f"{UNITS}/k0scontroller.service", f"{UNITS}/k0sworker.service"),
        "`k0s stop`, `k0s reset`, and a reboot",
        services=("k0scontroller", "k0sworker"),
    ),
    Tool(
        "microk8s",
        ("/var/snap/microk8s",),
        "`snap remove --purge microk8s`",
        services=("snap.microk8s.daemon-kubelite",),
    ),
    Tool("minikube", ("/var/lib/minikube",), "`minikube delete`"),
    Tool("sealos", ("/var/lib/sealos",), "`sealos reset` where it was built", services=("kubelet",)),
)
