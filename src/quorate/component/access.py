"""Who may do what in the cluster: the few RBAC objects that the parts need, and nobody else's."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.pki.profiles import ADMINS, KUBELET_CLIENTS
from quorate.render import yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.render.sh import quote
from quorate.resource.kube import Manifest, kubectl, unless_away
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec.cluster import Host

NAME = "access"
AFTER: tuple[str, ...] = ("apiserver",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


def _binding(name: str, role: str, group: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }


BINDINGS = (
    _binding("quorate:admins", "cluster-admin", ADMINS),
    # For logs, exec and port-forward: the API servers' own client certificate, and nobody else.
    _binding("quorate:kubelet-clients", "system:kubelet-api-admin", KUBELET_CLIENTS),
    # A kubelet renews its own certificate, and only its own.
    _binding(
        "quorate:renew-own-certificate",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "system:nodes",
    ),
)


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """The bindings, written with the break-glass certificate: before them nobody else may write any.

    Nodes of machines that are replaced are forgotten before the new ones come.
    """
    if host != context.api_host:
        return
    c = context.cluster
    server = f"https://{host.ip}:{c.apiserver.port}"
    credential = kubeconfig(
        server,
        context.secrets.cert("ca"),
        "kubernetes-super-admin",
        cert_pem=context.secrets.cert("super-admin"),
        key_pem=context.secrets.key("super-admin"),
        cluster=c.name,
    )
    yield Manifest(host=host.name, title="access", text=yaml.dump_all(BINDINGS), server=server, credential=credential)
    for was in (was for cluster in context.former for was in cluster.workers if was.name in context.replaced):
        yield _stale_node(context, server, host, was)


def _stale_node(context: Context, server: str, host: Host, was: Host) -> Setting:
    """The node object of the machine that was replaced: its machine-id tells it from the new one's."""
    run = kubectl(server)
    node, machine = quote(was.node), context.of(was).machine_id
    ask = f"{run} get node {node} --ignore-not-found -o 'jsonpath={{.status.nodeInfo.machineID}}'"
    return Setting(
        host=host.name,
        what=f"node {was.node} of the old machine",
        want=(("node", "gone"),),
        check=f"{unless_away(server)}id=$({ask}) || exit 0\n"
        f'case "$id" in ""|{quote(machine)}) echo node=gone;; *) echo node=there;; esac',
        script=f"{run} delete node {node} --ignore-not-found",
        removes=True,
    )
