"""From a cluster file to a plan: ask the hosts, gather supply and secrets, compile, look."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from quorate.artifact.binary import REQUIRED
from quorate.artifact.resolve import resolve
from quorate.component.context import Context, Stop
from quorate.core import ArtifactError, PlanError, Transport
from quorate.execute import facts as facts_of
from quorate.execute import named_files, upgrading
from quorate.execute.facts import Found
from quorate.execute.left_out import left_out, left_out_notes
from quorate.execute.observe import observe
from quorate.operation import OPERATIONS, change, restore, runtimes, upgrade
from quorate.operation.stage import Stage
from quorate.plan import gone, guard
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.staged import Later, later
from quorate.plan.step import Plan
from quorate.report.event import Emit, Said
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.fewer_hosts import cluster_without, text_without
from quorate.spec.leaving import everybody
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import ETCD_TOKEN
from quorate.spec.supply import Supply
from quorate.spec.versions import table
from quorate.state import seal
from quorate.state.past import Past, fingerprint
from quorate.state.record import Record
from quorate.state.store import Store


@dataclass(frozen=True)
class Prepared:
    """A plan and all that it was made from."""

    context: Context
    compiled: Compiled
    """The stage that comes now."""
    plan: Plan
    later: tuple[Later, ...]
    """What further stages change when this one has come to its end."""
    store: Store
    past: Past
    lost: Mapping[str, str]
    """Hosts that did not answer, with the reason."""
    text: str
    """The file, less the hosts that are left out."""
    operation: str = change.NAME
    """What is done, as a record names it."""
    final: frozenset[str] = frozenset()
    """Stages from which no edit of the file leads back."""
    out: frozenset[str] = frozenset()
    """Hosts of the file that are left out of the cluster."""

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Hosts of the file that did not answer."""
        return tuple(host.name for host in self.context.cluster.hosts if host.name in self.context.absent)

    @property
    def todo(self) -> tuple[str, ...]:
        """The names of the stages that have something to do, this one first."""
        now = (self.compiled.stage,) if self.plan.changes else ()
        return (*now, *(each.name for each in self.later if each.plan.changes))

    @property
    def backs_up(self) -> bool:
        """Whether a backup is taken first: only it leads back later."""
        return self.operation == upgrade.NAME and self.past.record is None and bool(self.final & {*self.todo})

    @property
    def everything(self) -> tuple[Resource, ...]:
        """All things of this stage in the order in which they may be touched, and those that only later ones name."""
        known = {resource.key for resource in self.compiled.resources}
        steps = {key: step.resource for each in self.later for key, step in each.plan.steps.items()}
        rest = (one for key, one in steps.items() if key not in known)
        return (*self.compiled.ordered, *rest)

    @property
    def machines(self) -> Mapping[str, str]:
        """The machine-id of every host that is in the file and answered."""
        hosts = (host.name for host in self.context.cluster.hosts if host.name not in self.context.absent)
        return {name: self.context.facts.of(name).machine_id for name in hosts}


