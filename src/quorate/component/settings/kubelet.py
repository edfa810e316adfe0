"""kubelet's settings: KubeletConfiguration, and the flags that have no field in it."""

from typing import Literal

from quorate.component.settings import merged
from quorate.spec import flag_fields, layout, pki_files, resolvers, tls
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import HostFacts
from quorate.spec.versions import Minor

NAME = "kubelet"
SECTION = "kubelet"
CONFIG = f"{layout.KUBERNETES}/{NAME}.yaml"
PORT = 10250
HEALTH = "http://127.0.0.1:10248/healthz"

SMALL = 50
"""Workers up to which kubelets look at themselves every 2 s: 25 requests a second at the API servers."""

_ENDPOINT = f"unix://{layout.CONTAINERD_SOCKET}"
_RESERVED = ("kubernetes.io", "k8s.io")
_FREE = ("kubelet.kubernetes.io", "node.kubernetes.io")


def flags(c: Cluster, h: Host, minor: Minor, pause_image: str | None = None) -> dict[str, str]:
    """Flags of one node's kubelet, without dashes, in the order in which they are written.

    `pause_image` is the artifact source's sandbox image, if it brings one; the cluster file's goes before it.
    """
    flags = {
        "config": CONFIG,
        "kubeconfig": layout.kubeconfig(NAME),
        # Renewed certificates go here.
        "cert-dir": f"{c.kubelet_dir(h)}/pki",
        "hostname-override": h.node,
        "node-ip": h.ip,
        **_runtime(c, minor),
    }
    if c.kubelet_dir(h) != layout.KUBELET_DIR:
        flags["root-dir"] = c.kubelet_dir(h)
    if minor.sandbox_image_flag:
        # For dockershim the image itself; for containerd it only keeps garbage collection off it.
        flags["pod-infra-container-image"] = c.runtime.pause_image or pause_image or minor.pause_image
    if labels := own_labels(h):
        flags["node-labels"] = ",".join(f"{key}={value}" for key, value in labels.items())
    if h.taints:
        flags["register-with-taints"] = ",".join(f"{t.key}={t.value}:{t.effect}" for t in h.taints)
    return merged.flags(flags, flag_fields.rest(SECTION, c.kubelet.extra_flags, c.versions.kubernetes))


def own_labels(h: Host) -> dict[str, str]:
    """Those labels of a node that its kubelet may give itself when it registers.

    kubelet refuses labels of `kubernetes.io` and `k8s.io` outside two prefixes; an administrator sets those.
    """
    return {key: value for key, value in h.labels.items() if _own(key)}


def config(
    c: Cluster,
    h: Host,
    facts: HostFacts,
    minor: Minor,
    cgroup_driver: Literal["systemd", "cgroupfs"] = "systemd",
) -> dict[str, object]:
    """KubeletConfiguration of one node. `cgroup_driver` must be the container runtime's."""
    config: dict[str, object] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": h.ip,
        "port": PORT,
        **_security(),
        "cgroupDriver": cgroup_driver,
        "clusterDNS": [c.dns_ip],
        "clusterDomain": c.network.dns_domain,
        "resolvConf": resolvers.chosen(c, facts).path,
        "failSwapOn": c.os.swap == "off",
        "maxPods": c.kubelet.max_pods,
        **_status(c),
        # kubelet's own defaults (kubernetes.io, "Node-pressure Eviction"), written out since naming one
        # drops the others.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
            "imagefs.inodesFree": "5%",
        },
        "containerLogMaxSize": c.runtime.log_max_size,
        "containerLogMaxFiles": c.runtime.log_max_files,
    }
    if minor.runtime_endpoint_field:
        config["containerRuntimeEndpoint"] = _ENDPOINT
    if minor.fail_cgroup_v1_field and facts.cgroup == "v1":
        # From 1.35 kubelet refuses to start on cgroup v1 unless told so.
        config["failCgroupV1"] = False
    config = merged.fields(config, c.kubelet.config)
    # A flag goes before a field, as it does for kubelet.
    return merged.fields(config, flag_fields.given(SECTION, c.kubelet.extra_flags, c.versions.kubernetes))


def _status(c: Cluster) -> dict[str, object]:
    """How soon a node says that it is Ready, or no longer.

    kubelet looks at itself every 10 s by default, so a node whose runtime was a moment late is Ready 10 s late.
    Each look asks the API server once; unchanged, it is reported only every 5 min (the lease shows life). In
    clusters where that is many requests, the default stays.
    """
    often = len(c.workers) <= SMALL
    return {"nodeStatusUpdateFrequency": "2s" if often else "10s", "nodeStatusReportFrequency": "5m0s"}


def _security() -> dict[str, object]:
    return {
        "authentication": {
            "anonymous": {"enabled": False},  # CIS 4.2.1
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": pki_files.CA},  # CIS 4.2.3
        },
        "authorization": {"mode": "Webhook"},  # CIS 4.2.2
        "readOnlyPort": 0,
        "tlsCertFile": pki_files.KUBELET_SERVER,
        "tlsPrivateKeyFile": pki_files.KUBELET_SERVER_KEY,
        "tlsMinVersion": tls.MIN_VERSION,
        "tlsCipherSuites": list(tls.CIPHER_SUITES),
        # Its client certificate is renewed over the API, its serving certificate by quorate: nobody in a
        # cluster may sign a name or address unseen.
        "rotateCertificates": True,  # CIS 4.2.10
        "serverTLSBootstrap": False,
        "makeIPTablesUtilChains": True,
        # Any value but 0 closes idle exec and port-forward streams (CIS 4.2.5); 4 h is kubelet's default.
        "streamingConnectionIdleTimeout": "4h0m0s",
        # kubelet sets vm.overcommit_memory, kernel.panic and their like itself.
        "protectKernelDefaults": False,
    }


def _runtime(c: Cluster, minor: Minor) -> dict[str, str]:
    if c.runtime.kind == "docker" and minor.dockershim:
        return {
            "network-plugin": "cni",
            "cni-bin-dir": layout.CNI_BIN,
            "cni-conf-dir": layout.CNI_CONF,
        }
    remote = {"container-runtime": "remote"} if minor.runtime_flag else {}
    return remote if minor.runtime_endpoint_field else {**remote, "container-runtime-endpoint": _ENDPOINT}


def _own(key: str) -> bool:
    prefix = key.rpartition("/")[0]
    return not _within(prefix, _RESERVED) or _within(prefix, _FREE)


def _within(prefix: str, domains: tuple[str, ...]) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)
