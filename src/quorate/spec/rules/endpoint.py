"""Rules about the way to the API: virtual IP, balancers, and which process gets which port of a host."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from quorate.spec.cluster import Cluster, Role
from quorate.spec.processes import listeners
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault
from quorate.spec.vip import named

ASSUMED_PREFIX = 24
"""Prefix length of the balancers' network where the file says nothing; `plan` compares with the hosts."""


def choice(cluster: Cluster) -> Iterator[Fault]:
    """There is one way to the API, and it has what it needs."""
    endpoint, balancers, masters = cluster.endpoint, cluster.balancers, cluster.masters
    if endpoint.vip and endpoint.address:
        yield Fault(
            ("endpoint", "address"),
            "endpoint.vip and endpoint.address exclude each other",
            "keep `vip` for a virtual IP of the load-balancer hosts, `address` for one that exists already",
        )
    yield from _local(cluster)
    if endpoint.vip and not balancers and not endpoint.local:
        fix = "give two hosts the role load-balancer; they may be control-plane hosts"
        yield Fault(("endpoint", "vip"), "no host has the role load-balancer to hold the virtual IP", fix)
    if balancers and not (endpoint.vip or endpoint.address or endpoint.local):
        index = cluster.hosts.index(balancers[0])
        fix = "write `endpoint: {vip: <a free address of their network>}`"
        rule_ = f"load-balancer host {balancers[0].name} has no virtual IP to hold"
        yield Fault(("hosts", index, "roles"), rule_, fix)
    elif len(masters) > 1 and not (endpoint.vip or endpoint.address or endpoint.local):
        rule_ = f"{len(masters)} control-plane hosts without an endpoint: everything would depend on the first"
        fix = "give the API an endpoint: `vip`, with two hosts of the role load-balancer, `address`, or `local: true`"
        yield Fault(("endpoint",), rule_, fix)
    alone = not (endpoint.vip or endpoint.address)
    if alone and "port" in endpoint.model_fields_set and endpoint.port != cluster.apiserver.port:
        rule_ = "has no effect without endpoint.vip or endpoint.address"
        fix = "remove it; the port of API servers is `apiserver.port`"
        yield Fault(("endpoint", "port"), rule_, fix + (", that of nodes' balancers `local_port`" * endpoint.local))


def _local(cluster: Cluster) -> Iterator[Fault]:
    """Nodes with balancers of their own need no others."""
    endpoint, balancers = cluster.endpoint, cluster.balancers
    if not endpoint.local:
        if "local_port" in endpoint.model_fields_set:
            yield Fault(("endpoint", "local_port"), "has no effect without endpoint.local", "remove it")
        return
    if endpoint.vip:
        rule_ = "endpoint.vip and endpoint.local exclude each other"
        fix = "remove it, or remove `vip` and the role load-balancer of all hosts"
        yield Fault(("endpoint", "local"), rule_, fix)
    elif balancers:
        rule_ = f"load-balancer host {balancers[0].name} has nothing to do: endpoint.local gives each node a balancer"
        fix = "take the role load-balancer away, or write `vip` instead of `local`"
        yield Fault(("hosts", cluster.hosts.index(balancers[0]), "roles"), rule_, fix)


def vip(cluster: Cluster) -> Iterator[Fault]:
    """The virtual IP is free, usable, and in the network of each balancer."""
    address, where = cluster.endpoint.vip, ("endpoint", "vip")
    if address is None:
        return
    for host in cluster.hosts:
        if host.address == address:
            fix = "write an address of the balancers' network that no machine has"
            yield Fault(where, f"is the address of host {host.name}", fix)
            return
    if (
        address.is_multicast
        or address.is_loopback
        or address.is_link_local
        or address.is_reserved
        or int(address) < 2**24
    ):
        yield Fault(where, "is no address of a machine", "write a free address of the balancers' network")
        return
    prefix = cluster.endpoint.prefix
    length = prefix if prefix and prefix < 31 else ASSUMED_PREFIX
    for host in cluster.balancers:
        if named(cluster, host):
            # It has a network of its own, of which the file tells the prefix alone.
            if not prefix or prefix > 30:
                continue
            network = IPv4Network(f"{address}/{prefix}", strict=False)
        else:
            network = IPv4Network(f"{host.ip}/{length}", strict=False)
        if address not in network:
            assumed = "" if prefix else f" (taking it as /{ASSUMED_PREFIX})"
            fix = f"write a free address of {network}" + ("" if prefix else ", or endpoint.prefix if it is wider")
            fix += "; if it belongs on another interface, name that as endpoint.interface"
            yield Fault(where, f"is outside of {network}, the network of balancer {host.name}{assumed}", fix)
            return
        if address in (network.network_address, network.broadcast_address):
            yield Fault(where, f"is the first or last address of {network}", "write one between them")
            return


def vip_interfaces(cluster: Cluster) -> Iterator[Fault]:
    """Only a host that may hold the virtual IP has an interface for it."""
    for index, host in enumerate(cluster.hosts):
        if host.vip_interface and not (cluster.endpoint.vip and host.has(Role.LOAD_BALANCER)):
            lacks = "the role load-balancer" if cluster.endpoint.vip else "an endpoint.vip"
            fix = "remove it; for the interface of the host's own address there is `interface`"
            yield Fault(("hosts", index, "vip_interface"), f"has no effect without {lacks}", fix)


