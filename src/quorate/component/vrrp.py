"""VRRP: that the balancers hear each other, before any of them may hold the virtual IP."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.render import vrrp
from quorate.render.sh import quote
from quorate.resource.package import Packages
from quorate.resource.resource import Resource
from quorate.resource.system import Encounter
from quorate.spec import vip as place
from quorate.spec.cluster import Host
from quorate.spec.layout import LOADED

NAME = "vrrp"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER

HEARD = f"{LOADED}/vrrp-heard"
"""Whom the host has heard."""
HEARD_VALID_MINUTES = 10
"""Minutes for which that counts: an apply that failed and begins again does not ask again at once."""
KEEPALIVED = "keepalived.service"


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """On each balancer keepalived's package; as long as one does not run, a proof that adverts of all others arrive."""
    c = context.cluster
    there = [each for each in c.balancers if each.name not in context.absent]
    if host not in there or not c.endpoint.vip:
        return
    yield from context.packages(host, "virtual IP", "keepalived")
    if len(there) < 2:
        return
    running = [each for each in there if KEEPALIVED in context.of(each).running]
    if running == there:
        return
    interface = place.carrier(c, host, context.of(host))
    ask = vrrp.script(
        address=host.ip,
        interface=interface,
        balancers=[each.ip for each in there],
        router_id=place.router_id(c, context.facts.hosts),
        listen=not running,
    )
    names = {each.ip: each.name for each in there}
    heard = " ".join(each.name for each in there if each != host)
    yield Encounter(
        host=host.name,
        what="VRRP",
        want=(("heard", heard),),
        check=f'[ -z "$(find {HEARD} -mmin -{HEARD_VALID_MINUTES} 2>/dev/null)" ] || echo "heard=$(cat {HEARD})"',
        script=vrrp.judged(ask, names, interface, f"printf '%s\\n' {quote(heard)} | settle 0600 root:root {HEARD}"),
        undo=f"rm -f {HEARD}",
        # All at once, when it is there on each: who begins earlier waits for nobody.
        explicit=frozenset(Key(each.name, Packages.kind, "virtual IP") for each in there),
    )
