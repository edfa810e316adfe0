"""Judge of overlaps: what hosts have and ask is apart from pods, services and the virtual IP, and from each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from quorate.component.cni import BRIDGE
from quorate.preflight.check import World
from quorate.preflight.links import addresses
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.rules.network import FREE

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""RFC 1918 and 6598. A route for one of them whole says as little as a default route."""
SERVICE_LINKS = ("kube-ipvs0", "nodelocaldns")
"""Where kube-proxy (ipvs) and the DNS cache of each node have addresses of services."""
SHOWN = 3
"""Overlaps of a host that are told."""


@dataclass(frozen=True)
class Taken:
    """Addresses that are somebody's by what a host says."""

    net: IPv4Network
    what: str
    wire: bool = True
    """Those machines are on a wire of the host, or the host itself: nothing in them can be pods or services."""
    nowhere: bool = False
    """There is no way to them."""


def apart(world: World, host: Host) -> Verdict | None:
    """No overlap. One that a running cluster lives with is told; where it can still be avoided, it fails."""
    if not addresses(world, host):
        return unchecked()
    taken, cluster = tuple(_taken(world, host)), world.cluster
    hard = [text for cidr, name in _networks(world) for each in taken if (text := _clash(each, cidr, name, hard=True))]
    soft = [text for cidr, name in _networks(world) for each in taken if (text := _clash(each, cidr, name, hard=False))]
    choice = f"; free on all hosts is {free}" if hard and (free := _free(world)) else ""
    hard += _strange_addresses(world, host)
    soft += [*_vip_astray(world, host), *_two_wires(world, host), *_unlike(world, host)]
    if not hard and not soft:
        return passed(f"{cluster.network.pod_cidr}, {cluster.network.service_cidr} apart from all that hosts have")
    told = [*hard, *soft]
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    text = "; ".join(told[:SHOWN]) + more + choice
    return failed(text) if hard and not world.settled(host) else warned(text)


def _networks(world: World) -> tuple[tuple[IPv4Network, str], ...]:
    network = world.cluster.network
    return (network.pod_cidr, "pod_cidr"), (network.service_cidr, "service_cidr")


def _clash(taken: Taken, cidr: IPv4Network, name: str, *, hard: bool) -> str:
    """The overlap in words; a route by a gateway that only contains the network is no more than doubtful."""
    if taken.net.subnet_of(cidr):
        return f"{taken.what} is in network.{name} {cidr}" if hard else ""
    if not cidr.subnet_of(taken.net):
        return ""
    if taken.wire:
        return f"{taken.what} contains network.{name} {cidr}" if hard else ""
    # By a route for all private addresses services are reached, unless it leads nowhere: they have none of their own.
    harmless = not taken.nowhere and any(block.subnet_of(taken.net) for block in PRIVATE)
    return "" if hard or harmless else f"{taken.what} contains network.{name} {cidr}: what is there can't be reached"


def _taken(world: World, host: Host) -> Iterator[Taken]:
    """What a host has and asks that is none of the cluster's own doing."""
    facts, own = world.facts(host), [(name, each.network) for name, each in _own(world, host)]
    for name, each in _own(world, host):
        if not _ours(world, host, name, each.network):
            yield Taken(each.network, f"{each} on {name}")
    for route in facts.routes:
        known = route.to.prefixlen == 0 or (route.dev, route.to) in own
        if not known and not _ours(world, host, route.dev, route.to):
            yield Taken(route.to, f"the route {route}", wire=route.proto == "kernel", nowhere=bool(route.nowhere))
    asked = {server: file.path for file in reversed(facts.resolvers) for server in file.servers}
    for server, path in sorted(asked.items()):
        if (
            (at := _address(server))
            and not at.is_loopback
            and not (server == world.cluster.dns_ip and _lives(world, host))
        ):
            yield Taken(IPv4Network(at), f"the name server {server} ({path})")


def _own(world: World, host: Host) -> list[tuple[str, IPv4Interface]]:
    """A host's addresses, but for loopback's."""
    return [(name, each) for name, each in addresses(world, host) if not each.is_loopback]


def _lives(world: World, host: Host) -> bool:
    """Whether the cluster's pods may run on the host already, with what their network makes there."""
    return world.settled(host) or "kubelet.service" in world.facts(host).running


def _ours(world: World, host: Host, link: str, net: IPv4Network) -> bool:
    """Whether it is the pod network's, or kube-proxy's: made by an apply, perhaps one that did not end."""
    network = world.cluster.network
    if link in SERVICE_LINKS:
        return True
    if network.cni == "routed":
        part = world.context.facts.pod_cidrs.get(host.name)
        return link == BRIDGE and (part is None or net.subnet_of(IPv4Network(part)))
    return _lives(world, host) and net.subnet_of(network.pod_cidr)


def _strange_addresses(world: World, host: Host) -> Iterator[str]:
    """Addresses that are another host's by the file, or the virtual IP on a host that is no balancer."""
    theirs = {other.address: f"the address of {other.name}" for other in world.cluster.hosts if other != host}
    if (vip := world.cluster.endpoint.vip) and not host.has(Role.LOAD_BALANCER):
        theirs[vip] = "the virtual IP"
    for name, each in _own(world, host):
        if each.ip in theirs:
            yield f"{each.ip}, {theirs[each.ip]}, is on {name} here"


def _vip_astray(world: World, host: Host) -> Iterator[str]:
    """A route that leads the virtual IP elsewhere than to the balancers in its network."""
    vip, facts = world.cluster.endpoint.vip, world.facts(host)
    if vip is None or any(each.ip == vip for _, each in addresses(world, host)):
        return
    for other in world.there:
        if other == host or not other.has(Role.LOAD_BALANCER):
            continue
        beside = (each.ip for _, each in addresses(world, other) if vip in each.network and each.ip != vip)
        for at in beside:
            way, to = facts.way(vip), facts.way(at)
            if way and to and (way.via, way.dev) != (to.via, to.dev):
                yield f"the virtual IP {vip} goes by the route {way}, its balancer {other.name} ({at}) by {to}"
                return


def _two_wires(world: World, host: Host) -> Iterator[str]:
    """Networks of two interfaces that overlap: answers leave by the wrong one."""
    own = [(name, each) for name, each in _own(world, host) if each.network.prefixlen < 32]
    for index, (name, each) in enumerate(own):
        for link, other in own[:index]:
            if link != name and each.network.overlaps(other.network):
                yield f"{other} on {link} and {each} on {name} overlap"


def _unlike(world: World, host: Host) -> Iterator[str]:
    """Another host that this one looks for on a wire of its own, though its network there is another one."""
    for other in world.there:
        there = next((each for _, each in addresses(world, other) if each.ip == other.address), None)
        for name, each in _own(world, host) if there and other != host else ():
            alone = 32 in (each.network.prefixlen, there.network.prefixlen)  # type: ignore[union-attr]
            if not alone and other.address in each.network and each.network != there.network:  # type: ignore[union-attr]
                yield f"{each} on {name} takes {other.name} ({there}) for a neighbour"


def _free(world: World) -> str:
    """A network that nothing on any host overlaps; empty when none of those to offer is."""
    used = [each.net for host in world.there for each in _taken(world, host) if each.net not in PRIVATE]
    used += [cidr for cidr, _ in _networks(world)]
    return next((text for text in FREE if not any(IPv4Network(text).overlaps(net) for net in used)), "")


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None
