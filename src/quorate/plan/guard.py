"""The guard: what a plan may never do to a living cluster, judged from the file, the past and the hosts as found."""

from collections.abc import Callable, Iterator, Mapping

from quorate.component.context import Context, address
from quorate.core import PlanError
from quorate.operation import change
from quorate.operation.stage import Operation, Refusal
from quorate.plan import segments
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.layout import FIREWALL_UNIT
from quorate.spec.ports import openings
from quorate.spec.processes import KUBELET_UNIT, RUNTIMES

FIXED: Mapping[str, str] = {
    "network.pod_cidr": "pods and routes live in it",
    "network.service_cidr": "services have addresses in it",
    "network.node_mask": "nodes have their parts of the pod network",
    "network.dns_domain": "pods and certificates have names in it",
    "network.cni": "a pod network can't be exchanged under running pods",
    "etcd.data_dir": "the data is there",
    "apiserver.port": "all clients and balancers would lose all API servers at once",
    "apiserver.encrypt_secrets": "Secret objects in etcd are as they were written",
}
"""Fields that can't change once the cluster is established, and why."""


_PODS = frozenset({KUBELET_UNIT, *RUNTIMES})
"""Services with data in folders that the file chooses."""


def refusals(context: Context, machines: Mapping[str, str], operation: Operation = change) -> list[Refusal]:
    """All that speaks against an operation's plan; `machines` has the machine-id of every host, as of the last apply.

    Rules that the operation replaces are passed over.
    """
    rules = [rule for name, rule in RULES.items() if name not in operation.REPLACES]
    return [each for rule in rules for each in rule(context, machines)] + list(operation.refusals(context))


def check(context: Context, machines: Mapping[str, str], operation: Operation = change) -> None:
    """Raise PlanError with every refusal; nothing is changed then."""
    if found := refusals(context, machines, operation):
        raise PlanError(
            "\n".join(["refused, for the cluster's sake:", *(f"  {each}" for each in found)]),
            "nothing was changed",
        )


def notes(context: Context) -> Iterator[str]:
    """What is no reason to refuse, and still should be known."""
    count = len(context.cluster.members)
    if count % 2 == 0:
        quorum = count // 2 + 1
        yield f"{count} etcd members survive the loss of {count - quorum}, no more than {count - 1} do: make it odd"
    yield from segments.to_tell(context)
    for name in sorted(context.absent):
        if any(host.name == name for host in context.cluster.hosts):
            yield f"{name} does not answer: it is left as it is, and the next apply goes on with it"
    yield from _opened(context)
    for each in context.leaving:
        if each.host.name in context.absent:
            yield (
                f"{each.host.name} does not answer: it is forgotten, but not cleaned; see to it that it stays off, "
                "its kubelet and its etcd would come back with it"
            )


def _opened(context: Context) -> Iterator[str]:
    """What firewalls will let in that let it in not yet, and from whom."""
    for host in context.cluster.hosts if context.cluster.os.firewall == "open-ports" else ():
        facts = context.of(host)
        if facts.firewall != "none" and FIREWALL_UNIT not in facts.running and host.name not in context.absent:
            ports = "; ".join(each.told(most=3) for each in openings(context.cluster, host))
            yield f"{host.name}: {facts.firewall} will let in {ports}; who may use SSH stays as it is"


def _field(cluster: Cluster, name: str) -> str:
    section, _, field = name.partition(".")
    return str(getattr(getattr(cluster, section), field))


