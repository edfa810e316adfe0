"""The endpoint: nobody is pointed at it before it answers, and no host before it answers there, too."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.render.sh import quote
from quorate.resource.resource import Company, Resource
from quorate.resource.unit import Ready
from quorate.spec.cluster import Cluster, Host, Role

NAME = "endpoint"
AFTER: tuple[str, ...] = ("balancer", "virtual_ip")
MEETS: Mapping[str, Enough] = {"apiserver": Enough.ONE, "balancer": Enough.ONE, "virtual_ip": Enough.ONE}
TURNS = Turns.TOGETHER

FIRST, THEN = 60, 15
"""Seconds for the endpoint to answer at all, and on each further host once it does: a virtual IP that moves meanwhile
is back within four of them, also by the clocks of `wan`."""
ASK = "curl -gsSk --noproxy '*' --connect-timeout 1 --max-time 3 -o /dev/null"


def asks(host: Host) -> bool:
    """Whether a host uses the endpoint: all do but those that have nothing but a member of etcd."""
    return set(host.roles) != {Role.ETCD}


def reaches(cluster: Cluster) -> str:
    """sh that prints whether the endpoint is `reached` or `silent`: opens a connection, whatever comes next, or not."""
    url = f"{cluster.node_url}/readyz"
    connect = "curl -gsk --noproxy '*' --connect-timeout 2 --max-time 3 -o /dev/null -w '%{time_connect}'"
    return f"case $({connect} {url}) in *[1-9]*) echo reached;; ?*) echo silent;; esac"


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Each host that uses the endpoint asks it for /readyz, all the way round; control-plane hosts go first.

    The others ask when one of those has reached it. Who can't reach it stops what is to be done there, and nothing
    elsewhere. Where each has a balancer of its own, none goes first.
    """
    if not asks(host):
        return
    c = context.cluster
    url = f"{c.node_url}/readyz"
    masters = [] if c.endpoint.local else [each for each in c.masters if each.name not in context.absent]
    goes_first = host in masters
    yield Ready(
        host=host.name,
        what=NAME,
        check=f"{ASK} -f {url}",
        within=FIRST if goes_first or c.endpoint.local else THEN,
        evidence=_evidence(c, url),
        own=not goes_first,
        witnesses=tuple(
            (other.name, _holder(c, other)) for other in c.balancers if c.endpoint.vip and other.name != host.name
        ),
        company=() if goes_first or not masters else (Company(frozenset(map(_key, masters)), enough=1),),
    )


def _key(host: Host) -> Key:
    return Key(host.name, Ready.kind, NAME)


def _evidence(c: Cluster, url: str) -> str:
    """sh that prints what the way to the endpoint looks like from a host, and whether that to its balancers is open."""
    way, port, asked = "", c.endpoint.port, c.balancers
    whose, why = "the balancers'", "what is on the way stops the endpoint's alone:"
    what = "port security, ARP inspection, a route, a firewall"
    if c.endpoint.local:
        port, asked = c.apiserver.port, c.masters
        whose, why, what = "API servers'", "it is this host's balancer:", f"journalctl -u {c.load_balancer.kind}"
    if c.endpoint.vip:
        way = f'vip={c.endpoint.vip}; echo "the way: $(ip -4 route get $vip | head -n 1) $(ip -4 neigh show $vip)"\n'
    return f"""\
open= said=$({ASK} -f {url} 2>&1) || :; echo "this host can't reach {url}: ${{said:-it answers just now}}"
{way}for a in {" ".join(host.ip for host in asked)}; do
  if {ASK} "https://$a:{port}/readyz" 2>/dev/null; then open="$open $a"; fi
done
[ -z "$open" ] || echo "{whose} own addresses answer:$open; so {why}" \\
  "{what}\""""


def _holder(c: Cluster, host: Host) -> str:
    """sh by which a balancer tells whether it holds the virtual IP, and where."""
    vip = str(c.endpoint.vip)
    return f"""\
at=$(ip -4 -o addr show to {quote(f"{vip}/32")} | {{ read -r _ dev _; echo "$dev"; }})
if [ -n "$at" ]; then echo "{host.name} holds {vip}, on $at, $(cat "/sys/class/net/$at/address")"
else echo "{host.name} does not hold {vip}"; fi"""