async def prepare(
    cluster: Cluster,
    file: Path,
    via: Transport,
    emit: Emit,
    *,
    replaced: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
    guarded: bool = True,
    asked: Awaitable[Found] | None = None,
    stage: str = "",
    restoring: Restoration | None = None,
    gives_up: bool = False,
    fetches: bool = True,
) -> Prepared:
    """The plan for a cluster. Nothing is changed, neither on a host nor here.

    `replaced` are hosts that the operator declares new machines, `without` those that are dead and shall be left out;
    `guarded` False is for taking everything away.
    `asked` are the facts, where somebody asked for them already. `stage` is the one to begin with, the operation's
    first by default; those that have nothing to do are passed over. `restoring` is what a restore restores; one that
    has begun is gone on with in any case, or taken back if somebody `gives_up`. Unless it `fetches`, what an upgrade
    that has not begun needs on its way may be promised: such a plan is shown, and not walked. Raises PlanError when the
    guard refuses.
    """
    store = Store.beside(file, cluster.name)
    past = Past(store, file, cluster)
    found, lost = await (asked or facts_of.gather(everybody(cluster, past.former), via))
    if guarded and past.destroying:
        raise PlanError(
            f"{cluster.name}: a destroy has begun and not ended",
            "run `quorate destroy` again until it ends; after that `quorate apply` builds the cluster anew",
        )
    out = left_out(cluster, past, without, lost) if guarded else frozenset[str]()
    cluster, text = cluster_without(cluster, out), text_without(file.read_text(encoding="utf-8"), out)
    found = _with_interfaces(cluster, found, guarded=guarded)
    known, releases = (past.record, upgrading.running(past)) if guarded else (None, {})
    if releases and restoring is None and not (known and known.restoring):
        upgrading.demand_source(cluster, file, releases)
    supply = await _supply(cluster, file, emit, _arch(found), guarded=guarded)
    restoring = _restoring(known, restoring, supply)
    if gives_up:
        restoring = _given_up(restoring)
    upgrading.demand_same(known, releases, supply)
    moves = not restoring and upgrading.differs(releases, supply)
    stops, astray = tuple[Stop, ...](), tuple[upgrading.Fault, ...]()
    if moves:
        # How far one has come is told by digests: then they are needed.
        fetches = fetches or known is not None
        stops, astray = await upgrading.find(cluster, file, releases, supply, emit, _arch(found), fetches=fetches)
    context = replace(
        build(cluster, store, past, supply, Facts(hosts=found), restoring),
        # Taking away needs none, and variables are not set for ever.
        logins=named_files.registry_logins(cluster) if guarded else {},
        proxy_login=named_files.proxy_login(cluster) if guarded else "",
        recipients=named_files.recipients(store, cluster) if guarded else (),
        place_keys=named_files.place_keys(cluster) if guarded else {},
        established=past.established,
        releases=releases,
        stops=stops,
        astray=astray,
        former=past.former,
        behind=past.behind,
        replaced=replaced,
        absent=frozenset(lost) if guarded else frozenset(),
        met=frozenset(past.machines()) if guarded else frozenset(),
    )
    exchanges = bool(runtimes.former(context))
    operation = OPERATIONS[
        restore.NAME if restoring else upgrade.NAME if moves else runtimes.NAME if exchanges else change.NAME
    ]
    if guarded:
        if restoring is None:
            seal.check(store, cluster, found)
        guard.check(context, past.machines(), operation)
    told = (known.told(fingerprint(text.encode())),) if known and not stage else ()
    told = (*told, *left_out_notes(past, out)) if guarded else ()
    told = (*told, *(seal.given_up(store, cluster, found) if restoring else ()))
    notes = (*told, *guard.notes(context), *store.changes, *store.warnings, *seal.notes(store, cluster))
    alone = tuple(host.name for host in cluster.hosts if host.name in lost)
    stages = operation.stages(context)
    final = [f"no way back from the stage `{each.name}`: {each.no_return}" for each in stages if each.no_return]
    ends = frozenset(each.name for each in stages if each.no_return)
    if operation is OPERATIONS[upgrade.NAME] and final and known is None:
        final.append("a backup is taken before anything changes, and proved")
    if to_come := [f"{stop.move.part} {stop.move.version}" for stop in stops if stop.supply.promises]:
        final.append(
            f"not fetched or built yet: {', '.join(to_come)}; `quorate apply` does so before it changes anything"
        )
    notes = (*notes, *final, *(runtimes.told(context) if operation is OPERATIONS[runtimes.NAME] else ()))
    stages = stages[next((n for n, each in enumerate(stages) if each.name == stage), 0) :]
    # What is taken away is all that any of them names.
    compiled, plan, further = await _first(stages, via, lost=alone, notes=notes, passes=guarded, ahead=not stage)
    why = {host: str(error) for host, error in lost.items()}
    return Prepared(context, compiled, plan, further, store, past, why, text, operation.NAME, ends, out)


async def _first(
    stages: Sequence[Stage],
    via: Transport,
    *,
    lost: Sequence[str],
    notes: tuple[str, ...],
    passes: bool,
    ahead: bool,
) -> tuple[Compiled, Plan, tuple[Later, ...]]:
    """The first stage that has something to do, if any has and others are passed over, and what comes after it.

    Without `ahead` what later stages alone name is not asked: it may hang on an API that does not serve just now, and
    is looked at when its stage comes.
    """
    for number, stage in enumerate(stages):
        compiled = compile_stage(stage)
        rest = later(compiled, map(compile_stage, stages[number + 1 :]))
        plan, further = await observe(compiled, via, rest, lost=lost, notes=notes, ahead=ahead)
        if plan.changes or not passes or not any(each.plan.changes for each in further):
            break
    return compiled, plan, further


