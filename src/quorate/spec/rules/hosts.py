"""Rules about the machines: who is there, which roles there are, how the quorum stands."""

from collections.abc import Callable, Iterator

from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where

MOST_HOSTS = 512
"""Beyond this nothing was measured."""
MOST_MEMBERS = 7
"""etcd's FAQ: "an etcd cluster probably should have no more than seven nodes"."""
LONGEST_NODE = 64 - len("system:node:")
"""Characters: what X.509 leaves of a common name (RFC 5280, ub-common-name)."""
LONGEST_PREFIX = 253
"""Characters of a key's prefix: what the API takes (apimachinery, IsDNS1123Subdomain)."""
LABELS_OF_KUBELET = (
    *("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch"),
    *("beta.kubernetes.io/os", "beta.kubernetes.io/arch"),
)
"""Those that a kubelet writes anew at each start, whatever they were (its updateDefaultLabels)."""
TAINTS_OF_KUBERNETES = (
    *(
        f"node.kubernetes.io/{name}"
        for name in (
            *("not-ready", "unreachable", "unschedulable", "network-unavailable"),
            *("memory-pressure", "disk-pressure", "pid-pressure"),
        )
    ),
    *(f"node.cloudprovider.kubernetes.io/{name}" for name in ("uninitialized", "shutdown")),
)
"""Those that Kubernetes' controllers set and clear (kubernetes.io, "Well-Known Labels, Annotations and Taints")."""


def _twice(cluster: Cluster, what: str, name: Callable[[Host], object], field: str) -> Iterator[Fault]:
    seen: dict[object, str] = {}
    for index, host in enumerate(cluster.hosts):
        value = name(host)
        if value in seen:
            rule_ = f"{what} {value} is already that of {seen[value]} (hosts[{_index(cluster, value, name)}])"
            yield Fault(
                ("hosts", index, field),
                rule_,
                f"give each host its own {what}; remove it if it is the same machine",
            )
        else:
            seen[value] = host.name


def _index(cluster: Cluster, value: object, name: Callable[[Host], object]) -> int:
    return next(index for index, host in enumerate(cluster.hosts) if name(host) == value)


def names(cluster: Cluster) -> Iterator[Fault]:
    """Names, addresses and node names are each given once."""
    yield from _twice(cluster, "name", lambda host: host.name, "name")
    yield from _twice(cluster, "address", lambda host: host.address, "address")
    nodes: dict[str, str] = {}
    for index, host in enumerate(cluster.hosts):
        other = nodes.setdefault(host.node, host.name)
        if other != host.name:
            yield Fault(
                ("hosts", index, "node_name"),
                f"node name {host.node} is already that of {other}",
                "give each host its own node_name, or none",
            )
        if host.has(Role.WORKER) and len(host.node) > LONGEST_NODE:
            where: Where = ("hosts", index, "node_name" if host.node_name else "name")
            rule_ = f"{len(host.node)} characters are too many: a node's certificate names it after `system:node:`"
            yield Fault(where, rule_, f"write one of at most {LONGEST_NODE} characters, or set a short node_name")
        if host.name == "localhost":
            yield Fault(("hosts", index, "name"), "localhost names every machine", "write a name of its own")


def ssh_addresses(cluster: Cluster) -> Iterator[Fault]:
    """No machine is reached under two names."""
    seen: dict[tuple[str, int], str] = {}
    for index, host in enumerate(cluster.hosts):
        login = (host.ssh_address or host.ip, host.ssh.port or cluster.ssh.port or 22)
        other = seen.setdefault(login, host.name)
        if host.ssh_address and other != host.name:
            yield Fault(
                ("hosts", index, "ssh_address"),
                f"{login[0]} port {login[1]} already leads to {other}",
                "give each host its own ssh_address or ssh.port",
            )


def addresses(cluster: Cluster) -> Iterator[Fault]:
    """An address is that of one machine."""
    for index, host in enumerate(cluster.hosts):
        if kind := unusable(host):
            where: Where = ("hosts", index, "address")
            yield Fault(where, f"{kind} is no address of a machine", "write the address that other hosts reach it by")


def unusable(host: Host) -> str:
    """Why the address can't be a host's; empty when it can."""
    address = host.address
    kinds = {
        "the unspecified address": address.is_unspecified,
        "a loopback address": address.is_loopback,
        "a multicast address": address.is_multicast,
        "the broadcast address": str(address) == "255.255.255.255",
        "an address of 0.0.0.0/8": str(address).startswith("0."),
        "a link-local address": address.is_link_local,
        "a reserved address": address.is_reserved,
    }
    return next((kind for kind, true in kinds.items() if true), "")


