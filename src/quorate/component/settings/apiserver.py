"""kube-apiserver's settings: flags, and who may come without a name."""

from quorate.component.settings import merged
from quorate.spec import layout, pki_files, tls
from quorate.spec.cluster import Cluster, Host
from quorate.spec.ports import ETCD_WAY
from quorate.spec.versions import Minor

AUDIT_POLICY = f"{layout.KUBERNETES}/audit-policy.yaml"
ENCRYPTION = f"{layout.KUBERNETES}/encryption.yaml"
"""Holds the key of Secrets at rest: mode 0600."""
AUTHENTICATION = f"{layout.KUBERNETES}/authentication.yaml"
"""Only where `authentication_config` gives something."""

ANONYMOUS_PATHS = ("/healthz", "/livez", "/readyz", "/version")
"""What the balancers' checks and `verify` ask without a certificate."""

ETCD_SERVERS = f"https://127.0.0.1:{ETCD_WAY}"
"""The way to all members (component `etcd_way`), which knows who is dead. An API server that is given several goes on
asking those of a dead host: 10 s for a request under way, up to 40 s for a watch (measured with three masters, one of
them powered off: writes through the others stood still for 7.6 s). One that is given its host's alone is out with it,
and from 1.34 on for longer: it does not write for up to two minutes after the member is back."""

SHUTDOWN_DELAY = "3s"
"""How long a stopping API server goes on serving while /readyz already fails: longer than the balancers
take to see that (2 checks 200 or 125 ms apart) and than kube-proxy takes to drop its endpoint (1 s `minSyncPeriod`
plus the watch), so that a restart refuses nobody. Costs 3 s of each restart; upstream's default 0 s drops
requests."""

WATCH_GRACE = "2s"
"""Over how long a stopping API server ends its watches, once the delay is over, where the minor can: they
fit 200 a second. Without it HTTP/2 connections with watches hold the process for the whole request timeout
(60 s), or until systemd kills it."""


def stops_within(minor: Minor) -> str:
    """Seconds that systemd gives a stopping API server.

    Where it ends its watches, requests have all of the 60 s that they may take. Up to 1.26 open watches hold it for a
    minute each time; 10 s are enough there for every request that is no watch (nodes and control loops give up on
    theirs after that), and clients watch again elsewhere.
    """
    return "75" if minor.watch_termination_flag else "10"


GOAWAY_CHANCE = "0.001"
"""One HTTP/2 request of a thousand is answered with GOAWAY, so that long-lived clients spread over the
servers again after a failover. kubernetes.io recommends 0.001 to begin with and warns of it where there is
only one server."""


def flags(c: Cluster, h: Host, minor: Minor) -> dict[str, str]:
    """Flags of one host's API server, without dashes, in the order in which they are written."""
    flags = {
        "advertise-address": h.ip,
        "bind-address": h.ip,
        "secure-port": str(c.apiserver.port),
        **_etcd(),
        **_serving(),
        **_authentication(c, minor),
        # Node limits a kubelet to what its pods need; NodeRestriction to its own node (CIS 1.2.6-8, 1.2.14).
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # CNI and storage agents are privileged pods.
        "allow-privileged": "true",
        **_audit(),
        **_kubelet(),
        **_aggregation(),
        "service-cluster-ip-range": str(c.network.service_cidr),
        "service-node-port-range": c.network.node_ports,
        "profiling": "false",  # CIS 1.2.15
        "shutdown-delay-duration": SHUTDOWN_DELAY,
    }
    if minor.watch_termination_flag:
        flags["shutdown-watch-termination-grace-period"] = WATCH_GRACE
    if c.apiserver.encrypt_secrets:
        flags["encryption-provider-config"] = ENCRYPTION
    if len(c.masters) > 1:
        flags["goaway-chance"] = GOAWAY_CHANCE
    return merged.flags(flags, c.apiserver.extra_flags)


def authentication_config(c: Cluster, minor: Minor) -> dict[str, object] | None:
    """AuthenticationConfiguration: the nameless may come to `ANONYMOUS_PATHS` alone. None where not
    usable."""
    if minor.authentication_api is None:
        return None
    config: dict[str, object] = {
        "apiVersion": minor.authentication_api,
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in ANONYMOUS_PATHS]},
    }
    return {**config, "jwt": list(c.apiserver.jwt)} if c.apiserver.jwt else config


def _etcd() -> dict[str, str]:
    return {
        "etcd-servers": ETCD_SERVERS,
        "etcd-cafile": pki_files.ETCD_CA,
        "etcd-certfile": pki_files.APISERVER_ETCD_CLIENT,
        "etcd-keyfile": pki_files.APISERVER_ETCD_CLIENT_KEY,
    }


def _serving() -> dict[str, str]:
    return {
        "tls-cert-file": pki_files.APISERVER,
        "tls-private-key-file": pki_files.APISERVER_KEY,
        "tls-min-version": tls.MIN_VERSION,
        "tls-cipher-suites": ",".join(tls.CIPHER_SUITES),
    }


def _authentication(c: Cluster, minor: Minor) -> dict[str, str]:
    # Without the file, RBAC keeps the nameless at health and version (ClusterRole system:public-info-viewer).
    # The file and the flag exclude each other.
    configured = minor.authentication_api is not None
    anonymous = {"authentication-config": AUTHENTICATION} if configured else {"anonymous-auth": "true"}
    return {
        "client-ca-file": pki_files.CA,
        **anonymous,
        "service-account-issuer": f"https://kubernetes.default.svc.{c.network.dns_domain}",
        "service-account-key-file": pki_files.SA_PUB,
        "service-account-signing-key-file": pki_files.SA_KEY,
        # Else a pod's token of one hour is made valid for a year (CIS 1.2.30).
        "service-account-extend-token-expiration": "false",
    }


def _audit() -> dict[str, str]:
    return {
        "audit-policy-file": AUDIT_POLICY,
        "audit-log-path": layout.AUDIT_LOG,
        # Days, files and megabytes: CIS 1.2.17-19.
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
    }


def _kubelet() -> dict[str, str]:
    return {
        "kubelet-certificate-authority": pki_files.CA,
        "kubelet-client-certificate": pki_files.APISERVER_KUBELET_CLIENT,
        "kubelet-client-key": pki_files.APISERVER_KUBELET_CLIENT_KEY,
        # Addresses first: node names needn't be known to the masters' DNS.
        "kubelet-preferred-address-types": "InternalIP,Hostname,InternalDNS,ExternalDNS,ExternalIP",
    }


def _aggregation() -> dict[str, str]:
    return {
        "requestheader-client-ca-file": pki_files.FRONT_PROXY_CA,
        "requestheader-allowed-names": pki_files.FRONT_PROXY_CLIENT_CN,
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": pki_files.FRONT_PROXY_CLIENT,
        "proxy-client-key-file": pki_files.FRONT_PROXY_CLIENT_KEY,
        # Masters without kube-proxy can't reach service addresses: go to the endpoints.
        "enable-aggregator-routing": "true",
    }
