"""kube-controller-manager: one on each control-plane host, talking to the API server of its own host."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.service import runs, service
from quorate.component.settings import controller_manager, election
from quorate.component.turns import Enough, Turns
from quorate.render import journal
from quorate.render.kubeconfig import kubeconfig
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host, Role

NAME = "controller_manager"
AFTER: tuple[str, ...] = ("apiserver",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.STRICT


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binary, kubeconfig, service, health."""
    if not host.has(Role.CONTROL_PLANE):
        return
    c = context.cluster
    yield from context.binaries(host, "kube-controller-manager")
    own = layout.kubeconfig(controller_manager.NAME)
    text = kubeconfig(
        # Its own API server: a master that depended on another one would be no second master.
        f"https://{host.ip}:{c.apiserver.port}",
        context.secrets.cert("ca"),
        "system:kube-controller-manager",
        cert_pem=context.secrets.cert("controller-manager", host.name),
        key_pem=context.secrets.key("controller-manager", host.name),
        cluster=c.name,
    )
    yield File(host=host.name, path=own, content=text, mode="0600", secret=True)
    yield from service(
        context,
        host,
        "kube-controller-manager.service",
        description="Kubernetes controller manager",
        binary="kube-controller-manager",
        flags=controller_manager.flags(c, context.minor),
        loads=[own, pki_files.CA, pki_files.CA_KEY, pki_files.SA_KEY],
        exec_stop_post=[election.step_down(controller_manager.NAME)],
    )
    yield Ready(
        host=host.name,
        what="kube-controller-manager",
        check=f"curl -sfk --noproxy '*' --connect-timeout 1 --max-time 3 https://127.0.0.1:{controller_manager.PORT}/healthz",
        proof=runs("kube-controller-manager.service", "kube-controller-manager"),
        within=60,
        evidence=journal.last("kube-controller-manager.service"),
    )
