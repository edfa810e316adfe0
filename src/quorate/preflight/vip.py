"""Judges of the virtual IP: nobody has it, it fits its network, and no other router speaks for its number."""

import re
from ipaddress import IPv4Network

from quorate.preflight.check import Question, Verdict, World, failed, passed, unchecked, warned
from quorate.preflight.links import addresses, hardware, holder, links
from quorate.render.sh import quote, sh
from quorate.spec.cluster import Host, Role

LISTEN = 1.5
"""Seconds to listen for other routers: they advertise once a second unless told otherwise (RFC 9568)."""


def _concerned(world: World, host: Host) -> bool:
    """Whether the host balances, and it or the virtual IP is new."""
    vip = world.cluster.endpoint.vip
    return vip is not None and host.has(Role.LOAD_BALANCER) and (world.vip_comes or not world.settled(host))


def interface(world: World, host: Host) -> str:
    """The interface on which the balancer will hold the virtual IP."""
    named = world.cluster.endpoint.interface
    return host.interface or (world.facts(host).interface if named == "auto" else named)


def _ask(world: World, host: Host) -> str:
    """Who answers at the virtual IP, by ping or at least by ARP; and which routers are heard, beside it."""
    if not _concerned(world, host):
        return ""
    vip = str(world.cluster.endpoint.vip)
    heard = sh("tcpdump", "-i", interface(world, host), "-n", "-l", "-c", "50", "ip", "proto", "112")
    return f"""\
if command -v tcpdump >/dev/null; then
  {{
    said=$(timeout {LISTEN} {heard}); case $? in 0|124) echo listened;; esac
    printf '%s\\n' "$said" | grep -o 'IP [0-9.]* > [0-9.]*: .*vrid [0-9]*' | sort -u
  }} &
fi
if command -v ping >/dev/null; then
  echo asked; if ping -n -q -c 1 -W 1 {quote(vip)} >/dev/null 2>&1; then echo answers; fi
elif command -v curl >/dev/null; then
  echo asked; curl -gs --noproxy '*' -o /dev/null --connect-timeout 1 --max-time 1 {quote(f"http://{vip}:9/")}
fi
ip -4 neigh show {quote(vip)} | sed 's/^/neighbour /'
wait"""


VIP = Question("virtual IP", _ask, late=True)


def free(world: World, host: Host) -> Verdict | None:
    """No machine but the balancers has the virtual IP."""
    if not (world.vip_comes and host.has(Role.LOAD_BALANCER)):
        return None
    vip, said = str(world.cluster.endpoint.vip), world.said(host, VIP.name)
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
    if vip is None or not _concerned(world, host):
        return None
    found, name = addresses(world, host), interface(world, host)
    if not found:
        return unchecked()
    if name not in links(world, host):
        return failed(f"there is no interface {name or 'that carries its address'}")
    networks = [address.network for on, address in found if on == name and address.ip != vip]
    if (prefix := world.cluster.endpoint.prefix) is not None:
        networks = [
            IPv4Network(f"{net.network_address}/{min(prefix, net.prefixlen)}", strict=False) for net in networks
        ]
    home = next((net for net in networks if vip in net), None)
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
    said, wanted = world.said(host, VIP.name), world.cluster.load_balancer.virtual_router_id
    if "listened" not in said.splitlines():
        return unchecked("there is no tcpdump that listens")
    heard = re.findall(r"^IP ([0-9.]+) > .*vrid (\d+)", said, re.MULTILINE)
    ours = {other.ip for other in world.cluster.hosts}
    others = sorted({source for source, number in heard if int(number) == wanted and source not in ours})
    if others:
        taken = ", ".join(sorted({number for _, number in heard}, key=int))
        return warned(f"{wanted} is used by {', '.join(others)} (heard: {taken})")
    return passed(f"{wanted} was not heard from others in {LISTEN:g} s")
