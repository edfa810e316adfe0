"""kube-proxy: services' addresses, one on each worker, with a watch over its rules."""

import hashlib
from collections.abc import Iterator, Mapping

from quorate.component.command import tried
from quorate.component.context import Context
from quorate.component.keeper import check_of, whole
from quorate.component.service import runs, service
from quorate.component.settings import client, proxy
from quorate.component.turns import Enough, Turns
from quorate.render import journal, service_rules, yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.resource.unit import Ready
from quorate.spec import layout
from quorate.spec.cluster import Host, Role

NAME = "proxy"
AFTER: tuple[str, ...] = ("programs", "endpoint")
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.CANARY

RULES = f"{layout.BALANCER}/rules"


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binary, configuration, service, health."""
    if not host.has(Role.WORKER):
        return
    c, name = context.cluster, host.name
    yield from context.binaries(host, "kube-proxy")
    own = layout.kubeconfig(proxy.NAME)
    text = kubeconfig(
        c.node_url,
        context.secrets.cert("ca"),
        "system:kube-proxy",
        cert_pem=context.secrets.cert("kube-proxy", name),
        key_pem=context.secrets.key("kube-proxy", name),
        cluster=c.name,
    )
    yield File(host=name, path=own, content=text, mode="0600", secret=True)
    config = proxy.config(c, host, context.of(host), context.minor)
    file = File(host=name, path=proxy.CONFIG, content=yaml.dump(config), mode="0600")
    flags = proxy.flags(c)
    yield tried(file, "kube-proxy.service", "kube-proxy", flags, c.versions.kubernetes, flag="config")
    yield Undo(host=name, what="service rules", script=service_rules.LEAVE)
    yield from service(
        context,
        host,
        "kube-proxy.service",
        description="Kubernetes kube-proxy",
        binary="kube-proxy",
        flags=flags,
        loads=[own, proxy.CONFIG],
        environment=client.environment(c),
        limit_nofile=min(65536, context.of(host).nofile_limit),
    )
    yield Ready(
        host=name,
        what="kube-proxy",
        check=f"curl -sf --noproxy '*' --connect-timeout 1 --max-time 3 http://{host.ip}:{proxy.HEALTH_PORT}/healthz",
        proof=runs("kube-proxy.service", "kube-proxy"),
        within=60,
        evidence=journal.last("kube-proxy.service"),
    )
    script, wanted = service_rules.rules(), service_rules.check(c.network.proxy_mode, c.service_ip)
    yield File(host=name, path=RULES, content=script, mode="0755")
    yield File(host=name, path=check_of(RULES), content=wanted, mode="0755")
    yield from service(
        context,
        host,
        "quorate-rules.service",
        description="Brings back rules of kube-proxy that somebody flushed",
        # By sh: SELinux lets init run what lies in /etc only as itself.
        exec_start=["/bin/sh", RULES],
        loads=[RULES, check_of(RULES)],
        after=["kube-proxy.service"],
        extra={"X-Script": hashlib.sha256(script.encode()).hexdigest()},
    )
    yield Ready(
        host=name,
        what="rules of kube-proxy",
        check=whole(RULES),
        within=60,
        evidence=f"/bin/sh {check_of(RULES)}; {journal.last('quorate-rules.service')}",
    )
