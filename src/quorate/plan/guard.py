"""The guard: what a plan may never do to a living cluster, judged from the file, the past and the hosts as found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quorate.component.context import Context, address
from quorate.core import PlanError
from quorate.spec.cluster import Cluster, Host, Role


@dataclass(frozen=True)
class Refusal:
    """One thing that must not happen, and the way out."""

    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.why}. Fix: {self.fix}"


FIXED: Mapping[str, str] = {
    "network.pod_cidr": "pods and routes live in it",
    "network.service_cidr": "services have addresses in it",
    "network.node_mask": "nodes have their parts of the pod network",
    "network.dns_domain": "pods and certificates have names in it",
    "network.cni": "a pod network can't be exchanged under running pods",
    "etcd.data_dir": "the data is there",
    "runtime.kind": "running pods belong to the runtime",
    "apiserver.port": "all clients and balancers would lose all API servers at once",
    "apiserver.encrypt_secrets": "Secret objects in etcd are as they were written",
}
"""Fields that can't change once the cluster is established, and why."""


def refusals(context: Context, machines: Mapping[str, str]) -> list[Refusal]:
    """All that speaks against a plan; `machines` has the machine-id of every host, as of the last apply."""
    if context.established is None:
        return []
    return [
        *_fixed(context.established, context.cluster, context.replaced),
        *_identity(context, machines),
        *_members(context),
        *_last(context),
    ]


def check(context: Context, machines: Mapping[str, str]) -> None:
    """Raise PlanError with every refusal; nothing is changed then."""
    if found := refusals(context, machines):
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
    for name in sorted(context.absent):
        if any(host.name == name for host in context.cluster.hosts):
            yield f"{name} does not answer: it is left as it is, and the next apply goes on with it"
    for each in context.leaving:
        if each.host.name in context.absent:
            yield (
                f"{each.host.name} does not answer: it is forgotten, but not cleaned; see to it that it stays off, "
                "its kubelet and its etcd would come back with it"
            )


def _field(cluster: Cluster, name: str) -> str:
    section, _, field = name.partition(".")
    return str(getattr(getattr(cluster, section), field))


def _fixed(was: Cluster, now: Cluster, replaced: frozenset[str]) -> Iterator[Refusal]:
    for name, reason in FIXED.items():
        before, after = _field(was, name), _field(now, name)
        grows = name == "network.pod_cidr" and was.network.pod_cidr.subnet_of(now.network.pod_cidr)
        if before != after and not grows:
            yield Refusal(
                f"{name}: {before} -> {after}: can't change in a running cluster, {reason}",
                f"set it back to {before}, or build a new cluster",
            )
    nodes = {host.name: host.node for host in was.workers}
    for host in now.workers:
        if nodes.get(host.name, host.node) != host.node and host.name not in replaced:
            yield Refusal(
                f"host {host.name}: node_name {nodes[host.name]} -> {host.node}: a node can't be renamed",
                "take the host out, apply, and add it again under the new name",
            )


def _identity(context: Context, machines: Mapping[str, str]) -> Iterator[Refusal]:
    """A host is a machine: another machine, address or an empty disk in its place must be meant."""
    assert context.established is not None
    addresses = {host.name: host.ip for host in context.established.hosts}
    for host in context.cluster.hosts:
        if host.name in context.replaced or host.name in context.absent:
            continue
        known, found = machines.get(host.name), context.of(host).machine_id
        again = f"if it is a new machine in its place, `--replace {host.name}`"
        if host.ip != addresses.get(host.name, host.ip):
            yield Refusal(f"host {host.name}: address {addresses[host.name]} -> {host.ip}", again)
        elif known and found and known != found:
            yield Refusal(f"host {host.name} is another machine now (machine-id {found}, was {known})", again)
        elif _was_member(context, host) and context.joins(host):
            yield Refusal(
                f"host {host.name}: its etcd data is gone from {context.cluster.etcd.data_dir}",
                f"mount or restore it; {again} (its member is removed, and a new one joins)",
            )


def _was_member(context: Context, host: Host) -> bool:
    assert context.established is not None
    return any(was.name == host.name for was in context.established.members) and host.has(Role.ETCD)


def _members(context: Context) -> Iterator[Refusal]:
    """etcd must have its quorum, or get it back by starting what is there, before anybody joins or leaves."""
    assert context.established is not None
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


def _last(context: Context) -> Iterator[Refusal]:
    assert context.established is not None
    old = {host.name for host in context.established.masters} - context.absent - context.replaced
    if old and not old & {host.name for host in context.cluster.masters}:
        yield Refusal(
            "no master stays: all that work leave at once",
            "do it in two applies: first add the new ones, then take the old ones out",
        )
