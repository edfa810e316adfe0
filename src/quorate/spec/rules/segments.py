"""Rules about the subnets that hosts are in: with `cni: routed` each host finds a way to the pods of the others."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

from quorate.spec.cluster import Cluster, Host
from quorate.spec.nexthop import concerned, subnet
from quorate.spec.rules.endpoint import ASSUMED_PREFIX
from quorate.spec.rules.hosts import unusable
from quorate.spec.rules.network import apart
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where

WIDEST_SEGMENT = 16
"""Prefix length below which nobody has all hosts in one segment."""


def gateways(cluster: Cluster) -> Iterator[Fault]:
    """The subnets of hosts are apart from each other, pods and services; each has a router that is no host of ours."""
    network, seen = cluster.network, dict[IPv4Network, None]()
    for net, gateway in network.gateways.items():
        where: Where = ("network", "gateways", str(net))
        if network.cni != "routed":
            yield Fault(where, f"has no effect with cni: {network.cni}", "write `cni: routed`, or remove `gateways`")
            return
        if met := next((other for other in seen if other.overlaps(net)), None):
            yield Fault(where, f"overlaps with {met}", "name each subnet once, as wide as it is", value=str(net))
        seen[net] = None
        if field := next((each for each in ("pod_cidr", "service_cidr") if net.overlaps(getattr(network, each))), ""):
            rule_, fix = f"overlaps with {field} {getattr(network, field)}", f"write a {field} apart from all subnets"
            yield Fault(where, rule_, f"{fix}, such as {apart(cluster)}", value=str(net))
        owner = next((host.name for host in cluster.hosts if host.address == gateway), "")
        if gateway not in net or (net.prefixlen < 31 and gateway in (net.network_address, net.broadcast_address)):
            yield Fault(where, f"{gateway} is no machine's address in {net}", "write the address of its router there")
        elif owner or gateway == cluster.endpoint.vip:
            rule_ = f"{gateway} is {f'host {owner}' if owner else 'the virtual IP'}"
            yield Fault(where, rule_, "write the address of the subnet's router, which is no host of the cluster")


def segments(cluster: Cluster) -> Iterator[Fault]:
    """Where the file names the hosts' subnets, every host that has routes to pods is in one of them."""
    if not cluster.network.gateways:
        return
    for host in concerned(cluster):
        if subnet(cluster, host) is None:
            rule_ = "is in no subnet of network.gateways, and has routes to pods"
            net = _taken(cluster, host)
            fix = f"add its subnet to network.gateways, with the router there: `{net}: {_router(cluster, net)}`"
            yield Fault(("hosts", cluster.hosts.index(host), "address"), rule_, fix)


def one_segment(cluster: Cluster) -> Iterator[Fault]:
    """Without gateways all hosts that have routes to pods are in one subnet; `plan` compares with the hosts."""
    hosts = concerned(cluster)
    if cluster.network.gateways or any(unusable(host) for host in hosts):
        return
    nets = {_taken(cluster, host): host for host in reversed(hosts)}
    if len(nets) < 2:
        return
    one, other, *_ = sorted(nets)
    assumed = "" if cluster.endpoint.prefix else f" (taking each as /{ASSUMED_PREFIX})"
    rule_ = f"{nets[one].name} in {one} and {nets[other].name} in {other} have no way to each other's pods{assumed}"
    listed = ", ".join(f"{net}: {_router(cluster, net)}" for net in sorted(nets))
    fix = f"write `network: {{gateways: {{{listed}}}}}` with the routers there, which must know the ways to the pods"
    whole = _around(nets)
    if whole.prefixlen >= WIDEST_SEGMENT:
        fix += f"; if all is one subnet, `{whole}: {_router(cluster, whole)}` with its router alone"
    yield Fault(("network",), rule_, f"{fix}; or another `cni`", value=f"cni: {cluster.network.cni}")


def _router(cluster: Cluster, net: IPv4Network) -> IPv4Address:
    """An address of a network that the file gives to nobody: the first, as most routers have it, else the last."""
    taken = {cluster.endpoint.vip, *(host.address for host in cluster.hosts)}
    last = (net.broadcast_address - n for n in range(1, net.num_addresses - 1))
    return next((each for each in chain((net[1],), last) if each not in taken), net[1])


def _taken(cluster: Cluster, host: Host) -> IPv4Network:
    """A host's subnet as far as the file tells."""
    prefix = cluster.endpoint.prefix
    return IPv4Network(f"{host.ip}/{prefix if prefix and prefix < 31 else ASSUMED_PREFIX}", strict=False)


def _around(nets: Iterable[IPv4Network]) -> IPv4Network:
    """The smallest network that has them all."""
    first, *others = nets
    while not all(other.subnet_of(first) for other in others):
        first = first.supernet()
    return first


RULES = (
    rule("hosts endpoint network", gateways),
    rule("hosts endpoint network", segments),
    rule("hosts endpoint network", one_segment, first=True),
)
