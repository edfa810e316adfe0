"""kube-scheduler: one on each control-plane host, talking to the API server of its own host."""

from collections.abc import Iterator, Mapping

from quorate.component.command import tried
from quorate.component.context import Context
from quorate.component.service import runs, service
from quorate.component.settings import election, scheduler
from quorate.component.turns import Enough, Turns
from quorate.render import journal, yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host, Role

NAME = "scheduler"
AFTER: tuple[str, ...] = ("apiserver",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.STRICT


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binary, kubeconfig, service, health."""
    if not host.has(Role.CONTROL_PLANE):
        return
    c = context.cluster
    yield from context.binaries(host, "kube-scheduler")
    own = layout.kubeconfig(scheduler.NAME)
    text = kubeconfig(
        # Its own API server: a master that depended on another one would be no second master.
        f"https://{host.ip}:{c.apiserver.port}",
        context.secrets.cert("ca"),
        "system:kube-scheduler",
        cert_pem=context.secrets.cert("scheduler", host.name),
        key_pem=context.secrets.key("scheduler", host.name),
        cluster=c.name,
    )
    yield File(host=host.name, path=own, content=text, mode="0600", secret=True)
    config = yaml.dump(scheduler.config(c, context.minor))
    flags = scheduler.flags(c)
    file = File(host=host.name, path=scheduler.CONFIG, content=config, mode="0600")
    yield tried(file, "kube-scheduler.service", "kube-scheduler", flags, c.versions.kubernetes, flag="config")
    yield from service(
        context,
        host,
        "kube-scheduler.service",
        description="Kubernetes scheduler",
        binary="kube-scheduler",
        flags=flags,
        loads=[own, pki_files.CA, scheduler.CONFIG],
        exec_stop_post=[election.step_down(scheduler.NAME)],
    )
    yield Ready(
        host=host.name,
        what="kube-scheduler",
        check=f"curl -sfk --noproxy '*' --connect-timeout 1 --max-time 3 https://127.0.0.1:{scheduler.PORT}/healthz",
        proof=runs("kube-scheduler.service", "kube-scheduler"),
        within=60,
        evidence=journal.last("kube-scheduler.service"),
    )
