"""The load balancers: nginx or haproxy in front of all API servers, keepalived for the virtual IP."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from quorate.component.context import Context
from quorate.component.policy import policy_module
from quorate.component.service import service
from quorate.component.settings import selinux
from quorate.render import address, haproxy, journal, keepalived, nginx, pulse, upstreams
from quorate.resource.brick import Brick
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.resource.unit import Ready
from quorate.spec import vip as place
from quorate.spec.cluster import Host, Role
from quorate.spec.facts import HostFacts
from quorate.spec.layout import BALANCER, BALANCER_LOG, LOADED
from quorate.spec.ports import BALANCER_STATE
from quorate.spec.timing import timing

NAME = "balancer"
AFTER: tuple[str, ...] = ("system", "vrrp")
SERIAL = True

NGINX_CONF = f"{BALANCER}/nginx.conf"
HAPROXY_CONF = f"{BALANCER}/haproxy.cfg"
KEEPALIVED_CONF = f"{BALANCER}/keepalived.conf"
ADDRESS = f"{BALANCER}/address"
CHECK = f"{BALANCER}/check-endpoint"
DROP = f"{BALANCER}/drop-addresses"
UPSTREAMS = f"{BALANCER}/upstreams"
UPSTREAMS_LIST = f"{LOADED}/upstreams.conf"
"""The API servers that nginx uses, as the script of that name finds them."""
SELINUX = f"{BALANCER}/selinux.cil"
TRACK = "/run/quorate/balancer.down"
"""keepalived watches this file: the balancer's unit writes 0 when it has started and 1 when it has ended."""
PULSE = f"{BALANCER}/pulse"
PULSE_TRACK = "/run/quorate/balancer.hung"
"""And this one: the pulse writes 1 while the balancer hangs, else 0."""
_SANDBOX = {
    "ProtectSystem": "full",
    "ProtectHome": True,
    "PrivateTmp": True,
    "InaccessiblePaths": ["-/etc/kubernetes", "-/etc/etcd"],
}
"""Of the scripts beside the balancer."""
_AT_ONCE = {"CPUWeight": 10000}
"""Of what must not wait for a CPU: a hundred times the share of any other service, though it needs hardly any. Three
late adverts are a false alarm. Where CPUs are shared out by service, a nice value weighs within its own alone."""


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """Packages, balancer, keepalived when there is a virtual IP."""
    if not host.has(Role.LOAD_BALANCER):
        return
    c, facts = context.cluster, context.of(host)
    kind = c.load_balancer.kind
    packages = ["nginx", _stream_package(facts)] if kind == "nginx" else ["haproxy"]
    # By name, so that a change of the kind takes the other's packages away.
    yield from context.packages(host, kind, *packages, leavings=("/var/www",) if kind == "nginx" else ())
    if facts.selinux == "enforcing" and c.os.selinux == "keep":
        yield from _selinux(context, host)
    yield from (_nginx if kind == "nginx" else _haproxy)(context, host)
    # 7: nobody listens. Anything else is the balancer's doing, with or without API servers behind it.
    check = (
        f"curl -sk --noproxy '*' --connect-timeout 1 --max-time 3 https://127.0.0.1:{c.endpoint.port}/readyz || "
        "[ $? != 7 ]"
    )
    evidence = journal.last(f"{kind}.service")
    if kind == "nginx":
        check = f"{{ {check}; }} && {upstreams.listed(_servers(context), UPSTREAMS_LIST)}"
        evidence = f"cat {UPSTREAMS_LIST}; {evidence}"
    yield Ready(host=host.name, what=kind, check=check, within=30, evidence=evidence)
    if c.vip_moves:
        yield from _pulse(context, host)
    if c.endpoint.vip:
        yield from _keepalived(context, host)


def _selinux(context: Context, host: Host) -> Iterator[Brick]:
    """What SELinux must let balancer and health script do."""
    c = context.cluster
    text = selinux.policy(c.load_balancer.kind, check=CHECK if c.endpoint.vip else "")
    yield from policy_module(host, "SELinux policy", SELINUX, text, name=selinux.NAME, relabel=CHECK)


def _ports(context: Context) -> list[int]:
    """The endpoint's port, and those that clients still know."""
    return list(dict.fromkeys([context.cluster.endpoint.port, *(door.port for door in context.retiring)]))


def _servers(context: Context) -> list[tuple[str, int]]:
    """Addresses and ports of the API servers."""
    return [(master.ip, context.cluster.apiserver.port) for master in context.cluster.masters]


def _stream_package(facts: HostFacts) -> str:
    return "libnginx-mod-stream" if facts.package_manager == "apt" else "nginx-mod-stream"


def _nginx(context: Context, host: Host) -> Iterator[Brick]:
    c, facts = context.cluster, context.of(host)
    debian = facts.package_manager == "apt"
    library = "/usr/lib/nginx" if debian else "/usr/lib64/nginx"
    limit = facts.nofile_limit
    text = nginx.stream(
        ports=_ports(context),
        upstreams=UPSTREAMS_LIST,
        connect_timeout_ms=timing(c).connect_timeout_ms,
        access_log=BALANCER_LOG,
        user="www-data" if debian else "nginx",
        module=f"{library}/modules/ngx_stream_module.so",
        nofile=65536 if limit >= 65536 else None,
        connections=8192 if limit >= 65536 else max(512, limit // 4),
        pulse=BALANCER_STATE if c.vip_moves else None,
    )
    yield File(host=host.name, path=NGINX_CONF, content=text)
    yield File(host=host.name, path=UPSTREAMS, content=upstreams.script(_servers(context), UPSTREAMS_LIST), mode="0755")
    # Before the services: so it goes after them.
    yield Setting(
        host=host.name, what="list of API servers", want=(), check=":", order=":",
        undo=f"rm -f {UPSTREAMS_LIST}",
    )  # fmt: skip
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
        post=[keepalived.mark(TRACK, up=True)],
        exec_reload=[*before, "kill -HUP $MAINPID"],
        exec_stop_post=[keepalived.mark(TRACK, up=False)],
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
        extra={"CapabilityBoundingSet": "CAP_NET_ADMIN", **_SANDBOX},
    )


