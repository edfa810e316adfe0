"""Flags and fields that the user may not change, because other parts of the cluster are built on their values.

Data: component -> flag (without dashes) -> what to do instead.
"""

from collections.abc import Iterable, Mapping

_PKI = "remove it: certificates and keys are issued and renewed by quorate"
_FIXED = "remove it: other parts of the cluster rely on the value"
_SAFE = "remove it: the value is part of the cluster's protection"
_LEADER = "remove it: without leader election two control planes would act at once"


def _all(fix: str, flags: Iterable[str] | str) -> dict[str, str]:
    return dict.fromkeys(flags.split() if isinstance(flags, str) else flags, fix)


_APISERVER = {
    **_all(
        _PKI,
        "client-ca-file tls-cert-file tls-private-key-file cert-dir etcd-cafile etcd-certfile etcd-keyfile "
        "kubelet-client-certificate kubelet-client-key kubelet-certificate-authority proxy-client-cert-file "
        "proxy-client-key-file requestheader-client-ca-file service-account-key-file "
        "service-account-signing-key-file",
    ),
    **_all(
        _FIXED,
        "etcd-servers etcd-prefix advertise-address bind-address requestheader-allowed-names "
        "requestheader-extra-headers-prefix requestheader-group-headers requestheader-username-headers "
        "service-account-issuer storage-backend external-hostname",
    ),
    **_all(_SAFE, "anonymous-auth authorization-mode insecure-port insecure-bind-address token-auth-file"),
    "authorization-config": _SAFE,
    "authentication-config": _SAFE,
    "secure-port": "write apiserver.port",
    "service-cluster-ip-range": "write network.service_cidr",
    "service-node-port-range": "write network.node_ports",
    "encryption-provider-config": "write apiserver.encrypt_secrets",
    "audit-policy-file": "write apiserver.audit_policy",
    "audit-log-path": "remove it: status and rotation expect the log where it is",
    "allow-privileged": "remove it: the pod network and kube-proxy need it",
}
_CONTROLLER_MANAGER = {
    **_all(
        _PKI,
        "root-ca-file cluster-signing-cert-file cluster-signing-key-file service-account-private-key-file "
        "client-ca-file tls-cert-file tls-private-key-file requestheader-client-ca-file cert-dir",
    ),
    **_all(_FIXED, "kubeconfig authentication-kubeconfig authorization-kubeconfig master secure-port port"),
    **_all(_SAFE, "bind-address use-service-account-credentials"),
    "allocate-node-cidrs": "write network.cni",
    "cluster-cidr": "write network.pod_cidr",
    "node-cidr-mask-size": "write network.node_mask",
    "node-cidr-mask-size-ipv4": "write network.node_mask",
    "service-cluster-ip-range": "write network.service_cidr",
    "leader-elect": _LEADER,
}
_SCHEDULER = {
    **_all(_PKI, "client-ca-file tls-cert-file tls-private-key-file requestheader-client-ca-file cert-dir"),
    **_all(_FIXED, "kubeconfig authentication-kubeconfig authorization-kubeconfig master secure-port port"),
    "bind-address": _SAFE,
    "leader-elect": _LEADER,
}
_KUBELET = {
    **_all(_PKI, "client-ca-file tls-cert-file tls-private-key-file cert-dir"),
    **_all(
        _FIXED,
        "kubeconfig bootstrap-kubeconfig container-runtime container-runtime-endpoint network-plugin "
        "cgroup-driver root-dir port cni-bin-dir cni-conf-dir",
    ),
    **_all(_SAFE, "anonymous-auth authorization-mode read-only-port"),
    "config": "write kubelet.config",
    "hostname-override": "write node_name of the host",
    "node-ip": "write address of the host",
    "node-labels": "write labels of the host",
    "register-with-taints": "write taints of the host",
    "max-pods": "write kubelet.max_pods",
    "cluster-dns": "remove it: the DNS address follows from network.service_cidr",
    "cluster-domain": "write network.dns_domain",
    "pod-infra-container-image": "write runtime.pause_image",
}
_PROXY = {
    **_all(_FIXED, "kubeconfig master bind-address healthz-bind-address metrics-bind-address"),
    "config": "write each setting as a flag",
    "hostname-override": "write node_name of the host",
    "cluster-cidr": "write network.pod_cidr",
    "proxy-mode": "write network.proxy_mode",
}
_ETCD = {
    **_all(
        _PKI,
        "cert-file key-file trusted-ca-file peer-cert-file peer-key-file peer-trusted-ca-file auto-tls "
        "peer-auto-tls client-crl-file peer-crl-file",
    ),
    **_all(_SAFE, "client-cert-auth peer-client-cert-auth force-new-cluster"),
    **_all(
        _FIXED,
        "name listen-client-urls listen-peer-urls advertise-client-urls initial-advertise-peer-urls "
        "initial-cluster initial-cluster-state initial-cluster-token discovery discovery-srv config-file "
        "wal-dir",
    ),
    "data-dir": "write etcd.data_dir",
    "heartbeat-interval": "write etcd.heartbeat_ms",
    "election-timeout": "write etcd.election_ms",
    "quota-backend-bytes": "write etcd.quota_bytes",
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
    "apiVersion": "remove it",
    "kind": "remove it",
    "authentication": "remove it: client certificates and webhook, never anonymous",
    "authorization": "remove it: requests are authorized by the API (Webhook)",
    "cgroupDriver": "remove it: it must equal the runtime's",
    "clusterDNS": "remove it: the DNS address follows from network.service_cidr",
    "clusterDomain": "write network.dns_domain",
    "maxPods": "write kubelet.max_pods",
    "port": "remove it: the API reaches kubelets at 10250",
    "readOnlyPort": "remove it: the unprotected port stays closed",
    "tlsCertFile": "remove it: quorate issues the certificate",
    "tlsPrivateKeyFile": "remove it: quorate issues the key",
}
"""Fields of KubeletConfiguration that `kubelet.config` may not change."""
