"""Whether a cluster has metrics-server, under which name API servers ask it, and where it listens."""

from quorate.core import QuorateError
from quorate.spec.cluster import Cluster, Role
from quorate.spec.versions import table

NAME = "metrics-server"
NAMESPACE = "kube-system"
SERVER_NAME = f"{NAME}.{NAMESPACE}.svc"
"""The name that API servers want in its certificate, whatever the cluster's domain."""
API = "metrics.k8s.io/v1beta1"
PORT = 10250
"""In a pod's own network; upstream's port."""
HOST_PORT = 10251
"""In a worker's network, where kubelet has the other one. It was the scheduler's up to 1.22, on masters."""

UPSTREAM = "registry.k8s.io/metrics-server/metrics-server"


def wanted(c: Cluster) -> bool:
    """Whether metrics-server is to be installed: there is one for this Kubernetes, or the file names its image."""
    try:
        fits = c.metrics.image is not None or table(c.versions.kubernetes).metrics_server is not None
    except QuorateError:  # told by the rule about versions
        return False
    return c.metrics.enabled and bool(c.workers) and fits


def on_hosts(c: Cluster) -> bool:
    """Whether it uses its worker's network, since an API server may not reach pods' addresses.

    With `cni: routed` every master has routes to them; with another CNI only masters that are workers, too.
    """
    return c.network.cni != "routed" and any(not master.has(Role.WORKER) for master in c.masters)


def replicas(c: Cluster) -> int:
    """How many pods of it run."""
    return min(c.metrics.replicas, len(c.workers))
