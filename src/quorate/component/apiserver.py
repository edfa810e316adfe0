"""kube-apiserver: one on each control-plane host, at the host's own address."""

import json
from collections.abc import Iterator, Mapping

from quorate.component.command import tried
from quorate.component.context import APISERVER, Context
from quorate.component.service import runs, service
from quorate.component.settings import apiserver, audit, encryption
from quorate.component.turns import Enough, Turns
from quorate.render import journal, yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.render.sh import quote
from quorate.resource.file import Directory, File, Symlink
from quorate.resource.kube import kubectl
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host, Role

NAME = "apiserver"
AFTER: tuple[str, ...] = ("system", "trust", "etcd_way")
MEETS: Mapping[str, Enough] = {"etcd": Enough.MOST}
TURNS = Turns.STRICT

# Not its own certificate: it takes a new one over by itself, within a minute, and loses no connection.
CERTIFICATES = (
    pki_files.CA,
    pki_files.APISERVER_KUBELET_CLIENT,
    pki_files.APISERVER_KUBELET_CLIENT_KEY,
    pki_files.FRONT_PROXY_CA,
    pki_files.FRONT_PROXY_CLIENT,
    pki_files.FRONT_PROXY_CLIENT_KEY,
    pki_files.SA_PUB,
    pki_files.SA_KEY,
    pki_files.ETCD_CA,
    pki_files.APISERVER_ETCD_CLIENT,
    pki_files.APISERVER_ETCD_CLIENT_KEY,
)


def writes(host: Host, port: int) -> str:
    """sh that succeeds when the API server of this host writes, which /readyz does not say: its connections to etcd for
    that are others. An Event goes by itself, after an hour. Before the administrator's rights are written, in a first
    build, nobody may write, and that is no fault of the server.
    """
    event = {
        **{"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "quorate-"}, "type": "Normal"},
        "involvedObject": {"apiVersion": "v1", "kind": "Namespace", "name": "default", "namespace": "default"},
        **{"reason": "Proven", "message": f"the API server of {host.name} writes", "source": {"component": "quorate"}},
    }
    ask = kubectl(f"https://{host.ip}:{port}", timeout="3s")
    write = f"printf %s {quote(json.dumps(event))} | {ask} create --raw /api/v1/namespaces/default/events -f - 2>&1"
    return f"q_said=$({write}) || case $q_said in *'(Forbidden)'*) ;; *) false;; esac"


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binaries, policies, the admin's kubeconfig, service, health at its own address."""
    if not host.has(Role.CONTROL_PLANE):
        return
    c, minor, served = context.cluster, context.minor, context.serves_as(host)
    name = host.name
    yield from context.binaries(host, "kube-apiserver", "kubectl", linked=("kubectl",))
    loads = [*CERTIFICATES, apiserver.AUDIT_POLICY]
    flags = apiserver.flags(served, served.host(name), minor)
    if c.apiserver.encrypt_secrets:
        text = yaml.dump(encryption.config(*context.secrets.encryption_keys))
        yield File(host=name, path=apiserver.ENCRYPTION, content=text, mode="0600", secret=True)
        loads.append(apiserver.ENCRYPTION)
    if (authentication := apiserver.authentication_config(served, minor)) is not None:
        text = yaml.dump(authentication)
        file = File(host=name, path=apiserver.AUTHENTICATION, content=text, mode="0600")
        yield tried(file, APISERVER, "kube-apiserver", flags, c.versions.kubernetes, flag="authentication-config")
        loads.append(apiserver.AUTHENTICATION)
    policy = context.texts.get("audit-policy") or yaml.dump(audit.policy())
    file = File(host=name, path=apiserver.AUDIT_POLICY, content=policy, mode="0600")
    yield tried(file, APISERVER, "kube-apiserver", flags, c.versions.kubernetes, flag="audit-policy-file")
    yield Directory(host=name, path=layout.AUDIT_LOG.rpartition("/")[0], mode="0700", purge=True)
    admin = kubeconfig(
        c.node_url,
        context.secrets.cert("ca"),
        "kubernetes-admin",
        cert_pem=context.secrets.cert("admin", name),
        key_pem=context.secrets.key("admin", name),
        cluster=c.name,
    )
    yield File(host=name, path=layout.kubeconfig("admin"), content=admin, mode="0600", secret=True)
    yield Directory(host=name, path="/root/.kube", mode="0700", purge=True)
    yield Symlink(host=name, path="/root/.kube/config", target=layout.kubeconfig("admin"))
    yield from service(
        context,
        host,
        APISERVER,
        description="Kubernetes API server",
        binary="kube-apiserver",
        flags=flags,
        loads=loads,
        type="notify",
        # At a shutdown it ends before its way to etcd does, and can still take itself out of the list of API servers.
        after=[layout.ETCD_WAY_UNIT],
        limit_nofile=min(1048576, context.of(host).nofile_limit),
        extra={"TimeoutStartSec": "120", "TimeoutStopSec": apiserver.stops_within(minor)},
    )
    yield Ready(
        host=name,
        what="kube-apiserver",
        # Under the endpoint's name, so that it is proven that its certificate has that name.
        check=f"curl -gsf --noproxy '*' --connect-timeout 1 --max-time 3 --cacert {pki_files.CA} "
        f"--connect-to ::{host.ip}:{c.apiserver.port} {c.server_url}/readyz",
        proof=f"{runs(APISERVER, 'kube-apiserver')} && {{ {writes(host, c.apiserver.port)}; }}",
        within=180,
        interval=0.5,
        evidence=f"curl -gsk --noproxy '*' --connect-timeout 1 --max-time 3 "
        f"'https://{host.ip}:{c.apiserver.port}/readyz?verbose'; echo; {journal.last('kube-apiserver.service')}",
    )
