"""The certificate table: who needs which certificate, from which CA, under which name, and where it lies.

After kubeadm's list of certificates, with four differences: every host has its own pair, nothing that stays
on a host is in `system:masters`, etcd's client certificates tell the API server and the operator apart, and
the CA keys of etcd and of the front proxy never leave the state folder.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from quorate.core import SpecError
from quorate.spec import layout, metrics_server, pki_files
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.secrets import pair_id

KUBELET_CLIENTS = "quorate:kubelet-clients"
"""Group of the API servers at the kubelets; `access` binds it to the ClusterRole system:kubelet-api-admin."""
ADMINS = "quorate:admins"
"""Group of the operators; `access` binds it to cluster-admin, so that the right can be taken back by RBAC."""
SUPERUSERS = "system:masters"
"""Built into the API server above RBAC; can't be taken back. Only the break-glass certificate has it."""

ETCD_CA = f"{layout.ETCD_PKI}/ca.crt"
ETCD_SERVER = f"{layout.ETCD_PKI}/server.crt"
ETCD_SERVER_KEY = f"{layout.ETCD_PKI}/server.key"
ETCD_PEER = f"{layout.ETCD_PKI}/peer.crt"
ETCD_PEER_KEY = f"{layout.ETCD_PKI}/peer.key"
ETCD_CLIENT = f"{layout.ETCD_PKI}/client.crt"
"""For etcdctl and health checks of the member itself, as root."""
ETCD_CLIENT_KEY = f"{layout.ETCD_PKI}/client.key"
ETCD_CURL = ("--cacert", ETCD_CA, "--cert", ETCD_CLIENT, "--key", ETCD_CLIENT_KEY)
"""The same as words of curl's."""

Ca = Literal["ca", "etcd-ca", "front-proxy-ca"]
CN_MAX = 64
"""Longest common name (RFC 5280, ub-common-name)."""


@dataclass(frozen=True)
class Authority:
    """One CA; its pair has the ids `<id>.crt` and `<id>.key`."""

    id: Ca
    cn: str


AUTHORITIES: tuple[Authority, ...] = (
    Authority("ca", "kubernetes-ca"),
    Authority("etcd-ca", "etcd-ca"),
    Authority("front-proxy-ca", "front-proxy-ca"),
)


@dataclass(frozen=True)
class Wanted:
    """One certificate that must exist.

    `host` is None for one that stays in the state folder. Without `cert_path` it lies on no host as a file:
    it is embedded in a kubeconfig.
    """

    name: str
    host: str | None
    ca: Ca
    cn: str
    orgs: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    sans: tuple[str, ...] = ()
    cert_path: str = ""
    key_path: str = ""
    owner: str = "root:root"

    @property
    def id(self) -> str:
        """Id of the pair, such as `apiserver@master01`."""
        return pair_id(self.name, self.host)


@dataclass(frozen=True)
class PkiFile:
    """One file on a host: what is in it (id in `Secrets`), where, whose; keys are secret."""

    id: str
    path: str
    owner: str = "root:root"
    mode: str = "0644"
    secret: bool = False


@dataclass(frozen=True)
class Profile:
    """One line of the table: makes a `Wanted` for every host that has the role."""

    name: str
    ca: Ca
    role: Role
    cn: Callable[[Host], str]
    orgs: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    sans: Callable[[Cluster, Host], Iterable[str]] = lambda _cluster, _host: ()
    cert_path: str = ""
    key_path: str = ""
    owner: str = "root:root"

    def of(self, c: Cluster, host: Host) -> Wanted:
        """The certificate of one host."""
        return Wanted(
            self.name,
            host.name,
            self.ca,
            self.cn(host),
            self.orgs,
            self.server,
            self.client,
            tuple(dict.fromkeys(self.sans(c, host))),
            self.cert_path,
            self.key_path,
            self.owner,
        )


def _apiserver_sans(c: Cluster, host: Host) -> Iterable[str]:
    """Every name and address by which anybody reaches any API server, so that another way in breaks none."""
    yield from (host.name, host.ip)
    for master in sorted(c.masters, key=lambda h: h.name):
        yield from (master.name, master.ip)
    yield from sorted(balancer.ip for balancer in c.balancers)
    yield from (c.front, c.server)
    yield from (c.service_ip, "127.0.0.1", "localhost", "kubernetes", "kubernetes.default")
    yield from ("kubernetes.default.svc", f"kubernetes.default.svc.{c.network.dns_domain}")
    yield from c.apiserver.extra_sans


def _member_sans(_cluster: Cluster, host: Host) -> Iterable[str]:
    return (host.name, host.ip, "localhost", "127.0.0.1")


def _loopback_sans(_cluster: Cluster, _host: Host) -> Iterable[str]:
    return ("localhost", "127.0.0.1")


def _node_sans(_cluster: Cluster, host: Host) -> Iterable[str]:
    return (host.name, host.ip, host.node)


def _always(cn: str) -> Callable[[Host], str]:
    return lambda _host: cn


def _node_user(host: Host) -> str:
    """The user that the Node authorizer and NodeRestriction know the kubelet by."""
    return f"system:node:{host.node}"


P = pki_files
MASTER, MEMBER, WORKER = Role.CONTROL_PLANE, Role.ETCD, Role.WORKER