def _haproxy(context: Context, host: Host) -> Iterator[Brick]:
    c, facts = context.cluster, context.of(host)
    limit = facts.nofile_limit
    text = haproxy.config(
        ports=_ports(context),
        servers={master.name: (master.ip, c.apiserver.port) for master in c.masters},
        connect_timeout_ms=timing(c).connect_timeout_ms,
        stats_socket=f"{LOADED}/haproxy.sock",
        max_connections=8192 if limit >= 65536 else max(256, limit // 4),
        nofile=limit if limit < 65536 else None,
        state_port=BALANCER_STATE,
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
        post=[keepalived.mark(TRACK, up=True)],
        exec_stop_post=[keepalived.mark(TRACK, up=False)],
        restart_sec="500ms",
        kill_mode="mixed",
        loads=[HAPROXY_CONF],
        limit_nofile=min(65536, limit),
    )


def _peers(context: Context, host: Host) -> list[str]:
    """Addresses of the other balancers."""
    return [balancer.ip for balancer in context.cluster.balancers if balancer.name != host.name]


def _pulse(context: Context, host: Host) -> Iterator[Brick]:
    c = context.cluster
    unit = f"{c.load_balancer.kind}.service"
    text = pulse.script(
        unit=unit,
        port=BALANCER_STATE,
        peers=_peers(context, host),
        peer_port=c.endpoint.port,
        track_file=PULSE_TRACK,
        ports=_ports(context),
    )
    yield File(host=host.name, path=PULSE, content=text, mode="0755")
    yield from service(
        context,
        host,
        "quorate-pulse.service",
        description="whether the balancer of the Kubernetes API hangs",
        exec_start=["/bin/sh", PULSE],
        loads=[PULSE],
        after=[unit],
        # Who does not look can't say that the balancer hangs.
        exec_stop_post=[keepalived.mark(PULSE_TRACK, up=True)],
        # Root for what it writes; of root's rights only that to cut sessions. First in the queue for a CPU, for it is
        # there for moments.
        extra={**_AT_ONCE, "Nice": -20, "CapabilityBoundingSet": "CAP_NET_ADMIN", **_SANDBOX},
    )


def _keepalived(context: Context, host: Host) -> Iterator[Brick]:
    c, facts = context.cluster, context.of(host)
    vip = c.endpoint.vip
    assert vip is not None
    held = list(dict.fromkeys([vip, *(IPv4Address(door.vip) for door in context.retiring if door.vip)]))
    rank = [balancer.name for balancer in c.balancers].index(host.name)
    text = keepalived.config(
        router_id=host.name,
        interface=place.carrier(c, host, facts),
        virtual_router_id=place.router_id(c, context.facts.hosts),
        # High and close together: the time that a backup waits shrinks with its priority (RFC 9568: skew).
        priority=250 - 10 * rank,
        advert_interval=timing(c).advert_interval,
        address=host.ip,
        peers=_peers(context, host),
        vips={str(each): place.prefix(c, host, facts, each, held) for each in held},
        vip_interface=place.interface(c, host, facts),
        check=CHECK,
        track_file=TRACK,
        pulse_file=PULSE_TRACK,
    )
    script = keepalived.health_script(port=c.endpoint.port, peers=_peers(context, host))
    yield File(host=host.name, path=CHECK, content=script, mode="0755")
    # A file of its own, so that another address changes no unit and needs no restart.
    yield File(host=host.name, path=DROP, content=keepalived.drop([str(each) for each in held]), mode="0755")
    yield File(host=host.name, path=KEEPALIVED_CONF, content=text)
    yield from service(
        context,
        host,
        "keepalived.service",
        description="keepalived, virtual IP of the Kubernetes API",
        exec_start=keepalived.arguments(KEEPALIVED_CONF),
        pre=[["/bin/sh", DROP]],
        exec_reload=["kill -HUP $MAINPID"],
        exec_stop_post=[["/bin/sh", DROP]],
        restart_sec="100ms",
        reload=True,
        # The pulse writes its file first: SELinux lets keepalived make none.
        after=[f"{c.load_balancer.kind}.service", *(["quorate-pulse.service"] if c.vip_moves else [])],
        loads=[KEEPALIVED_CONF, CHECK],
        extra=_AT_ONCE,
    )
    yield File(host=host.name, path=ADDRESS, content=address.script(KEEPALIVED_CONF), mode="0755")
    yield from service(
        context,
        host,
        "quorate-address.service",
        description="whether the virtual IP is where keepalived put it",
        exec_start=["/bin/sh", ADDRESS],
        loads=[ADDRESS],
        after=["keepalived.service"],
        extra={"CapabilityBoundingSet": "CAP_NET_ADMIN", **_SANDBOX},
    )
