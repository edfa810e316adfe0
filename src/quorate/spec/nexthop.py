"""By whom a host reaches the pods of another: the host itself in one subnet, the subnet's gateway between several."""

from ipaddress import IPv4Address, IPv4Network

from quorate.spec.cluster import Cluster, Host, Role


def concerned(cluster: Cluster) -> tuple[Host, ...]:
    """The hosts that have routes to pods, with `cni: routed`: workers, and masters, which call webhooks in pods."""
    if cluster.network.cni != "routed":
        return ()
    return tuple(host for host in cluster.hosts if host.has(Role.WORKER) or host.has(Role.CONTROL_PLANE))


def subnet(cluster: Cluster, host: Host) -> IPv4Network | None:
    """The subnet of `network.gateways` that a host is in."""
    return next((net for net in cluster.network.gateways if host.address in net), None)


def next_hop(cluster: Cluster, host: Host, peer: Host) -> IPv4Address:
    """Whom a host gives what is for pods of another."""
    own = subnet(cluster, host)
    return peer.address if own is None or peer.address in own else cluster.network.gateways[own]
