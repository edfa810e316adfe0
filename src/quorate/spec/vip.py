"""Where the virtual IP lives: its interface and prefix on each balancer, where adverts go, and the router's number."""

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv4Interface

from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import Address, HostFacts

ALONE = 32
"""Prefix length of an address that says nothing of its network."""


def interface(cluster: Cluster, host: Host, facts: HostFacts) -> str:
    """The interface on which a balancer holds the virtual IP; empty when nobody names one and none is found.

    `hosts[].interface` tells where the host's own address is: it counts only where the file names none for the VIP.
    """
    return named(cluster, host) or host.interface or facts.interface


def named(cluster: Cluster, host: Host) -> str:
    """The interface that the file names for the virtual IP on a host; empty when it names none."""
    general = cluster.endpoint.interface
    return host.vip_interface or ("" if general == "auto" else general)


def carrier(cluster: Cluster, host: Host, facts: HostFacts) -> str:
    """The interface that carries the host's own address, where adverts go; that of the VIP when none is known to."""
    carriers = [each.interface for each in facts.addresses if each.address.ip == host.address]
    if not carriers:
        return host.interface or facts.interface or interface(cluster, host, facts)
    return host.interface if host.interface in carriers else carriers[0]


def prefix(cluster: Cluster, host: Host, facts: HostFacts, vip: IPv4Address, held: Collection[IPv4Address]) -> int:
    """The prefix length with which a balancer adds a virtual IP; `held` are all that it adds.

    In a network in which the interface has an address, it is added alone. With that network's prefix the kernel would
    make one of the two the secondary of the other, and whoever takes the primary away takes both: after a renewal of
    the host's address that is the virtual IP.
    """
    on, known = interface(cluster, host, facts), facts.addresses
    known = known or (Address(facts.interface, IPv4Interface(f"{host.ip}/{facts.prefix}")),)
    own = (each.address for each in known if each.interface == on and each.address.ip not in held)
    return ALONE if any(vip in address.network for address in own) else cluster.endpoint.prefix or ALONE


def router_id(cluster: Cluster, facts: Mapping[str, HostFacts]) -> int:
    """The VRRP router id: the file's, else that with which the balancers run, else one computed from the endpoint.

    Balancers with different numbers do not hear each other, and all hold the address: a running cluster keeps its own.
    """
    if cluster.load_balancer.virtual_router_id:
        return cluster.load_balancer.virtual_router_id
    running = (facts[each.name].router_id for each in cluster.balancers if each.name in facts)
    return next((id for id in running if id), computed(cluster.endpoint.vip))


def computed(vip: IPv4Address | None) -> int:
    """A router id for a virtual IP: two addresses of a network of 254 hosts never have the same."""
    return int(vip or 0) % 255 + 1