def _far(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    yield from (Refusal(why, fix) for why, fix in segments.beyond(context))


def _fixed(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    if context.established is None:
        return
    was, now = context.established, context.cluster
    for name, reason in FIXED.items():
        before, after = _field(was, name), _field(now, name)
        grows = name == "network.pod_cidr" and was.network.pod_cidr.subnet_of(now.network.pod_cidr)
        if before != after and not grows:
            yield Refusal(
                f"{name}: {before} -> {after}: can't change in a running cluster, {reason}",
                f"set it back to {before}, or build a new cluster",
            )
    # Compared as it is in effect: writing the default down changes nothing.
    if was.dns_ip != now.dns_ip and was.network.service_cidr == now.network.service_cidr:
        yield Refusal(
            f"dns.address: {was.dns_ip} -> {now.dns_ip}: can't change in a running cluster, its pods ask the old one",
            f"write {was.dns_ip}, or build a new cluster",
        )
    nodes = {host.name: host.node for host in was.workers}
    for host in now.workers:
        if nodes.get(host.name, host.node) != host.node and host.name not in context.replaced:
            yield Refusal(
                f"host {host.name}: node_name {nodes[host.name]} -> {host.node}: a node can't be renamed",
                "take the host out, apply, and add it again under the new name",
            )


def _runtime(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    """Pods belong to a runtime: what exchanges it does nothing else."""
    was, now = context.established, context.cluster
    if was is not None and was.runtime.kind != now.runtime.kind:
        yield Refusal(
            f"runtime.kind: {was.runtime.kind} -> {now.runtime.kind}: not in the middle of something else",
            f"write `kind: {was.runtime.kind}` until that has ended",
        )


def _folders(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    """The folders of a host that runs pods, or began to: what is in the old one would be lost, or lie there unused."""
    now, seen = context.cluster, set()
    begun = [(cluster, host) for cluster in context.former for host in cluster.workers]
    begun += [
        (c, h) for name, clusters in context.behind.items() for c in clusters for h in c.workers if h.name == name
    ]
    for was, before in begun:
        host = next((host for host in now.workers if host.name == before.name), None)
        if host is None or host.name in context.replaced or was.runtime.kind != now.runtime.kind:
            continue
        if was != context.established and not _PODS & context.of(host).running:
            continue  # An apply began it, and came not so far.
        for field, what, old, new in (
            ("runtime_dir", "images and containers", was.runtime_dir(before), now.runtime_dir(host)),
            ("kubelet_dir", "its pods' volumes", was.kubelet_dir(before), now.kubelet_dir(host)),
        ):
            if old != new and (host.name, field, old) not in seen:
                seen.add((host.name, field, old))
                yield Refusal(
                    f"host {host.name}: {old} -> {new}: can't change on a host that has {what} there",
                    f"write `{field}: {old}` at the host; to move, take it out of the file, apply, and add it again",
                )


def _strange(context: Context, machines: Mapping[str, str], host: Host) -> str:
    """Why it is not the host that it was; empty where it is."""
    assert context.established is not None
    addresses = {was.name: was.ip for was in context.established.hosts}
    known, found = machines.get(host.name), context.of(host).machine_id
    if host.ip != addresses.get(host.name, host.ip):
        return f"host {host.name}: address {addresses[host.name]} -> {host.ip}"
    if known and found and known != found:
        return f"host {host.name} is another machine now (machine-id {found}, was {known})"
    return ""


def _answering(context: Context) -> Iterator[tuple[Host, str]]:
    """The hosts of a cluster that was built, as far as they answer and should be those of before; with the way out."""
    for host in context.cluster.hosts if context.established else ():
        if host.name not in context.replaced and host.name not in context.absent:
            yield host, f"if it is a new machine in its place, `--replace {host.name}`"


def _identity(context: Context, machines: Mapping[str, str]) -> Iterator[Refusal]:
    """A host is a machine: another machine or address in its place must be meant."""
    for host, again in _answering(context):
        if why := _strange(context, machines, host):
            yield Refusal(why, again)


def _data(context: Context, machines: Mapping[str, str]) -> Iterator[Refusal]:
    """A member has its data: an empty disk, or data that etcd does not know, must be meant."""
    for host, again in _answering(context):
        if _strange(context, machines, host) or not _was_member(context, host):
            continue
        if context.is_ghost(host):
            yield Refusal(
                f"host {host.name}: etcd does not count it among its members any more, and its data are those of one",
                f"find out who removed it; `--replace {host.name}` lays the data aside, and a new member joins",
            )
        elif context.joins(host):
            missing = context.of(host).unmounted
            where = f"{context.cluster.etcd.data_dir}{f': {missing}' if missing else ''}"
            yield Refusal(
                f"host {host.name}: its etcd data is gone from {where}",
                f"mount or restore it; {again} (its member is removed, and a new one joins)",
            )


def _was_member(context: Context, host: Host) -> bool:
    assert context.established is not None
    return any(was.name == host.name for was in context.established.members) and host.has(Role.ETCD)


def _members(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    """etcd must have its quorum, or get it back by starting what is there, before anybody joins or leaves."""
    if context.established is None:
        return
    here = {host.ip for host in context.cluster.members if host.name not in context.absent and context.has_data(host)}
    going = {
        each.host.ip
        for each in context.leaving
        if each.loses(Role.ETCD) and each.host.name not in context.absent and context.has_data(each.host)
    }
    known = {address(member): member.name for member in context.facts.members if not member.learner}
    known = known or {host.ip: host.name for host in context.established.members}
    alive = [name or at for at, name in known.items() if at in here | going]
    dead = [name or at for at, name in known.items() if at not in here | going]
    if len(alive) <= len(known) // 2:
        yield Refusal(
            f"etcd has lost its quorum: of its {len(known)} members {', '.join(sorted(dead))} can't be reached "
            f"or have no data; {len(alive)} of the {len(known) // 2 + 1} needed are left",
            "bring one of them back, with its data; without a quorum no member can be replaced",
        )
    elif not here & set(known):
        yield Refusal(
            "no member of etcd stays: all those that have the data leave at once",
            "do it in two applies: first add the new ones, then take the old ones out",
        )


def _last(context: Context, _machines: Mapping[str, str]) -> Iterator[Refusal]:
    if context.established is None:
        return
    old = {host.name for host in context.established.masters} - context.absent - context.replaced
    if old and not old & {host.name for host in context.cluster.masters}:
        yield Refusal(
            "no master stays: all that work leave at once",
            "do it in two applies: first add the new ones, then take the old ones out",
        )


Rule = Callable[[Context, Mapping[str, str]], Iterator[Refusal]]
RULES: Mapping[str, Rule] = {
    "ways": _far,
    "folders": _folders,
    "fixed": _fixed,
    "runtime": _runtime,
    "identity": _identity,
    "data": _data,
    "quorum": _members,
    "masters": _last,
}
"""All rules by the name under which an operation may replace one."""