# etcd's gRPC gateway dials the member itself with the server's certificate, so that needs client usage too
# (etcd issue 9785; kubeadm does the same).
# kube-proxy has no group: the API server's own bootstrap policy binds the user system:kube-proxy to
# system:node-proxier.
PROFILES: tuple[Profile, ...] = (
    Profile("apiserver", "ca", MASTER, _always("kube-apiserver"), (), True, False, _apiserver_sans,
            P.APISERVER, P.APISERVER_KEY),
    Profile("apiserver-kubelet-client", "ca", MASTER, _always("kube-apiserver-kubelet-client"),
            (KUBELET_CLIENTS,), client=True,
            cert_path=P.APISERVER_KUBELET_CLIENT, key_path=P.APISERVER_KUBELET_CLIENT_KEY),
    Profile("apiserver-etcd-client", "etcd-ca", MASTER, _always("kube-apiserver-etcd-client"), client=True,
            cert_path=P.APISERVER_ETCD_CLIENT, key_path=P.APISERVER_ETCD_CLIENT_KEY),
    Profile("etcd-way", "etcd-ca", MASTER, _always("quorate-etcd-way"), (), True, False, _loopback_sans,
            P.ETCD_WAY, P.ETCD_WAY_KEY),
    Profile("front-proxy-client", "front-proxy-ca", MASTER, _always(P.FRONT_PROXY_CLIENT_CN), client=True,
            cert_path=P.FRONT_PROXY_CLIENT, key_path=P.FRONT_PROXY_CLIENT_KEY),
    Profile("controller-manager", "ca", MASTER, _always("system:kube-controller-manager"),
            ("system:kube-controller-manager",), client=True),
    Profile("scheduler", "ca", MASTER, _always("system:kube-scheduler"), ("system:kube-scheduler",),
            client=True),
    Profile("admin", "ca", MASTER, _always("kubernetes-admin"), (ADMINS,), client=True),
    Profile("etcd-server", "etcd-ca", MEMBER, lambda h: h.name, (), True, True, _member_sans,
            ETCD_SERVER, ETCD_SERVER_KEY, "etcd:etcd"),
    Profile("etcd-peer", "etcd-ca", MEMBER, lambda h: h.name, (), True, True, _member_sans,
            ETCD_PEER, ETCD_PEER_KEY, "etcd:etcd"),
    Profile("etcd-client", "etcd-ca", MEMBER, _always("etcd-operator"), client=True,
            cert_path=ETCD_CLIENT, key_path=ETCD_CLIENT_KEY),
    Profile("kubelet-client", "ca", WORKER, _node_user, ("system:nodes",), client=True,
            cert_path=P.KUBELET_CLIENT, key_path=P.KUBELET_CLIENT_KEY),
    Profile("kubelet-server", "ca", WORKER, _node_user, ("system:nodes",), True, False, _node_sans,
            P.KUBELET_SERVER, P.KUBELET_SERVER_KEY),
    Profile("kube-proxy", "ca", WORKER, _always("system:kube-proxy"), client=True),
)  # fmt: skip

OPERATORS: tuple[Wanted, ...] = (
    Wanted("admin", None, "ca", "kubernetes-admin", (ADMINS,), client=True),
    Wanted("super-admin", None, "ca", "kubernetes-super-admin", (SUPERUSERS,), client=True),
)
"""Certificates of the operator's machine; `super-admin` is for the day when RBAC itself is
broken; `access` lends it to a host for the moment in which the first bindings are written."""

METRICS_SERVER = Wanted(
    metrics_server.NAME, None, "ca", metrics_server.NAME, server=True, sans=(metrics_server.SERVER_NAME,)
)
"""In a Secret of the cluster, for its pods; API servers verify it."""


def certificates(c: Cluster) -> tuple[Wanted, ...]:
    """Every certificate that the cluster needs, in the order of the table.

    Raises SpecError for a node name that does not fit into a certificate.
    """
    for host in c.workers:
        if len(_node_user(host)) > CN_MAX:
            raise SpecError(
                f"host {host.name}: node name {host.node} is too long for a certificate",
                f"set a node_name of at most {CN_MAX - len('system:node:')} characters",
            )
    wanted = [profile.of(c, host) for profile in PROFILES for host in c.having(profile.role)]
    pods = (METRICS_SERVER,) if metrics_server.wanted(c) else ()
    return (*wanted, *OPERATORS, *pods)


def files(c: Cluster, host: Host) -> tuple[PkiFile, ...]:
    """Every key and certificate that lies on a host as a file, CAs first."""
    found: list[PkiFile] = []
    if host.has(MASTER) or host.has(WORKER):
        found.append(PkiFile("ca.crt", P.CA))
    if host.has(MASTER):
        found += [
            PkiFile("ca.key", P.CA_KEY, mode="0600", secret=True),
            PkiFile("front-proxy-ca.crt", P.FRONT_PROXY_CA),
            PkiFile("etcd-ca.crt", P.ETCD_CA),
            PkiFile("sa.pub", P.SA_PUB),
            PkiFile("sa.key", P.SA_KEY, mode="0600", secret=True),
        ]
    if host.has(MEMBER):
        found.append(PkiFile("etcd-ca.crt", ETCD_CA))
    for profile in PROFILES:
        if profile.cert_path and host.has(profile.role):
            id = pair_id(profile.name, host.name)
            found.append(PkiFile(f"{id}.crt", profile.cert_path, profile.owner))
            found.append(PkiFile(f"{id}.key", profile.key_path, profile.owner, "0600", secret=True))
    return tuple(found)
