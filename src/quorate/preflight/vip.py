"""Judges of the virtual IP: nobody has it, it fits its network, VRRP passes, and no other router has its number."""

import re
from ipaddress import IPv4Network

from quorate.preflight.check import Question, World
from quorate.preflight.links import addresses, hardware, holder, links
from quorate.render import questions, vrrp
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec import vip as place
from quorate.spec.cluster import Host, Role

ADVERTS_WITHIN_S = 6
"""Seconds in which balancers wait for each other's adverts; all are asked at the same time."""


def _concerned(world: World, host: Host) -> bool:
    """Whether the host balances, and it or the virtual IP is new."""
    vip = world.cluster.endpoint.vip
    return vip is not None and host.has(Role.LOAD_BALANCER) and (world.vip_comes or not world.settled(host))


def _moves(world: World, host: Host) -> bool:
    """Whether the file names another interface or prefix for the virtual IP than before."""
    was = world.context.established
    if was is None or not was.endpoint.vip or not host.has(Role.LOAD_BALANCER):
        return False
    before = next((each for each in was.hosts if each.name == host.name), host)
    named = place.named(was, before) != place.named(world.cluster, host)
    return named or was.endpoint.prefix != world.cluster.endpoint.prefix


def _ask(world: World, host: Host) -> str:
    """Who answers at the virtual IP, by ping or at least by ARP; and which routers are heard, beside it."""
    if not _concerned(world, host):
        return ""
    carrier = place.carrier(world.cluster, host, world.facts(host))
    return questions.vip_holder(str(world.cluster.endpoint.vip), carrier)


VIP = Question("virtual IP", _ask, late=True)


def _asks_vrrp(world: World, host: Host) -> str:
    """Adverts to the other balancers, and theirs, where keepalived is there to send them."""
    balancers = _speakers(world)
    if host not in balancers:
        return ""
    probe = vrrp.script(
        address=host.ip,
        interface=place.carrier(world.cluster, host, world.facts(host)),
        balancers=[each.ip for each in balancers],
        router_id=place.router_id(world.cluster, world.context.facts.hosts),
        listen=not any(_runs(world, each) for each in balancers),
        window=ADVERTS_WITHIN_S,
    )
    return f"[ -x /usr/sbin/keepalived ] || exit 0\n{probe}"


VRRP = Question("VRRP", _asks_vrrp, late=True)


def _runs(world: World, host: Host) -> bool:
    return "keepalived.service" in world.facts(host).running


def _speakers(world: World) -> list[Host]:
    """The balancers that answer, when there are several and one of them is new."""
    there = [each for each in world.there if each.has(Role.LOAD_BALANCER)]
    return there if len(there) > 1 and any(_concerned(world, each) for each in there) else []


def passes(world: World, host: Host) -> Verdict | None:
    """Adverts of every other balancer arrive here."""
    others = [each for each in _speakers(world) if each != host]
    if not others or not host.has(Role.LOAD_BALANCER):
        return None
    lines = set(world.answer(host, VRRP.name).splitlines())
    if deaf := [each for each in others if f"silent {each.ip}" in lines and world.answer(each, VRRP.name)]:
        shown = ", ".join(f"{each.name} ({each.ip})" for each in deaf)
        return failed(f"no VRRP packet of {shown} arrives: IP protocol 112 is filtered")
    heard = [each for each in others if f"heard {each.ip}" in lines]
    if len(heard) < len(others):
        return unchecked("keepalived is not on all balancers yet; apply asks before it starts")
    return passed(f"adverts of {', '.join(each.name for each in heard)} arrive")


def free(world: World, host: Host) -> Verdict | None:
    """No machine but the balancers has the virtual IP."""
    if not (world.vip_comes and host.has(Role.LOAD_BALANCER)):
        return None
    vip, said = str(world.cluster.endpoint.vip), world.answer(host, VIP.name)
    if (ours := holder(world, vip)) is not None:
        # Of an apply that did not end.
        runs = "keepalived.service" in world.facts(ours).running
        return (
            passed(f"held by {ours.name}") if runs else warned(f"{vip} is on {ours.name} already, without keepalived")
        )
    if "asked" not in said.splitlines():
        return unchecked("there is neither ping nor curl to ask with" if said else "the host does not tell")
    found = re.search(r"^neighbour .*lladdr (\S+).* (\w+)", said, re.MULTILINE)
    mac, state = (found[1], found[2]) if found else ("", "")
    if mac and any(mac in hardware(world, other) for other in world.there):
        return passed(f"{vip} was last held by a host of the file")
    if "answers" in said.splitlines():
        return failed(f"{vip} answers ping{f', at {mac}' if mac else ''}: it belongs to another machine")
    if mac and state == "REACHABLE":
        return failed(f"{vip} answers ARP, at {mac}: it belongs to another machine")
    return passed(f"{vip} is free")


def subnet(world: World, host: Host) -> Verdict | None:
    """The virtual IP is of the network on the interface that will hold it."""
    vip = world.cluster.endpoint.vip
    if vip is None or not (_concerned(world, host) or _moves(world, host)):
        return None
    found, name = addresses(world, host), place.interface(world.cluster, host, world.facts(host))
    if not found:
        return unchecked()
    if name not in links(world, host):
        return failed(f"there is no interface {name or 'that carries its address'}")
    networks = [address.network for on, address in found if on == name and address.ip != vip]
    home = next((net for net in networks if vip in net), None)
    if home is None and (prefix := world.cluster.endpoint.prefix) is not None:
        home = IPv4Network(f"{vip}/{prefix}", strict=False)
    if home is None:
        shown = ", ".join(map(str, networks)) or "nothing"
        # Some providers give each host its address alone, and route a virtual one to it.
        alone = any(net.prefixlen == 32 for net in networks)
        return (warned if alone else failed)(f"{vip} is outside of {shown} on {name}")
    if home.prefixlen < 31 and vip in (home.network_address, home.broadcast_address):
        return failed(f"{vip} is the first or last address of {home} on {name}")
    return passed(f"{home} on {name}")


def router_id(world: World, host: Host) -> Verdict | None:
    """No router that is none of ours is heard with our virtual_router_id."""
    if not _concerned(world, host):
        return None
    said, vrrp_said = world.answer(host, VIP.name), world.answer(host, VRRP.name).splitlines()
    wanted = place.router_id(world.cluster, world.context.facts.hosts)
    heard = [(at, int(number)) for at, number in re.findall(r"^IP ([0-9.]+) > .*vrid (\d+)", said, re.MULTILINE)]
    # Routers with a virtual MAC have the number in it (RFC 9568, 7.3).
    heard += [
        (at, int(number, 16)) for at, number in re.findall(r"^virtual MAC ([0-9.]+) ([0-9a-f]{2})$", said, re.MULTILINE)
    ]
    ours = {other.ip for other in world.cluster.hosts}
    others = sorted({source for source, number in heard if number == wanted and source not in ours})
    if "foreign" in vrrp_said and not others:
        others = ["a router of this segment"]
    if others:
        taken = ", ".join(map(str, sorted({wanted, *(number for _, number in heard)})))
        return warned(f"{wanted} is used by {', '.join(others)} (heard: {taken})")
    if "listened" not in said.splitlines() and not vrrp_said:
        return unchecked(f"{wanted}: there is neither tcpdump nor keepalived to listen with; apply listens")
    return passed(f"{wanted} was not heard from others")
