"""Which part of the pod network each worker has: given once, by address, and never moved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from quorate.core import PlanError
from quorate.spec.cluster import Cluster


@dataclass(frozen=True)
class Subnets:
    """What was given: to hosts of the cluster, and to hosts that left (longest gone first)."""

    given: Mapping[str, str]
    left: Mapping[str, str]


def allocate(c: Cluster, kept: Subnets) -> Subnets:
    """A subnet for every worker; those given stay, also for a host that comes back.

    New hosts are served in the order of their addresses, so the order in the file does not matter. The
    subnet of a host that left is given to another only when there is no free one: its routes and leases may
    live on somewhere. Raises PlanError when the pod network is too small or does not hold what was given.
    """
    names = {host.name for host in c.workers}
    known = {**kept.left, **kept.given}
    given = {name: known[name] for name in known if name in names}
    left = {name: cidr for name, cidr in known.items() if name not in names}
    network = c.network.pod_cidr
    for name, cidr in given.items():
        if not IPv4Network(cidr).subnet_of(network):
            raise PlanError(
                f"network.pod_cidr = {network}: {name} already has {cidr}, which is outside of it",
                "the pod network of a cluster can grow but not move; set pod_cidr back",
            )
    fresh = _free(c, [IPv4Network(cidr) for cidr in known.values()])
    for host in sorted(c.workers, key=lambda host: (host.address, host.name)):
        if host.name in given:
            continue
        subnet = next(fresh, None) or _inherit(c, given, left)
        if subnet is None:
            raise PlanError(
                f"network.pod_cidr = {network}: no /{c.network.node_mask} is left for {host.name}",
                "choose a larger pod_cidr or, for new hosts, a longer node_mask",
            )
        given[host.name] = str(subnet)
    return Subnets(given, left)


def _free(c: Cluster, taken: list[IPv4Network]) -> Iterator[IPv4Network]:
    """Subnets of the pod network that overlap with nothing taken, lowest first."""
    network, mask = c.network.pod_cidr, c.network.node_mask
    if mask < network.prefixlen:
        return
    step = 2 ** (32 - mask)
    busy = sorted((int(net.network_address), int(net.broadcast_address)) for net in taken)
    at, end = int(network.network_address), int(network.broadcast_address)
    for low, high in [*busy, (end + 1, end + 1)]:
        while at + step <= min(low, end + 1):
            yield IPv4Network((at, mask))
            at += step
        # Go on behind what is taken, at the next boundary.
        at = max(at, -(-(high + 1) // step) * step)


def _inherit(c: Cluster, given: Mapping[str, str], left: dict[str, str]) -> IPv4Network | None:
    """The subnet of the host that left first, if it fits; taken from `left`."""
    used = [IPv4Network(cidr) for cidr in given.values()]
    for name, cidr in left.items():
        subnet = IPv4Network(cidr)
        fits = subnet.prefixlen == c.network.node_mask and subnet.subnet_of(c.network.pod_cidr)
        if fits and not any(subnet.overlaps(other) for other in used):
            del left[name]
            return subnet
    return None
