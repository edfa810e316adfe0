"""Rules about pod and service networks: they are apart, and large enough."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from urllib.parse import urlsplit

from quorate.spec.cluster import Cluster
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where

LARGEST_SERVICE_PREFIX = 28
"""16 addresses: room for the API, DNS and a few services."""
SMALLEST_SERVICE_PREFIX = 12
"""kube-apiserver refuses larger ones: "for 32-bit addresses, the mask must be >= 12"."""
MOST_NODE_BITS = 16
"""kube-controller-manager: the node mask is at most 16 bits longer than the pod network's."""
_UNFIT = tuple(IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
FREE = ("10.244.0.0/16", "10.96.0.0/16", "172.30.0.0/16", "192.168.0.0/16", "10.128.0.0/16", "100.64.0.0/16")
"""Networks to offer, the usual ones first."""


def overlaps(cluster: Cluster) -> Iterator[Fault]:
    """Pods, services and machines live in networks of their own."""
    network = cluster.network
    if network.pod_cidr.overlaps(network.service_cidr):
        rule_ = f"overlaps with pod_cidr {network.pod_cidr}"
        yield Fault(("network", _given(cluster)), rule_, f"write a network apart, such as {apart(cluster)}")
    for field in ("pod_cidr", "service_cidr"):
        cidr: IPv4Network = getattr(network, field)
        where = ("network", field)
        if any(cidr.overlaps(bad) for bad in _UNFIT):
            rule_ = "overlaps with loopback, link-local or multicast addresses"
            yield Fault(where, rule_, f"write a private network, such as {apart(cluster)}")
            continue
        inside = next((host for host in cluster.hosts if host.address in cidr), None)
        if inside:
            rule_ = f"{cidr} contains {inside.ip}, the address of host {inside.name}"
            yield Fault(where, rule_, f"write a network apart, such as {apart(cluster)}")
        front = _front(cluster)
        if front and front in cidr:
            rule_ = f"{cidr} contains {front}, the endpoint"
            yield Fault(where, rule_, f"write a network apart, such as {apart(cluster)}")


def named(cluster: Cluster) -> Iterator[Fault]:
    """What hosts ask outside of the cluster is not in its networks: there pods and services would answer."""
    given: list[tuple[Where, str]] = [(("os", "proxy", "url"), cluster.os.proxy.url)] if cluster.os.proxy else []
    for registry, urls in cluster.runtime.registry_mirrors.items():
        given += [(("runtime", "registry_mirrors", registry, n), url) for n, url in enumerate(urls)]
    # Asked before there are services: a registry in the cluster is another matter.
    images: tuple[tuple[Where, str | None], ...] = (
        (("runtime", "pause_image"), cluster.runtime.pause_image),
        (("dns", "image"), cluster.dns.image),
    )
    given += [(where, f"//{image}") for where, image in images if image]
    given += [(("os", "ntp_servers", n), f"//{name}") for n, name in enumerate(cluster.os.ntp_servers)]
    for where, url in given:
        for field in ("pod_cidr", "service_cidr"):
            cidr: IPv4Network = getattr(cluster.network, field)
            if (at := _literal(url)) and at in cidr:
                fix = f"write an address outside of it, or another network.{field}, such as {apart(cluster)}"
                yield Fault(where, f"{at} is in {field} {cidr}", fix)


def _literal(url: str) -> IPv4Address | None:
    """The address in a URL; None where it has a name."""
    try:
        return IPv4Address(urlsplit(url).hostname or "")
    except ValueError:
        return None


def _given(cluster: Cluster) -> str:
    return "service_cidr" if "service_cidr" in cluster.network.model_fields_set else "pod_cidr"


def _front(cluster: Cluster) -> IPv4Address | None:
    if cluster.endpoint.vip:
        return cluster.endpoint.vip
    try:
        return IPv4Address(cluster.endpoint.address or "")
    except AddressValueError:
        return None


def apart(cluster: Cluster) -> str:
    """A network that, as far as the file tells, nothing else is in."""
    used = [cluster.network.pod_cidr, cluster.network.service_cidr]
    used += [IPv4Network(f"{host.ip}/24", strict=False) for host in cluster.hosts]
    if front := _front(cluster):
        used.append(IPv4Network(f"{front}/24", strict=False))
    free = (text for text in FREE if not any(IPv4Network(text).overlaps(other) for other in used))
    return next(free, FREE[0])


def node_parts(cluster: Cluster) -> Iterator[Fault]:
    """Each worker gets a part of the pod network, and each part holds the pods of a node."""
    network, workers = cluster.network, len(cluster.workers)
    length, mask = network.pod_cidr.prefixlen, network.node_mask
    where = ("network", "node_mask")
    if mask < length:
        rule_ = f"parts of /{mask} are larger than the whole pod network {network.pod_cidr}"
        yield Fault(where, rule_, f"write a node_mask of at least {length}, or a larger pod_cidr")
        return
    if mask - length > MOST_NODE_BITS:
        fix = f"write a node_mask of at most {length + MOST_NODE_BITS}"
        yield Fault(where, f"/{mask} is more than {MOST_NODE_BITS} bits below pod_cidr /{length}", fix)
    parts = 2 ** (mask - length)
    if parts < workers:
        wanted = mask - (workers - 1).bit_length()
        rule_ = f"{network.pod_cidr} has room for {parts} workers with a /{mask} each, and there are {workers}"
        yield Fault(("network", "pod_cidr"), rule_, f"write a network of /{wanted} or larger, or a larger node_mask")
    usable = 2 ** (32 - mask) - 3  # network, broadcast and the bridge's own address
    if cluster.kubelet.max_pods > usable:
        rule_ = f"a /{mask} has {usable} addresses for pods, and kubelet.max_pods is {cluster.kubelet.max_pods}"
        fix = f"write `kubelet: {{max_pods: {max(usable, 1)}}}`, or a smaller node_mask"
        explicit = "max_pods" in cluster.kubelet.model_fields_set
        yield Fault(("kubelet", "max_pods") if explicit else where, rule_, fix)


def service_size(cluster: Cluster) -> Iterator[Fault]:
    """The service network has room for DNS, and not more than kube-apiserver takes."""
    length, where = cluster.network.service_cidr.prefixlen, ("network", "service_cidr")
    if length > LARGEST_SERVICE_PREFIX:
        fix = f"write a prefix length from {SMALLEST_SERVICE_PREFIX} to {LARGEST_SERVICE_PREFIX}"
        yield Fault(where, f"a /{length} is too small for the API, DNS and other services", fix)
    if length < SMALLEST_SERVICE_PREFIX:
        fix = f"write a prefix length from {SMALLEST_SERVICE_PREFIX} to {LARGEST_SERVICE_PREFIX}"
        yield Fault(where, f"a /{length} is larger than kube-apiserver takes", fix)


def dns(cluster: Cluster) -> Iterator[Fault]:
    """The DNS service's address is one of the service network that a service may have."""
    given, cidr, where = cluster.dns.address, cluster.network.service_cidr, ("dns", "address")
    if given is None or cidr.num_addresses < 2 ** (32 - LARGEST_SERVICE_PREFIX):
        return
    fix = f"write a free one between {cidr[2]} and {cidr[-2]}, such as {cidr[10]}, or remove it"
    if given not in cidr:
        yield Fault(where, f"is outside of network.service_cidr {cidr}", fix)
    elif given in (cidr[0], cidr[-1]):
        yield Fault(where, f"is the first or last address of {cidr}", fix)
    elif given == cidr[1]:
        yield Fault(where, "is the address of the API's own service `kubernetes`", fix)


def cni(cluster: Cluster) -> Iterator[Fault]:
    """A CNI manifest is named when, and only when, it is used."""
    network = cluster.network
    if network.cni == "manifest" and not network.manifest:
        yield Fault(("network", "manifest"), "is missing", "write the path or URL of the CNI's YAML")
    if network.manifest and network.cni != "manifest":
        rule_ = f"has no effect with cni: {network.cni}"
        yield Fault(("network", "manifest"), rule_, "write `cni: manifest`, or remove it")


RULES = (
    rule("hosts endpoint network", overlaps),
    rule("hosts endpoint network os runtime dns", named, first=True),
    rule("hosts network kubelet", node_parts),
    rule("network", service_size),
    rule("network dns", dns),
    rule("network", cni),
)
