"""Where hosts are in several subnets: whether routes to pods can be, and what the gateways between them must know."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from quorate.component.context import Context
from quorate.spec.cluster import Host
from quorate.spec.facts import HostFacts
from quorate.spec.nexthop import concerned, next_hop


def beyond(context: Context) -> Iterator[tuple[str, str]]:
    """Each host that would give what is for pods to a machine that is not on its wire: why it can't, and the way out.

    To the kernel such a machine is no next hop ("Nexthop has invalid gateway").
    """
    cluster = context.cluster
    for host in concerned(cluster):
        if host.name in context.absent:
            continue
        hops = {next_hop(cluster, host, peer): peer for peer in cluster.workers if peer.name != host.name}
        far = ((hop, peer, how) for hop, peer in hops.items() if (how := _beyond(host, hop, context.of(host))))
        for hop, peer, how in [*far][:1]:
            if hop == peer.address:
                what, fix = (
                    f"{peer.name}, {hop},",
                    "network.gateways with the hosts' subnets as they are, each with its",
                )
                fix = f"write {fix} router, or choose another network.cni"
            else:
                what, fix = f"the gateway {hop}", "write the router of the host's own subnet, and that as wide as it is"
            yield f"host {host.name}: {what} is {how}, not on its wire: `cni: routed` has no way to pods there", fix


def _beyond(host: Host, hop: IPv4Address, facts: HostFacts) -> str:
    """How a host reaches an address that is not on its wire; empty for one that is, or where nothing is known."""
    if not facts.routes:
        net = IPv4Network(f"{host.ip}/{facts.prefix}", strict=False)
        return "" if hop in net else f"outside of {net}"
    way = facts.way(hop)
    return f"behind {way.via}" if way and way.via else ""


def to_tell(context: Context) -> Iterator[str]:
    """What each gateway must be told for the workers that come."""
    cluster, was = context.cluster, context.established
    same = was is not None and was.network.gateways == cluster.network.gateways
    known = {host.name for host in was.workers} if was and same else set()
    come = {host.ip: cidr for host in cluster.workers if (cidr := context.facts.pod_cidrs.get(host.name))
            and host.name not in known}  # fmt: skip
    for net, gateway in cluster.network.gateways.items() if come else ():
        yield f"the router {gateway} of {net} must lead {', '.join(f'{cidr} to {at}' for at, cidr in come.items())}"
