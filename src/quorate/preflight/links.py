"""The addresses and interfaces of a host, as `ip` tells them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface

from quorate.preflight.check import Question, World
from quorate.spec.cluster import Host

ADDRESSES = Question("addresses", lambda world, host: "ip -4 -o addr show; ip -o link show")


@dataclass(frozen=True)
class Link:
    """One network interface."""

    mtu: int
    """Bytes."""
    mac: str
    """Empty for one without, such as loopback."""


def addresses(world: World, host: Host) -> tuple[tuple[str, IPv4Interface], ...]:
    """Every interface with each of its addresses; nothing when the host did not tell."""
    found = re.findall(r"^\d+: (\S+?)(?:@\S+)? +inet ([0-9./]+)", world.answer(host, ADDRESSES.name), re.MULTILINE)
    return tuple((name, IPv4Interface(address)) for name, address in found)


def links(world: World, host: Host) -> Mapping[str, Link]:
    """Every interface by name."""
    pattern = r"^\d+: (\S+?)(?:@\S+)?: <.*? mtu (\d+)(?:.*?link/ether (\S+))?"
    found = re.findall(pattern, world.answer(host, ADDRESSES.name), re.MULTILINE)
    return {name: Link(int(mtu), mac) for name, mtu, mac in found}


def carrier(world: World, host: Host) -> Link | None:
    """The interface that carries the host's address."""
    names = (name for name, address in addresses(world, host) if str(address.ip) == host.ip)
    return links(world, host).get(next(names, ""))


def hardware(world: World, host: Host) -> frozenset[str]:
    """The MAC of that interface."""
    link = carrier(world, host)
    return frozenset({link.mac}) if link and link.mac else frozenset()


def holder(world: World, address: str) -> Host | None:
    """The host of the file that has an address now."""
    return next(
        (host for host in world.there for _, found in addresses(world, host) if str(found.ip) == address),
        None,
    )
