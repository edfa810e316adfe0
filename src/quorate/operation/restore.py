"""Restore: the data of the whole cluster become those of a snapshot, on the hosts that the file names.

New data are made beside the old ones while those still serve. Then everything that writes stands still behind fences,
which a reboot does not open; the data are exchanged, and services come back in the order in which they may: etcd, API
servers, the endpoint, kubelets, and controllers last, for they judge nodes by what these have reported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from quorate.component import (
    COMPONENTS,
    access,
    apiserver,
    controller_manager,
    dns,
    etcd,
    etcd_restore,
    etcd_way,
    kubelet,
    metrics,
    scheduler,
    system,
    trust,
)
from quorate.component.context import Context
from quorate.core import Key
from quorate.operation import leaving
from quorate.operation.stage import Refusal, Stage
from quorate.render.sh import quote
from quorate.resource.fence import PLACE, Fence
from quorate.resource.kube import kubectl, unless_away
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.resource.unit import Ready, Stopped, Unit
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.facts import Facts
from quorate.spec.processes import PROCESSES, control_plane
from quorate.spec.restoring import Restoration
from quorate.spec.versions import parts

NAME = "restore"
REPLACES = frozenset({"quorum", "data"})
"""Members have no data, or not those that count."""
BRING, STOP, EXCHANGE, STORE, SERVE, NODES, CONTROL = (
    *("new data beside the old", "stop", "exchange the data"),
    *("etcd", "API servers", "nodes", "controllers"),
)

DISABLED, WEBHOOKS = "disable-admission-plugins", ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
OPEN = "open again"
"""The stage that takes back a restore which is given up."""

STOP_S = 15
"""Seconds for what stops in good order: API servers without etcd wait a minute for requests that nobody answers."""

_CONTROLLERS = (controller_manager.NAME, scheduler.NAME, dns.NAME, metrics.NAME)
"""Components that nobody needs before nodes have reported."""
_STORE = frozenset({system.NAME, trust.NAME, etcd.NAME})
_SERVE = _STORE | {etcd_way.NAME, apiserver.NAME, access.NAME}
_NODES = frozenset(component.NAME for component in COMPONENTS) - {*_CONTROLLERS}


def stages(context: Context) -> tuple[Stage, ...]:
    """Once all members have the new data, nothing is made or stopped any more: a run that goes on only goes forward."""
    restoring = context.restoring
    assert restoring is not None
    groups = _groups(context)
    units = frozenset(unit for hosts in groups.values() for _, found in hosts for unit in found)
    begun = _all_exchanged(context, restoring)
    then = _with_data(context, restoring, frozenset() if begun else units)
    last = tuple(etcd_restore.cleared(context, restoring, host) for host in _members(context))
    if restoring.given_up:
        opened = tuple(fence for name in groups for fence in _opened(name, groups, restoring, after=()))
        return (Stage(OPEN, context, (*opened, *last), acts_of=NAME, parts=frozenset()), Stage(CONTROL, context))
    back = f"the cluster is what it was at revision {restoring.revision} of {restoring.source}"
    found = [
        *([] if begun else [Stage(BRING, context, tuple(_brought(context, restoring)), parts=frozenset())]),
        *([] if begun else [Stage(STOP, context, tuple(_stopped(groups, restoring)), parts=frozenset())]),
        Stage(EXCHANGE, context, tuple(_exchanged(context, restoring, groups)), parts=frozenset(), no_return=back),
        Stage(STORE, then, tuple(_united(then, restoring, groups)), parts=_STORE),
        Stage(SERVE, _alone(then, restoring), tuple(_served(then, restoring, groups)), parts=_SERVE),
    ]
    needed = frozenset(host.name for host in context.cluster.hosts if set(host.roles) != {Role.WORKER})
    found = [replace(stage, answering=needed) for stage in found]
    found += [
        Stage(NODES, then, tuple(_reported(then, restoring, groups)), parts=_NODES),
        Stage(CONTROL, then, (*leaving.forgotten(then), *last), clears=True),
    ]
    return tuple(replace(stage, acts_of=NAME) for stage in found)


def refusals(context: Context) -> Iterator[Refusal]:
    """Every host that could serve old data must be there to be stopped, and the file that of the cluster that was."""
    restoring = context.restoring
    assert restoring is not None
    if context.established is None:
        yield Refusal(
            "this cluster was never built, as far as its state folder knows",
            "get the state folder of the cluster with `quorate adopt`, which takes a backup set, too",
        )
    for host in context.cluster.hosts:
        if host.name in context.absent and set(host.roles) != {Role.WORKER}:
            yield Refusal(
                f"{host.name} does not answer: what runs there could go on writing to, or serving, the old data",
                f"bring it back; if it is dead, and stays off, `--without {host.name}`",
            )
    if there := [each.host.name for each in context.leaving if each.host.name not in context.absent]:
        yield Refusal(
            f"the file takes {', '.join(there)} out of the cluster: that is a change, and not a restore",
            "restore with the file as it was applied, and change it afterwards",
        )
    yield from _versions(context, restoring)
    have = [host.name for host in _members(context) if _has(context, restoring, host)]
    if restoring.given_up and have:
        yield Refusal(
            f"{', '.join(have)} has the data of {restoring.source} already: there is no way back from here",
            f"`quorate restore {restoring.source}` goes on; what was before lies beside etcd's data",
        )
    elif not restoring.given_up and restoring.blob is None and not _all_exchanged(context, restoring):
        yield Refusal(
            f"a restore of {restoring.source} has begun, and not all members have its data yet",
            f"`quorate restore {restoring.source}` goes on with it, and `quorate restore --give-up` takes it back",
        )


def _versions(context: Context, restoring: Restoration) -> Iterator[Refusal]:
    """Programs read what those of their own minor wrote; anything else stays as it is, or is as it was then."""
    for part, was in restoring.versions.items():
        now = context.supply.versions.get(part, was)
        running = context.releases.get(part, now)
        reads = part in ("etcd", "kubernetes")
        if reads and parts(now)[:2] != parts(was)[:2]:
            yield Refusal(
                f"{restoring.source} was taken from {part} {was}, and the file asks for {now}: nobody promises that "
                "one reads what the other wrote",
                f'write {part}: "{was}" under `versions`; the restore takes all hosts back to it',
            )
        elif now not in (was, running) and not (reads and parts(running)[:2] != parts(was)[:2]):
            yield Refusal(
                f"versions.{part}: {running} -> {now}: a restore changes no versions, but back to {was}",
                f'write {part}: "{running}" under `versions`',
            )


def _members(context: Context) -> list[Host]:
    return [host for host in context.cluster.members if host.name not in context.absent]


def _has(context: Context, restoring: Restoration, host: Host) -> bool:
    """Whether the host's member has the data of this restore."""
    return context.of(host).restored == restoring.id