def count(cluster: Cluster) -> Iterator[Fault]:
    """As many hosts as were tried."""
    if len(cluster.hosts) > MOST_HOSTS:
        yield Fault(
            ("hosts",),
            f"there are {len(cluster.hosts)} hosts; at most {MOST_HOSTS} are supported",
            "make several clusters",
        )


def roles(cluster: Cluster) -> Iterator[Fault]:
    """There is a control plane and a worker; no role is given twice."""
    for role, fix in (
        (Role.CONTROL_PLANE, "give one or three hosts the role control-plane"),
        (Role.WORKER, "give at least one host the role worker; it may be the same as the control plane's"),
    ):
        if not cluster.having(role):
            yield Fault(("hosts",), f"no host has the role {role}", fix)
    for index, host in enumerate(cluster.hosts):
        for at, role in enumerate(host.roles):
            if role in host.roles[:at]:
                yield Fault(("hosts", index, "roles", at), f"{role} is given twice", "keep one of the two")


def odd(cluster: Cluster) -> Iterator[Fault]:
    """etcd has an odd number of members: an even one survives no more losses and adds one more to fail.

    A cluster that runs may have an even number for a while, when one died or another is about to come.
    """
    have = len(cluster.members)
    if have and have % 2 == 0:
        names_ = ", ".join(host.name for host in cluster.members)
        fix = f"give {have + 1} hosts the role etcd" + (f", or {have - 1}" if have > 2 else "")
        if have == 2:
            fix += ", or 1 with a single control-plane host"
        rule_ = f"{have} etcd members ({names_}) survive no more than {have - 1}: the number must be odd"
        yield Fault(("hosts",), rule_, fix)


def quorum(cluster: Cluster) -> Iterator[Fault]:
    """etcd has members, enough for its masters and not too many."""
    have, where = len(cluster.members), ("hosts",)
    if have == 0:
        yield Fault(where, "no host has the role etcd", "give one, three or five hosts the role etcd")
    elif have == 1 and len(cluster.masters) > 1:
        rule_ = f"{len(cluster.masters)} control-plane hosts on one etcd member: its loss would stop all of them"
        yield Fault(where, rule_, "give three hosts the role etcd")
    elif have > MOST_MEMBERS:
        fix = f"give {MOST_MEMBERS} or fewer hosts the role etcd"
        yield Fault(
            where,
            f"{have} etcd members: each write waits for most of them, beyond {MOST_MEMBERS} too long",
            fix,
        )


def node_objects(cluster: Cluster) -> Iterator[Fault]:
    """Labels and taints are on workers, and are ours to set."""
    for index, host in enumerate(cluster.hosts):
        here: Where = ("hosts", index)
        for field in ("labels", "taints"):
            if getattr(host, field) and not host.has(Role.WORKER):
                fix = f"remove {field}, or give the host the role worker"
                yield Fault((*here, field), "a host without the role worker is no node", fix)
        for key in host.labels:
            yield from _prefix(key, (*here, "labels", key))
            if key in LABELS_OF_KUBELET:
                rule_ = "is a label that the kubelet itself writes at each start: another value would not last"
                yield Fault((*here, "labels", key), rule_, "remove it, or use a prefix of your own")
        seen = set()
        for at, taint in enumerate(host.taints):
            yield from _prefix(taint.key, (*here, "taints", at, "key"))
            if taint.key in TAINTS_OF_KUBERNETES:
                fix = "use a prefix of your own, such as example.org/"
                yield Fault((*here, "taints", at, "key"), "is a taint that Kubernetes sets and clears itself", fix)
            if (taint.key, taint.effect) in seen:
                yield Fault((*here, "taints", at), f"{taint.key}:{taint.effect} is given twice", "keep one of the two")
            seen.add((taint.key, taint.effect))


def _prefix(key: str, where: Where) -> Iterator[Fault]:
    """A key's prefix is as short as the API wants it."""
    length = len(key.rpartition("/")[0])
    if length > LONGEST_PREFIX:
        rule_ = f"has a prefix of {length} characters, the API takes {LONGEST_PREFIX}"
        yield Fault(where, rule_, "use a short prefix, such as example.org/")


RULES = (
    rule("hosts", names),
    rule("hosts ssh", ssh_addresses),
    rule("hosts", addresses),
    rule("hosts", count),
    rule("hosts", roles),
    rule("hosts", quorum),
    rule("hosts", odd, first=True),
    rule("hosts", node_objects),
)
