"""The lab's network: one bridge with this machine as the gateway, and the way out.

Rules in this machine's tables carry the comment `quorate-lab-<id>`, and are found again by it. A firewall
with an own nftables table that drops forwarded packets is not opened.
"""

import hashlib
import json
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from quorate.lab.record import LabError, LabInfo
from quorate.spec.cluster import Cluster

PREFIX = 24
"""Hosts are placed in networks of this prefix length."""


@dataclass(frozen=True)
class Taken:
    """A network that this machine already has an address in or a route to."""

    network: IPv4Network
    device: str


def network_of(address: IPv4Address) -> IPv4Network:
    """The lab's subnet around an address."""
    return IPv4Network((address, PREFIX), strict=False)


def gateways(cluster: Cluster) -> dict[IPv4Network, IPv4Address]:
    """The gateway of every subnet: its last usable address that no host and no VIP has."""
    used = {host.address for host in cluster.hosts}
    used |= {cluster.endpoint.vip} if cluster.endpoint.vip else set()
    found: dict[IPv4Network, IPv4Address] = {}
    for network in sorted({network_of(address) for address in used}):
        free = (network[i] for i in range(network.num_addresses - 2, 0, -1) if network[i] not in used)
        gateway = next(free, None)
        if gateway is None:
            raise LabError(f"every address of {network} belongs to a host: none is left for the gateway")
        found[network] = gateway
    return found


def refuse_overlap(wanted: Iterable[IPv4Network], taken: Iterable[Taken], bridges: Mapping[str, str], own: str) -> None:
    """Raise `LabError` if a subnet is in use on this machine; `bridges` says which lab has which bridge."""
    present = list(taken)
    for network in wanted:
        for other in present:
            if other.device != own and other.network.prefixlen > 0 and network.overlaps(other.network):
                holder = bridges.get(other.device)
                where = f"lab {holder}" if holder else f"this machine ({other.device or 'a route'})"
                hint = f"`quorate lab down --name {holder}`" if holder else "give the hosts addresses of another subnet"
                raise LabError(f"{network} overlaps {other.network} of {where}", hint)


def run(*argv: str, check: bool = True) -> str:
    """Run a command of this machine and return its stdout; `LabError` if it fails and `check` is set."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise LabError(f"`{shlex.join(argv)}` failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def taken() -> list[Taken]:
    """The networks of this machine's addresses and routes."""
    found: list[Taken] = []
    for link in json.loads(run("ip", "-j", "-4", "addr") or "[]"):
        for one in link.get("addr_info", []):
            if "local" in one:
                interface = IPv4Interface(f"{one['local']}/{one['prefixlen']}")
                found.append(Taken(interface.network, link["ifname"]))
    routes = json.loads(run("ip", "-j", "-4", "route") or "[]")
    return found + [
        Taken(IPv4Network(route["dst"]), route.get("dev", "")) for route in routes if route["dst"] != "default"
    ]


def exists(interface: str) -> bool:
    """Whether this machine has a network interface of that name."""
    return bool(run("ip", "-o", "link", "show", "dev", interface, check=False))


def raise_bridge(lab: LabInfo) -> None:
    """Make the bridge and its addresses, if not there, with the cables of hosts that are on, and the rules."""
    if not exists(lab.bridge):
        options = ["type", "bridge", "mcast_snooping", "0", "forward_delay", "0"]
        run("ip", "link", "add", lab.bridge, "address", mac(lab.id, "gateway"), *options)
    for address in lab.gateways:
        run("ip", "addr", "replace", address, "dev", lab.bridge)
    for machine in lab.machines:
        if exists(machine.cable):
            run("ip", "link", "set", machine.cable, "master", lab.bridge)
    run("ip", "link", "set", lab.bridge, "up")
    _forget_rules(lab)
    for rule in rules(lab):
        run("iptables", "-w", *rule)


def drop_bridge(lab: LabInfo) -> None:
    """Take away what `raise_bridge` made."""
    _forget_rules(lab)
    run("ip", "link", "del", lab.bridge, check=False)


def rules(lab: LabInfo) -> list[list[str]]:
    """The iptables arguments: bridged and routed packets of the lab pass; out of it they take our address."""
    tag = ["-m", "comment", "--comment", f"quorate-lab-{lab.id}"]
    made = []
    if lab.internet:
        made.append(["-I", "FORWARD", "-i", lab.bridge, *tag, "-j", "ACCEPT"])
    else:
        made.append(["-I", "FORWARD", "-i", lab.bridge, *tag, "-j", "REJECT"])
        made.append(["-I", "FORWARD", "-i", lab.bridge, "-o", lab.bridge, *tag, "-j", "ACCEPT"])
    made.append(["-I", "FORWARD", "-o", lab.bridge, *tag, "-j", "ACCEPT"])
    # A node whose kube-proxy does not know a service yet sends to its address by the default route.
    out = ["-I", "FORWARD", "-i", lab.bridge, "!", "-o", lab.bridge]
    made += [[*out, "-d", inner, *tag, "-j", "REJECT"] for inner in lab.inner]
    if lab.internet:
        for gateway in lab.gateways:
            subnet = str(IPv4Interface(gateway).network)
            route = ["-s", subnet, "!", "-o", lab.bridge]
            made.append(["-t", "nat", "-A", "POSTROUTING", *route, *tag, "-j", "MASQUERADE"])
    return made


def _forget_rules(lab: LabInfo) -> None:
    for table in ("filter", "nat"):
        for line in run("iptables", "-w", "-t", table, "-S").splitlines():
            if f"quorate-lab-{lab.id}" in line and line.startswith("-A "):
                run("iptables", "-w", "-t", table, "-D", *shlex.split(line)[1:])


def mac(lab: str, name: str) -> str:
    """A hardware address that stays the same over reboots, of the locally administered kind."""
    digest = hashlib.sha256(f"{lab}/{name}".encode()).hexdigest()
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])


def plug(interfaces: Sequence[str], up: bool) -> None:
    """Plug cables in or out, at the bridge's end; one that isn't there is passed over."""
    for interface in interfaces:
        run("ip", "link", "set", interface, "up" if up else "down", check=False)