def outside(cluster: Cluster) -> Iterator[Fault]:
    """An existing endpoint is not one of several masters, nor this machine."""
    where, given = ("endpoint", "address"), cluster.endpoint.address
    try:
        address = IPv4Address(given or "")
    except AddressValueError:
        if given == "localhost":
            yield Fault(where, "localhost is another machine on each host", "write a name that all hosts resolve")
        return
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        fix = "write the address of the balancer; a balancer on each host is `local: true`"
        yield Fault(where, "is no address that all hosts can reach", fix)
    for host in cluster.masters:
        alone = len(cluster.masters) > 1 and not host.has(Role.LOAD_BALANCER) and not cluster.endpoint.local
        if host.address == address and alone:
            rule_ = f"is control-plane host {host.name}: all would depend on it"
            yield Fault(where, rule_, "write the address of a balancer in front of all control-plane hosts")


def name(cluster: Cluster) -> Iterator[Fault]:
    """A name beside the address is one, of nothing else, and leads there."""
    endpoint, where = cluster.endpoint, ("endpoint", "name")
    given = endpoint.model_fields_set
    if "name_in_hosts" in given and endpoint.name is None:
        yield Fault(("endpoint", "name_in_hosts"), "has no effect without endpoint.name", "remove it")
    elif "name_in_hosts" in given and endpoint.name_in_hosts and not cluster.os.hosts_file:
        rule_ = "has no effect with os.hosts_file false: there is no block to write it into"
        yield Fault(("endpoint", "name_in_hosts"), rule_, "remove it, and let DNS have the name; or remove hosts_file")
    if endpoint.name is None:
        return
    other = next((host for host in cluster.hosts if endpoint.name in (host.name, host.node)), None)
    if not (endpoint.vip or endpoint.address):
        rule_ = "has no effect without endpoint.vip or endpoint.address"
        yield Fault(where, rule_, "remove it; a name that leads to the API by itself is `endpoint.address`")
    elif endpoint.address and not endpoint.address.rpartition(".")[2].isdigit():
        rule_ = f"endpoint.address {endpoint.address} is a name already"
        yield Fault(where, rule_, "remove it, or write as `address` the address that it leads to")
    elif endpoint.name.rpartition(".")[2].isdigit():
        yield Fault(where, "is an address, no name", "remove it: certificates have `vip` and `address` anyway")
    elif other or endpoint.name == "localhost":
        whose = f"the name of host {other.name}" if other else "each machine's name for itself"
        yield Fault(where, f"is {whose}", "write a name of its own, such as api.example.org")


def ports(cluster: Cluster) -> Iterator[Fault]:
    """On each host, each port has one owner."""
    told: set[tuple[str, str]] = set()
    for host in cluster.hosts:
        taken: dict[int, str] = {}
        for listener in listeners(cluster, host):
            other = taken.setdefault(listener.port, listener.field)
            pair = (other, listener.field)
            if other == listener.field or pair in told:
                continue
            told.add(pair)
            ours, theirs = sorted(pair, key=_rank)
            fix = f"write {_free(cluster, listener.port)}"
            if {ours, theirs} == {"endpoint.port", "apiserver.port"}:
                if listener.port == 8443:
                    ours, theirs = "apiserver.port", "endpoint.port"
                port = 6443 if listener.port == 8443 else 8443
                fix = f"write `{ours.partition('.')[0]}: {{port: {port}}}`: balancer and kube-apiserver share this host"
            rule_ = f"port {listener.port} of host {host.name} is also that of {theirs}"
            yield Fault(tuple(ours.split(".")), rule_, fix, value=str(listener.port))


def _free(cluster: Cluster, port: int) -> int:
    """The next port that no process of the cluster listens on, on any host."""
    taken = {listener.port for host in cluster.hosts for listener in listeners(cluster, host)}
    free: Iterator[int] = (other for other in (*range(port + 1, 65536), *range(1024, port)) if other not in taken)
    return next(free)


def _rank(field: str) -> int:
    """Rank of a field by how likely it is the one to change; processes with a fixed port have no field."""
    order = ("endpoint.local_port", "endpoint.port", "apiserver.port", "ssh.port")
    return order.index(field) if field in order else len(order)


def node_ports(cluster: Cluster) -> Iterator[Fault]:
    """The NodePort range is a range, and no process listens within it."""
    where = ("network", "node_ports")
    first, last = (int(part) for part in cluster.network.node_ports.split("-"))
    if last > 65535 or first > last:
        yield Fault(where, "must go from a lower to a higher port, up to 65535", "write 30000-32767")
        return
    told = set()
    for host in cluster.workers:
        for listener in listeners(cluster, host):
            if first <= listener.port <= last and listener.field not in told:
                told.add(listener.field)
                rule_ = f"contains port {listener.port}, on which {listener.field} of host {host.name} listens"
                yield Fault(where, rule_, "write a range without it, such as 30000-32767")


RULES = (
    rule("hosts endpoint apiserver", choice),
    rule("hosts endpoint", vip),
    rule("hosts endpoint", vip_interfaces),
    rule("hosts endpoint", outside),
    rule("hosts endpoint os", name),
    rule("hosts endpoint apiserver ssh", ports),
    rule("hosts endpoint apiserver ssh network", node_ports),
)
