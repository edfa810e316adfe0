"""Flags and fields that the user may not change, because other parts of the cluster are built on their values.

Data: component -> flag (without dashes) -> what to do instead. Those of which some values do harm are in `guarded`.
"""

from collections.abc import Iterable, Mapping

_PKI = "remove it: certificates and keys are issued and renewed by quorate"
_FIXED = "remove it: other parts of the cluster rely on the value"
_SAFE = "remove it: the value is part of the cluster's protection"
_ENDS = "remove it: the program would do that and end"
_LEADER = "remove it: without leader election two control planes would act at once"


def _all(fix: str, flags: Iterable[str] | str) -> dict[str, str]:
    return dict.fromkeys(flags.split() if isinstance(flags, str) else flags, fix)


_COMMON = _all(_ENDS, "help version")
_HEADERS = _all(
    _FIXED,
    "requestheader-allowed-names requestheader-extra-headers-prefix requestheader-group-headers "
    "requestheader-uid-headers requestheader-username-headers",
)
_LOOKUP = _all(_SAFE, "authentication-skip-lookup authentication-tolerate-lookup-failure")
_LEASE = _all(_FIXED, "leader-elect-resource-lock leader-elect-resource-name leader-elect-resource-namespace")

_APISERVER = {
    **_COMMON,
    **_all(
        _PKI,
        "client-ca-file tls-cert-file tls-private-key-file cert-dir etcd-cafile etcd-certfile etcd-keyfile "
        "kubelet-client-certificate kubelet-client-key kubelet-certificate-authority proxy-client-cert-file "
        "proxy-client-key-file requestheader-client-ca-file service-account-key-file "
        "service-account-signing-key-file service-account-signing-endpoint",
    ),
    **_HEADERS,
    **_all(
        _FIXED,
        "etcd-servers etcd-servers-overrides etcd-prefix advertise-address bind-address service-account-issuer "
        "storage-backend external-hostname endpoint-reconciler-type enable-aggregator-routing kubelet-port "
        "kubelet-read-only-port",
    ),
    **_all(
        _SAFE,
        "anonymous-auth authorization-mode authorization-config authorization-policy-file "
        "authorization-webhook-config-file authentication-config insecure-port insecure-bind-address token-auth-file "
        "debug-socket-path",
    ),
    "admission-control": "remove it: write enable-admission-plugins, whose plugins come on top",
    "secure-port": "remove it: write apiserver.port",
    "service-cluster-ip-range": "remove it: write network.service_cidr",
    "service-node-port-range": "remove it: write network.node_ports",
    "encryption-provider-config": "remove it: write apiserver.encrypt_secrets",
    "audit-policy-file": "remove it: write apiserver.audit_policy",
    "audit-log-path": "remove it: status and rotation expect the log where it is",
    "allow-privileged": "remove it: the pod network and kube-proxy need it",
}
_CONTROLLER_MANAGER = {
    **_COMMON,
    **_all(
        _PKI,
        "root-ca-file cluster-signing-cert-file cluster-signing-key-file service-account-private-key-file "
        "cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file "
        "cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file "
        "cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file "
        "cluster-signing-legacy-unknown-cert-file cluster-signing-legacy-unknown-key-file "
        "client-ca-file tls-cert-file tls-private-key-file requestheader-client-ca-file cert-dir",
    ),
    **_HEADERS,
    **_LEASE,
    **_all(_FIXED, "kubeconfig authentication-kubeconfig authorization-kubeconfig master secure-port port"),
    **_LOOKUP,
    **_all(_SAFE, "address bind-address use-service-account-credentials"),
    "cluster-signing-duration": "remove it: write pki.leaf_days",
    "allocate-node-cidrs": "remove it: write network.cni",
    "cluster-cidr": "remove it: write network.pod_cidr",
    "node-cidr-mask-size": "remove it: write network.node_mask",
    "node-cidr-mask-size-ipv4": "remove it: write network.node_mask",
    "service-cluster-ip-range": "remove it: write network.service_cidr",
    "leader-elect": _LEADER,
}
_SCHEDULER = {
    **_COMMON,
    **_all(_PKI, "client-ca-file tls-cert-file tls-private-key-file requestheader-client-ca-file cert-dir"),
    **_HEADERS,
    **_LEASE,
    **_all(
        _FIXED,
        "config kubeconfig authentication-kubeconfig authorization-kubeconfig master secure-port port "
        "lock-object-name lock-object-namespace",
    ),
    **_LOOKUP,
    **_all(_SAFE, "address bind-address"),
    **_all("remove it: it is not read beside the configuration", "scheduler-name hard-pod-affinity-symmetric-weight"),
    "write-config-to": _ENDS,
    "leader-elect": _LEADER,
}
_KUBELET = {
    **_COMMON,
    **_all(_PKI, "client-ca-file tls-cert-file tls-private-key-file cert-dir"),
    **_all(
        _FIXED,
        "kubeconfig bootstrap-kubeconfig experimental-bootstrap-kubeconfig container-runtime "
        "container-runtime-endpoint image-service-endpoint network-plugin cgroup-driver address port "
        "healthz-bind-address healthz-port cni-bin-dir cni-conf-dir enable-server register-node pod-cidr",
    ),
    **_all(_SAFE, "anonymous-auth authentication-token-webhook authorization-mode read-only-port"),
    **_all(_ENDS, "runonce exit-on-lock-contention lock-file chaos-chance really-crash-for-testing"),
    **_all("remove it: write kubelet.config", "config config-dir dynamic-config-dir"),
    "hostname-override": "remove it: write node_name of the host",
    "node-ip": "remove it: write address of the host",
    "node-labels": "remove it: write labels of the host",
    "register-with-taints": "remove it: write taints of the host",
    "max-pods": "remove it: write kubelet.max_pods",
    "root-dir": "remove it: write kubelet.data_dir",
    "cluster-dns": "remove it: it follows from dns.address",
    "cluster-domain": "remove it: write network.dns_domain",
    "pod-infra-container-image": "remove it: write runtime.pause_image",
}
_PROXY = {
    **_COMMON,
    **_all(
        _FIXED,
        "kubeconfig master bind-address healthz-bind-address healthz-port metrics-bind-address metrics-port",
    ),
    **_all(_ENDS, "cleanup init-only write-config-to"),
    "config": "remove it: quorate writes the configuration",
    "hostname-override": "remove it: write node_name of the host",
    "cluster-cidr": "remove it: write network.pod_cidr",
    "proxy-mode": "remove it: write network.proxy_mode",
}
_ETCD = {
    **_all(
        _PKI,
        "cert-file key-file trusted-ca-file peer-cert-file peer-key-file peer-trusted-ca-file auto-tls "
        "peer-auto-tls client-crl-file peer-crl-file client-cert-file client-key-file peer-client-cert-file "
        "peer-client-key-file client-cert-allowed-hostname peer-cert-allowed-cn peer-cert-allowed-hostname",
    ),
    **_all(
        _SAFE,
        "client-cert-auth peer-client-cert-auth force-new-cluster listen-client-http-urls listen-metrics-urls "
        "experimental-enable-v2v3",
    ),
    **_all(
        _FIXED,
        "name listen-client-urls listen-peer-urls advertise-client-urls initial-advertise-peer-urls "
        "initial-cluster initial-cluster-state initial-cluster-token config-file wal-dir proxy "
        "discovery discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints discovery-fallback "
        "discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time "
        "discovery-keepalive-timeout discovery-key discovery-password discovery-proxy discovery-request-timeout "
        "discovery-srv discovery-srv-name discovery-token discovery-user",
    ),
    "data-dir": "remove it: write etcd.data_dir",
    "heartbeat-interval": "remove it: write etcd.heartbeat_ms",
    "election-timeout": "remove it: write etcd.election_ms",
    "quota-backend-bytes": "remove it: write etcd.quota_bytes",
}

