"""kube-proxy's settings: KubeProxyConfiguration."""

from quorate.component.settings import merged
from quorate.spec import flag_fields, layout
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import HostFacts
from quorate.spec.versions import Minor

NAME = "kube-proxy"
SECTION = "proxy"
CONFIG = f"{layout.KUBERNETES}/{NAME}.yaml"
HEALTH_PORT = 10256

_LEAVE_CONNTRACK = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
"""Zero leaves each kernel setting as it is."""


def flags(c: Cluster) -> dict[str, str]:
    """Flags, without dashes. kube-proxy ignores nearly all others beside `--config`: they are fields of it."""
    return merged.flags({"config": CONFIG}, flag_fields.rest(SECTION, c.proxy.extra_flags, c.versions.kubernetes))


def config(c: Cluster, h: Host, facts: HostFacts, minor: Minor) -> dict[str, object]:
    """KubeProxyConfiguration of one node."""
    mode = c.network.proxy_mode
    config: dict[str, object] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": layout.kubeconfig(NAME)},
        # The pod network: what comes from elsewhere to a service is masqueraded.
        "clusterCIDR": str(c.network.pod_cidr),
        # As kubelet's, or it finds no node of its own and keeps no local traffic.
        "hostnameOverride": h.node,
        "mode": mode,
        "metricsBindAddress": "127.0.0.1:10249",  # CIS 4.3.1
        "healthzBindAddress": f"{h.ip}:{HEALTH_PORT}",
    }
    if not facts.conntrack_writable:
        config["conntrack"] = dict(_LEAVE_CONNTRACK)
    if mode == "nftables" and minor.nftables_gate:
        config["featureGates"] = {"NFTablesProxyMode": True}
    return merged.fields(config, flag_fields.given(SECTION, c.proxy.extra_flags, c.versions.kubernetes, mode))