def _all_exchanged(context: Context, restoring: Restoration) -> bool:
    return all(_has(context, restoring, host) for host in context.cluster.members)


CONTROLLERS, API, ETCD, ENDPOINT = "controllers", "api", etcd_restore.FENCE, "endpoint"
Groups = dict[str, list[tuple[Host, tuple[str, ...]]]]
"""What stands still, by the name of its fence, in the order in which it stops: hosts, with their units."""


def _groups(context: Context) -> Groups:
    """Who leads first, then who lets others write, then who writes. Balancers that serve others go with them: clients
    find a closed door then, and not one behind which services come and go.
    """
    cluster = context.cluster
    there = [host for host in cluster.hosts if host.name not in context.absent]
    masters = [host for host in there if host.has(Role.CONTROL_PLANE)]
    api, *others = control_plane()
    entries = [(host, _entry_points(cluster, host)) for host in there if host.has(Role.LOAD_BALANCER)]
    return {
        CONTROLLERS: [(host, tuple(reversed(others))) for host in masters],
        ENDPOINT: [(host, units) for host, units in entries if units],
        API: [(host, (api,)) for host in masters],
        ETCD: [(host, (etcd.UNIT,)) for host in there if host.has(Role.ETCD)],
    }


def _entry_points(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """What leads others to the API on a balancer, in the order in which it stops."""
    mine = [each.unit for each in PROCESSES if each.role is Role.LOAD_BALANCER and each.runs(cluster, host)]
    return tuple(reversed(mine))


def _with_data(context: Context, restoring: Restoration, stopped: frozenset[str]) -> Context:
    """The cluster as it is when all members have the new data: nobody joins, and nobody is a stranger."""
    members = {host.name for host in _members(context)}
    hosts = {
        name: replace(
            facts,
            etcd_member=facts.etcd_member or name in members,
            members=(),
            restored=restoring.id if name in members else facts.restored,
            running=facts.running - stopped,
        )
        for name, facts in context.facts.hosts.items()
    }
    return replace(context, facts=Facts(hosts, context.facts.pod_cidrs))


def _alone(context: Context, restoring: Restoration) -> Context:
    """For a clone, API servers that tell nobody else what they are asked for: webhooks may be anywhere."""
    if not restoring.clone:
        return context
    server = context.cluster.apiserver
    off = [server.extra_flags.get(DISABLED, ""), *WEBHOOKS]
    flags = {**server.extra_flags, DISABLED: ",".join(filter(None, off))}
    quiet = server.model_copy(update={"extra_flags": flags})
    return replace(context, cluster=context.cluster.model_copy(update={"apiserver": quiet}))


def _brought(context: Context, restoring: Restoration) -> Iterator[Resource]:
    for host in _members(context):
        if not _has(context, restoring, host):
            yield from etcd_restore.made(context, restoring, host)


def _stopped(groups: Groups, restoring: Restoration) -> Iterator[Resource]:
    """All fences first, then one group after the other on all hosts."""
    fences = [
        Fence(host=host.name, what=name, id=restoring.id, units=units)
        for name, hosts in groups.items()
        for host, units in hosts
    ]
    yield from fences
    before = frozenset(fence.key for fence in fences)
    for name, hosts in groups.items():
        group = [
            Stopped(host=host.name, what=f"{name} at rest", units=units, explicit=before, patience=STOP_S)
            for host, units in hosts
        ]
        yield from group
        before = frozenset(each.key for each in group) or before


def _exchanged(context: Context, restoring: Restoration, groups: Groups) -> Iterator[Resource]:
    """No member may start before all of them have the new data."""
    swaps = [etcd_restore.exchanged(context, restoring, host) for host in _members(context)]
    yield from swaps
    yield from _opened(ETCD, groups, restoring, after=swaps)


def _opened(name: str, groups: Groups, restoring: Restoration, *, after: Iterable[Resource]) -> Iterator[Fence]:
    keys = frozenset(each.key for each in after)
    for host, units in groups[name]:
        yield Fence(host=host.name, what=name, id=restoring.id, units=units, up=False, explicit=keys)


def _united(context: Context, restoring: Restoration, groups: Groups) -> Iterator[Resource]:
    members = _members(context)
    if not members:
        return
    proofs = frozenset(Key(host.name, Ready.kind, etcd.NAME) for host in members)
    one = etcd_restore.united(context, restoring, members[0], after=proofs)
    yield one
    yield from _opened(API, groups, restoring, after=[one])


def _served(context: Context, restoring: Restoration, groups: Groups) -> Iterator[Resource]:
    """Nodes that are of no host any more are gone before anybody looks; then the door is opened."""
    proofs = frozenset(Key(host.name, Ready.kind, "kube-apiserver") for host, _ in groups[API])
    gone = [_node_gone(context, node, proofs) for node in restoring.nodes]
    yield from gone
    for fence in _opened(ENDPOINT, groups, restoring, after=gone):
        yield replace(fence, explicit=fence.explicit | proofs)


def _node_gone(context: Context, node: str, after: frozenset[Key]) -> Setting:
    server = f"https://{context.api_host.ip}:{context.cluster.apiserver.port}"
    run = kubectl(server)
    return Setting(
        host=context.api_host.name,
        what=f"node {node} of before",
        want=(("node", "gone"),),
        check=f"{unless_away(server)}on=$({run} get node {quote(node)} --ignore-not-found -o name) || exit 0\n"
        '[ -n "$on" ] && echo node=there || echo node=gone',
        script=f"{run} delete node {quote(node)} --ignore-not-found",
        explicit=after,
        removes=True,
    )


def _reported(context: Context, restoring: Restoration, groups: Groups) -> Iterator[Resource]:
    """Kubelets begin anew: one whose node is not in the snapshot does not register it again while it runs. Controllers
    are let in when all of them have reported.
    """
    proofs: list[Resource] = []
    for host in (host for host in context.cluster.workers if host.name not in context.absent):
        (ready,) = (each for each in kubelet.resources(context, host) if isinstance(each, Ready))
        again = _begun_anew(restoring, host)
        proof = replace(ready, what="node after the restore", explicit=frozenset({again.key}))
        yield from (again, proof)
        proofs.append(proof)
    yield from _opened(CONTROLLERS, groups, restoring, after=proofs)


def _begun_anew(restoring: Restoration, host: Host) -> Setting:
    """As soon as they run, and the endpoint is open, and not when the node is ready: it may need just this."""
    note, units = f"{PLACE}/nodes.opened", ("kubelet.service", "kube-proxy.service")
    return Setting(
        host=host.name,
        what="kubelet and kube-proxy begun anew",
        want=(("since", restoring.id),),
        check=f'echo "since=$(cat {note} 2>/dev/null || echo never)"',
        script=f"mkdir -p {PLACE}\nsystemctl restart {' '.join(units)}\n"
        f"printf '%s\\n' {quote(restoring.id)} | settle 0600 root:root {note}",
        explicit=frozenset(Key(host.name, Unit.kind, unit) for unit in units),
    )