OWNED: Mapping[str, Mapping[str, str]] = {
    "etcd": _ETCD,
    "apiserver": _APISERVER,
    "controller_manager": _CONTROLLER_MANAGER,
    "scheduler": _SCHEDULER,
    "kubelet": _KUBELET,
    "proxy": _PROXY,
}
"""By the name of the section in the cluster file."""

FIELDS: Mapping[str, str] = {
    "address": "remove it: the API reaches kubelets at their hosts' addresses",
    "apiVersion": "remove it",
    "kind": "remove it",
    "authentication": "remove it: client certificates and webhook, never anonymous",
    "authorization": "remove it: requests are authorized by the API (Webhook)",
    "cgroupDriver": "remove it: it must equal the runtime's",
    "clusterDNS": "remove it: it follows from dns.address",
    "clusterDomain": "remove it: write network.dns_domain",
    "containerRuntimeEndpoint": "remove it: write runtime.kind",
    "enableServer": "remove it: logs, exec and metrics come from there",
    "healthzBindAddress": "remove it: health is asked at 127.0.0.1:10248, and by this host alone",
    "healthzPort": "remove it: health is asked at 127.0.0.1:10248, and by this host alone",
    "imageServiceEndpoint": "remove it: write runtime.kind",
    "maxPods": "remove it: write kubelet.max_pods",
    "podCIDR": "remove it: write network.pod_cidr",
    "port": "remove it: the API reaches kubelets at 10250",
    "registerNode": "remove it: a worker is a node",
    "registerWithTaints": "remove it: write taints of the host",
    "runOnce": "remove it: the kubelet would run once and end",
    "readOnlyPort": "remove it: the unprotected port stays closed",
    "tlsCertFile": "remove it: quorate issues the certificate",
    "tlsPrivateKeyFile": "remove it: quorate issues the key",
}
"""Fields of KubeletConfiguration that `kubelet.config` may not change."""
