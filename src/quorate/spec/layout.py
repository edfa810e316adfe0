"""Where things are on a host: the one list of paths that components, checks and documents share."""

BIN = "/opt/kubernetes/bin"
"""Binaries of etcd, Kubernetes and the container runtime; operators' tools are linked into LINKS."""
LINKS = "/usr/local/bin"

KUBERNETES = "/etc/kubernetes"
"""Configuration and kubeconfigs (`<component>.kubeconfig`, `<component>.yaml`)."""
PKI = "/etc/kubernetes/pki"
ETCD_PKI = "/etc/etcd/pki"
BALANCER = "/etc/quorate"
"""Configuration of nginx, haproxy (also of the way to etcd) and keepalived, and their scripts."""
ENDPOINT_CHECK = f"{BALANCER}/check-endpoint"
"""keepalived's health script, on balancers with a virtual IP."""
BALANCER_DOWN = "/run/quorate/balancer.down"
"""keepalived watches this file: the balancer's unit writes 0 when it has started and 1 when it has ended."""
BALANCER_HUNG = "/run/quorate/balancer.hung"
"""And this one: the pulse writes 1 while the balancer hangs, else 0."""
FIREWALL = f"{BALANCER}/firewall"
"""Where it is, the host had a firewall and we opened ports in it; while that is reloaded, there seems to be none."""
CHECKS = ".check"
"""Beside a script that keeps rules of the firewall: prints what is missing. `status` runs all that a host has."""

UNITS = "/etc/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"
"""Links here are what `systemctl enable` makes of WantedBy=multi-user.target."""
SYSCTLS = "/etc/sysctl.d/zz-quorate.conf"
"""Kernel settings. At boot the file whose name sorts last wins; those of others begin with numbers."""
AUDIT_LOG = "/var/log/kubernetes/audit.log"
KUBELET_DIR = "/var/lib/kubelet"
CNI_BIN = "/opt/cni/bin"
CNI_CONF = "/etc/cni/net.d"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

STATE = "/var/lib/quorate"
"""What quorate must remember on a host: originals of what it replaced, digests of large files."""
COPY = f"{STATE}/state"
"""Of etcd hosts: the sealed copy of the operator's state folder, for the day when that is lost."""
ETCD_DISK = f"{STATE}/etcd-disk"
"""Of etcd hosts: where the disk of etcd's folder was mounted when it was prepared for the member."""
NTP_NOTE = f"{STATE}/ntp"
"""The file with the NTP servers that we named to the host's time daemon."""
LOADED = "/run/quorate"
"""`<unit>.loaded`: digests of the files that the running process was started with."""
LOCK = "/run/quorate-lock"
"""While somebody changes the cluster: who it is. In memory, so that a reboot frees it."""
WRITER = "/run/quorate-writer"
"""Who changed the cluster last, or does: tells a lock that a reboot has forgotten from one that was given back."""

NEEDRESTART = "/etc/needrestart/conf.d/50-quorate.conf"
APT_UPGRADES = "/etc/apt/apt.conf.d/52quorate-upgrades"
"""What programs that upgrade by themselves are told of our services."""

BALANCER_LOG = "/var/log/nginx/k8s-access.log"


def kubeconfig(component: str) -> str:
    """Path of a component's kubeconfig."""
    return f"{KUBERNETES}/{component}.kubeconfig"


ETCD_WAY_UNIT = "quorate-etcd.service"
"""The way to etcd of an API server."""
FIREWALL_UNIT = "quorate-firewall.service"
"""Keeps the cluster's ports in a host's own firewall."""
UNIT_NAMES = (
    "etcd.service",
    ETCD_WAY_UNIT,
    "kube-apiserver.service",
    "kube-controller-manager.service",
    "kube-scheduler.service",
    "containerd.service",
    "docker.service",
    "kubelet.service",
    "kube-proxy.service",
    "quorate-rules.service",
    "nginx.service",
    "quorate-upstreams.service",
    "haproxy.service",
    "quorate-pulse.service",
    "quorate-watchdog.service",
    "keepalived.service",
    "quorate-address.service",
    "quorate-routes.service",
    "quorate-hostports.service",
    FIREWALL_UNIT,
)
"""Every service that quorate may put on a host."""
