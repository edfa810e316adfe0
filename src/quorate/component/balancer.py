"""The load balancers: nginx or haproxy in front of all API servers."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.policy import policy_module
from quorate.component.service import SANDBOX, service
from quorate.component.settings import selinux
from quorate.component.turns import Enough, Turns
from quorate.render import haproxy, journal, keepalived, nginx, upstreams, watchdog
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host
from quorate.spec.facts import HostFacts
from quorate.spec.layout import BALANCER, BALANCER_DOWN, BALANCER_LOG, ENDPOINT_CHECK, LOADED
from quorate.spec.ports import BALANCER_STATE
from quorate.spec.timing import timing

NAME = "balancer"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.STRICT

NGINX_CONF = f"{BALANCER}/nginx.conf"
HAPROXY_CONF = f"{BALANCER}/haproxy.cfg"
UPSTREAMS = f"{BALANCER}/upstreams"
UPSTREAMS_LIST = f"{LOADED}/upstreams.conf"
"""The API servers that nginx uses, as the script of that name finds them."""
WATCHDOG = f"{BALANCER}/watchdog"
SELINUX = f"{BALANCER}/selinux.cil"
FEW = 25
"""As many balancers ask each API server at full pace, 200 times a second together; twice as many ask half as often."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Packages, balancer, beside nginx the checks of the API servers, and the watchdog of one that is a host's own."""
    if not context.cluster.balances(host):
        return
    c, facts = context.cluster, context.of(host)
    kind = c.load_balancer.kind
    packages = ["nginx", _stream_package(facts)] if kind == "nginx" else ["haproxy"]
    # By name, so that a change of the kind takes the other's packages away.
    yield from context.packages(host, kind, *packages, leavings=("/var/www",) if kind == "nginx" else ())
    if facts.selinux == "enforcing" and c.os.selinux == "keep":
        yield from _selinux(context, host)
    yield from (_nginx if kind == "nginx" else _haproxy)(context, host)
    if c.endpoint.local:
        yield from _watchdog(context, host)
    # 7: nobody listens. Anything else is the balancer's doing, with or without API servers behind it.
    check = (
        f"curl -sk --noproxy '*' --connect-timeout 1 --max-time 3 https://127.0.0.1:{c.balancer_port}/readyz || "
        "[ $? != 7 ]"
    )
    evidence = journal.last(f"{kind}.service")
    if kind == "nginx":
        check = f"{{ {check}; }} && {upstreams.listed(_servers(context), UPSTREAMS_LIST)}"
        evidence = f"cat {UPSTREAMS_LIST}; {evidence}"
    # One that is its host's own holds up nobody else.
    yield Ready(host=host.name, what=kind, check=check, within=30, evidence=evidence, own=c.endpoint.local)


def _selinux(context: Context, host: Host) -> Iterator[Resource]:
    """What SELinux must let balancer and health script do."""
    c = context.cluster
    text = selinux.policy(c.load_balancer.kind, check=ENDPOINT_CHECK if _vip(context, host) else "")
    yield from policy_module(host, "SELinux policy", SELINUX, text, name=selinux.NAME, relabel=ENDPOINT_CHECK)


def _vip(context: Context, host: Host) -> bool:
    """Whether keepalived runs beside the balancer, perhaps for a virtual IP that is about to go."""
    return context.cluster.endpoint.vip is not None or any(former.vip for former in context.former_endpoints(host))


def _asked(context: Context, host: Host) -> bool:
    """Whether watchdog or pulse ask the balancer, that one perhaps for a virtual IP that is about to go."""
    c, former_endpoints = context.cluster, context.former_endpoints(host)
    return c.endpoint.local or c.vip_moves or any(former.vip and len(former.hosts) > 1 for former in former_endpoints)


def _slower(context: Context) -> int:
    """How many times slower than usual API servers are checked: where each node does it, they are asked by all."""
    return 1 + (len(context.cluster.balancing) - 1) // FEW


def _servers(context: Context) -> list[tuple[str, int]]:
    """Addresses and ports of the API servers."""
    return [(master.ip, context.cluster.apiserver.port) for master in context.cluster.masters]


def _stream_package(facts: HostFacts) -> str:
    return "libnginx-mod-stream" if facts.package_manager == "apt" else "nginx-mod-stream"


