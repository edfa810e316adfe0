"""The virtual IP: keepalived on each balancer, with what finds its balancer hung and its address gone.

A part of its own, so that where it is given up it goes in the end, after all clients, though the balancer stays.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from quorate.component.context import Context
from quorate.component.service import SANDBOX, service
from quorate.component.turns import Enough, Turns
from quorate.render import address, keepalived, pulse
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.spec import vip as place
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER, BALANCER_DOWN, BALANCER_HUNG, ENDPOINT_CHECK, KEEPALIVED_CONF
from quorate.spec.ports import BALANCER_STATE
from quorate.spec.timing import timing

NAME = "virtual_ip"
AFTER: tuple[str, ...] = ("system", "vrrp", "balancer")
MEETS: Mapping[str, Enough] = {"vrrp": Enough.ALL}
TURNS = Turns.STRICT

ADDRESS = f"{BALANCER}/address"
DROP = f"{BALANCER}/drop-addresses"
PULSE = f"{BALANCER}/pulse"
_AT_ONCE = {"CPUWeight": 10000}
"""Of what must not wait for a CPU: a hundred times the share of any other service, though it needs hardly any. Three
late adverts are a false alarm. Where CPUs are shared out by service, a nice value weighs within its own alone."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """On a balancer: the pulse where another may take over, keepalived, the watch of its address."""
    c = context.cluster
    if not (host.has(Role.LOAD_BALANCER) and c.endpoint.vip):
        return
    if c.vip_moves:
        yield from _pulse(context, host)
    yield from _keepalived(context, host)


def _peers(context: Context, host: Host) -> list[str]:
    """Addresses of the other balancers."""
    return [balancer.ip for balancer in context.cluster.balancers if balancer.name != host.name]


def _pulse(context: Context, host: Host) -> Iterator[Resource]:
    c = context.cluster
    unit = f"{c.load_balancer.kind}.service"
    text = pulse.script(
        unit=unit,
        port=BALANCER_STATE,
        peers=_peers(context, host),
        peer_port=c.endpoint.port,
        track_file=BALANCER_HUNG,
        ports=context.ports(host)[0],
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
        exec_stop_post=[keepalived.mark(BALANCER_HUNG, up=True)],
        # Root for what it writes; of root's rights only those to end a balancer and its sessions. First in the queue
        # for a CPU, for it is there for moments.
        extra={**_AT_ONCE, "Nice": -20, "CapabilityBoundingSet": "CAP_KILL CAP_NET_ADMIN", **SANDBOX},
    )


def _keepalived(context: Context, host: Host) -> Iterator[Resource]:
    c, facts = context.cluster, context.of(host)
    vip = c.endpoint.vip
    assert vip is not None
    held = list(
        dict.fromkeys([vip, *(IPv4Address(former.vip) for former in context.kept.former_endpoints if former.vip)])
    )
    rank = [balancer.name for balancer in c.balancers].index(host.name)
    text = keepalived.config(
        router_id=host.name,
        interface=place.carrier(c, host, facts),
        virtual_router_id=place.router_id(c, context.facts.hosts),
        # High and close together: the time that a backup waits shrinks with its priority (RFC 9568: skew).
        priority=keepalived.TOP_PRIORITY - 10 * rank,
        advert_interval=timing(c).advert_interval,
        address=host.ip,
        peers=_peers(context, host),
        vips={str(each): place.prefix(c, host, facts, each, held) for each in held},
        vip_interface=place.interface(c, host, facts),
        check=ENDPOINT_CHECK,
        track_file=BALANCER_DOWN,
        pulse_file=BALANCER_HUNG,
    )
    script = keepalived.health_script(port=c.endpoint.port, peers=_peers(context, host))
    yield File(host=host.name, path=ENDPOINT_CHECK, content=script, mode="0755")
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
        loads=[KEEPALIVED_CONF, ENDPOINT_CHECK],
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
        extra={"CapabilityBoundingSet": "CAP_NET_ADMIN", **SANDBOX},
    )
