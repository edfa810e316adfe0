"""kube-controller-manager's settings."""

from quorate.component.settings import election, merged
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Cluster
from quorate.spec.versions import Minor

NAME = "kube-controller-manager"
PORT = 10257
"""HTTPS on 127.0.0.1: /healthz, /metrics."""


def flags(c: Cluster, minor: Minor) -> dict[str, str]:
    """Flags, without dashes, in the order in which they are written; the same on every master.

    Its kubeconfig names the API server of its own host.
    """
    kubeconfig = layout.kubeconfig(NAME)
    lease, renew, retry = election.durations(c)
    flags = {
        "kubeconfig": kubeconfig,
        **delegation(kubeconfig),
        **_node_subnets(c),
        "service-cluster-ip-range": str(c.network.service_cidr),
        "cluster-signing-cert-file": pki_files.CA,
        "cluster-signing-key-file": pki_files.CA_KEY,
        # As long as quorate's own certificates; upstream's default is the same year.
        "cluster-signing-duration": f"{c.pki.leaf_days * 24}h",
        "root-ca-file": pki_files.CA,
        "service-account-private-key-file": pki_files.SA_KEY,
        # Each controller with its own rights (CIS 1.3.3).
        "use-service-account-credentials": "true",
        "leader-elect": "true",
        "leader-elect-lease-duration": lease,
        "leader-elect-renew-deadline": renew,
        "leader-elect-retry-period": retry,
        "profiling": "false",  # CIS 1.3.2
    }
    if minor.controller_plain_port:
        # Port 10252 stays, for `kubectl get componentstatuses` asks there, but on loopback only.
        flags["address"] = "127.0.0.1"
    return merged.flags(flags, c.controller_manager.extra_flags)


def delegation(kubeconfig: str) -> dict[str, str]:
    """Flags by which a daemon serves on loopback and asks the API server who is asking.

    The CA is given and nothing is looked up at start: a daemon that looks up the ConfigMap
    `extension-apiserver-authentication` before the API server has written its RBAC rules exits (seen with
    1.20).
    """
    return {
        "bind-address": "127.0.0.1",  # CIS 1.3.7, 1.4.2
        "authentication-kubeconfig": kubeconfig,
        "authentication-skip-lookup": "true",
        "authorization-kubeconfig": kubeconfig,
        "client-ca-file": pki_files.CA,
    }


def _node_subnets(c: Cluster) -> dict[str, str]:
    # `routed`: quorate gives the subnets and keeps them in its state folder; `none`: you do.
    if c.network.cni != "manifest":
        return {"allocate-node-cidrs": "false"}
    return {
        "allocate-node-cidrs": "true",
        "cluster-cidr": str(c.network.pod_cidr),
        "node-cidr-mask-size": str(c.network.node_mask),
    }