def _nginx(context: Context, host: Host) -> Iterator[Resource]:
    c, facts = context.cluster, context.of(host)
    debian = facts.package_manager == "apt"
    library = "/usr/lib/nginx" if debian else "/usr/lib64/nginx"
    limit = facts.nofile_limit
    ports, local_ports = context.ports(host)
    text = nginx.stream(
        ports=ports,
        local_ports=local_ports,
        upstreams=UPSTREAMS_LIST,
        connect_timeout_ms=timing(c).connect_timeout_ms,
        access_log=BALANCER_LOG,
        user="www-data" if debian else "nginx",
        module=f"{library}/modules/ngx_stream_module.so",
        nofile=65536 if limit >= 65536 else None,
        connections=8192 if limit >= 65536 else max(512, limit // 4),
        pulse=BALANCER_STATE if _asked(context, host) else None,
    )
    yield File(host=host.name, path=NGINX_CONF, content=text)
    script = upstreams.script(_servers(context), UPSTREAMS_LIST, slower=_slower(context))
    yield File(host=host.name, path=UPSTREAMS, content=script, mode="0755")
    # Before the services: so it goes after them.
    yield Undo(host=host.name, what="list of API servers", script=f"rm -f {UPSTREAMS_LIST}")
    run = ["/usr/sbin/nginx", "-c", NGINX_CONF]
    # By sh: SELinux lets init run what lies in /etc only as itself.
    before = [["/bin/sh", UPSTREAMS, "init"], ["/usr/sbin/nginx", "-t", "-q", "-c", NGINX_CONF]]
    yield from service(
        context,
        host,
        "nginx.service",
        description="nginx, load balancer of the Kubernetes API",
        exec_start=run,
        pre=before,
        post=[keepalived.mark(BALANCER_DOWN, up=True)],
        exec_reload=[*before, "kill -HUP $MAINPID"],
        exec_stop_post=[keepalived.mark(BALANCER_DOWN, up=False)],
        # nginx is its own parent here: started means listening, and only then may keepalived be told.
        type="forking",
        extra={"PIDFile": "/run/nginx.pid"},
        restart_sec="500ms",
        # A new list of API servers cuts nobody off: old workers end with their connections.
        reload=True,
        # The script too: with other API servers it is another one, and makes another list before nginx reads it,
        # whatever the service below, still the old one, wrote meanwhile.
        loads=[NGINX_CONF, UPSTREAMS],
        limit_nofile=min(65536, limit),
    )
    yield from service(
        context,
        host,
        "quorate-upstreams.service",
        description="API servers that nginx uses, by their health",
        exec_start=["/bin/sh", UPSTREAMS],
        loads=[UPSTREAMS],
        after=["nginx.service"],
        # Root, for systemd lets nobody else reload nginx; of root's rights only that to cut sessions (`ss -K`).
        extra={"CapabilityBoundingSet": "CAP_NET_ADMIN", **SANDBOX},
    )


def _haproxy(context: Context, host: Host) -> Iterator[Resource]:
    c, facts = context.cluster, context.of(host)
    limit = facts.nofile_limit
    ports, local_ports = context.ports(host)
    text = haproxy.config(
        ports=ports,
        local_ports=local_ports,
        servers={master.name: (master.ip, c.apiserver.port) for master in c.masters},
        connect_timeout_ms=timing(c).connect_timeout_ms,
        stats_socket=f"{LOADED}/haproxy.sock",
        max_connections=8192 if limit >= 65536 else max(256, limit // 4),
        nofile=limit if limit < 65536 else None,
        state_port=BALANCER_STATE,
        slower=_slower(context),
    )
    yield File(host=host.name, path=HAPROXY_CONF, content=text)
    run = ["/usr/sbin/haproxy", "-Ws", "-f", HAPROXY_CONF]
    yield from service(
        context,
        host,
        "haproxy.service",
        description="haproxy, load balancer of the Kubernetes API",
        exec_start=run,
        type="notify",
        exec_reload=[["/usr/sbin/haproxy", "-c", "-q", "-f", HAPROXY_CONF], "kill -USR2 $MAINPID"],
        reload=True,
        pre=[["/usr/sbin/haproxy", "-c", "-q", "-f", HAPROXY_CONF]],
        post=[keepalived.mark(BALANCER_DOWN, up=True)],
        exec_stop_post=[keepalived.mark(BALANCER_DOWN, up=False)],
        restart_sec="500ms",
        kill_mode="mixed",
        loads=[HAPROXY_CONF],
        limit_nofile=min(65536, limit),
    )


def _watchdog(context: Context, host: Host) -> Iterator[Resource]:
    unit = f"{context.cluster.load_balancer.kind}.service"
    yield File(host=host.name, path=WATCHDOG, content=watchdog.script(unit=unit, port=BALANCER_STATE), mode="0755")
    yield from service(
        context,
        host,
        "quorate-watchdog.service",
        description="ends this host's balancer of the Kubernetes API when it hangs",
        exec_start=["/bin/sh", WATCHDOG],
        loads=[WATCHDOG],
        after=[unit],
        # Root, for systemd lets nobody else kill a service; it needs none of root's rights.
        extra={"CapabilityBoundingSet": "", **SANDBOX},
    )
