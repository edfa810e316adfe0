"""Which resolver file pods get: one whose servers they can reach."""

from ipaddress import ip_address

from quorate.spec.cluster import Cluster
from quorate.spec.facts import HostFacts, Resolver

PLACES = (
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/NetworkManager/resolv.conf",
)
"""What the host itself asks; where that is a cache of its own (systemd-resolved, dnsmasq), whom the cache asks."""


def places(c: Cluster) -> tuple[str, ...]:
    """The files to choose from: those of PLACES, or the one that the cluster file sets for kubelets."""
    given = c.kubelet.extra_flags.get("resolv-conf") or c.kubelet.config.get("resolvConf")
    return (given,) if isinstance(given, str) and given.startswith("/") else PLACES


def usable(c: Cluster, file: Resolver) -> tuple[str, ...]:
    """The servers of a file that a pod reaches.

    Loopback is the pod itself, a link-local address of IPv6 needs the host's interface, and a service is who asks:
    cluster DNS must not be sent to itself.
    """
    found = []
    for server in file.servers:
        try:
            address = ip_address(server.partition("%")[0])
        except ValueError:
            continue
        inner = address.is_loopback or address.is_unspecified or (address.version == 6 and address.is_link_local)
        if not inner and address not in c.network.service_cidr:
            found.append(server)
    return tuple(found)


def chosen(c: Cluster, facts: HostFacts) -> Resolver:
    """The first file with usable servers alone, else the first with some, else that of the host."""
    there = [file for file in facts.resolvers if file.path in places(c)]
    some = [file for file in there if usable(c, file)]
    whole = [file for file in some if usable(c, file) == file.servers]
    return next(iter([*whole, *some]), Resolver(places(c)[0]))