def _with_interfaces(cluster: Cluster, found: Mapping[str, HostFacts], *, guarded: bool) -> Mapping[str, HostFacts]:
    """The facts, where every balancer has an interface to hold the virtual IP on; any will do to take it away.

    Raises PlanError where a balancer's address is on none of its interfaces, and nobody has named one.
    """
    named = cluster.endpoint.interface != "auto"
    lost = [
        host
        for host in cluster.balancers
        if cluster.endpoint.vip
        and not (named or host.interface)
        and host.name in found
        and not found[host.name].interface
    ]
    if lost and guarded:
        raise PlanError(
            "; ".join(f"{host.name} has {host.ip} on none of its interfaces" for host in lost)
            + f": the virtual IP {cluster.endpoint.vip} has no place there",
            "write as address one of the host's own, as `ip -4 addr` shows them there (ssh_address is for the way of "
            "SSH), or the interface as endpoint.interface",
        )
    return {**found, **{host.name: replace(found[host.name], interface=HostFacts.interface) for host in lost}}


async def _supply(cluster: Cluster, file: Path, emit: Emit, arch: str, *, guarded: bool) -> Supply:
    """What will be installed; for taking everything away the places are enough, should it not be had any more."""
    try:
        return await resolve(cluster, lambda text: emit(Said(text)), beside=file.absolute().parent, arch=arch)
    except ArtifactError:
        if guarded:
            raise
        return gone.places(REQUIRED)


def _arch(found: Mapping[str, HostFacts]) -> str:
    """The one architecture of the hosts. Raises PlanError when there are several."""
    arches = {facts.arch: name for name, facts in found.items()}
    if len(arches) > 1:
        shown = ", ".join(f"{name} is {arch}" for arch, name in arches.items())
        raise PlanError(f"hosts of different architectures: {shown}", "a cluster's binaries are of one architecture")
    return next(iter(arches), "amd64")


def _restoring(known: Record | None, asked: Restoration | None, supply: Supply) -> Restoration | None:
    """The restore that has begun, with the snapshot if it is asked for again; else the one that is asked for, with the
    program that does it.

    Raises PlanError where another one has begun.
    """
    under_way = known.restoring if known else None
    if asked is None:
        return under_way
    if under_way is None:
        return asked.by(supply.versions.get("etcd", asked.versions["etcd"]), supply.binaries)
    if under_way.sha256 != asked.sha256:
        raise PlanError(
            f"a restore of {under_way.source} has begun and not ended", f"`quorate restore {under_way.source}` ends it"
        )
    return replace(under_way, blob=asked.blob, old_keys=asked.old_keys)


def _given_up(restoring: Restoration | None) -> Restoration:
    """The restore that has begun, to be taken back. Raises PlanError where there is none."""
    if restoring is None:
        raise PlanError("no restore has begun that could be given up", "`quorate history` shows what was done")
    return replace(restoring, given_up=True)


def build(
    cluster: Cluster,
    store: Store,
    past: Past,
    supply: Supply,
    facts: Facts,
    restoring: Restoration | None = None,
) -> Context:
    """The inputs of `compile`: certificates go on naming endpoints of before, who leaves keeps its pod subnet, and a
    restored etcd has a token of its own.
    """
    named_anyway = (cluster.front, cluster.server)
    sans = (*cluster.apiserver.extra_sans, *(each for each in past.endpoints if each not in named_anyway))
    named = cluster.model_copy(update={"apiserver": cluster.apiserver.model_copy(update={"extra_sans": sans})})
    there = everybody(cluster, past.former)
    cidrs = store.allocations(there, persist=False) if cluster.network.cni == "routed" else {}
    old = restoring.old_keys if restoring else None
    secrets = store.secrets(named, datetime.now(UTC), persist=False, old=old)
    if restoring is not None:
        secrets = replace(secrets, random={**secrets.random, ETCD_TOKEN: restoring.id})
    version = supply.versions.get("kubernetes", cluster.versions.kubernetes)
    return Context(
        cluster,
        replace(facts, pod_cidrs=cidrs),
        supply,
        secrets,
        table(version),
        named_files.texts_of(cluster),
        restoring=restoring,
    )
