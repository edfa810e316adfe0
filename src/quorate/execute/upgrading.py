"""The way of an upgrade, with what is installed at each stop of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from quorate.artifact import source
from quorate.artifact.resolve import at_hand, resolve
from quorate.component.context import Stop
from quorate.core import ArtifactError, PlanError
from quorate.operation import upgrade
from quorate.report.event import Emit, Said
from quorate.spec import rules
from quorate.spec.cluster import Cluster
from quorate.spec.load import place
from quorate.spec.supply import Supply, promised
from quorate.spec.upgrade_path import ETCD, NODES, Move, between, cluster_at, faults, way
from quorate.spec.versions import table
from quorate.state.past import Past
from quorate.state.record import Record

WISHED = ("kubernetes", "etcd", "containerd")
"""Parts whose versions are a wish of their own; others follow."""
Fault = tuple[str, str, str]
"""The part that no way leads to, why, and the fix."""
FOLLOWS = frozenset({"agnhost"})
"""A test image, of Kubernetes' version: it is no reason to call anything an upgrade."""


def running(past: Past) -> Mapping[str, str]:
    """The versions that run, by what the last whole apply noted; nothing where none did."""
    noted, was = past.releases(), past.established
    if not noted or was is None:
        return {}
    kubernetes = was.versions.kubernetes
    # A folder of programs may not say of all what they are; the file of then does.
    return {"kubernetes": kubernetes, "etcd": was.versions.etcd or table(kubernetes).etcd, **noted}


def differs(releases: Mapping[str, str], supply: Supply) -> bool:
    """Whether something that runs is of another version than what is wanted."""
    return bool(moves(releases, supply))


def moves(releases: Mapping[str, str], supply: Supply) -> Mapping[str, tuple[str, str]]:
    """What runs in another version than what is wanted: from which to which, by part."""
    goals = {part: supply.versions.get(part, was) for part, was in releases.items() if part not in FOLLOWS}
    return {part: (releases[part], goal) for part, goal in goals.items() if goal != releases[part]}


def demand_source(cluster: Cluster, file: Path, releases: Mapping[str, str]) -> None:
    """Refuse a way that the artifact source can't deliver, as far as that can be told before anything is fetched.

    Raises ArtifactError with what is missing of each stop, and the releases that the source has.
    """
    beside = file.absolute().parent
    goal = {**releases, **source.versions(cluster)}
    if not differs(releases, Supply(versions=goal)):
        return
    was, wanted = releases["kubernetes"], goal["kubernetes"]
    patches = source.patches(cluster, beside)
    lost = [minor for minor in between(was, wanted) if minor not in patches]
    if not lost and any(faults(releases, goal, patches)):
        return
    told = {f"has no release of {minor}": f"Kubernetes {minor}" for minor in lost}
    for move, then in _clusters(cluster, releases, goal, patches):
        if why := source.lacks(then, beside):
            told.setdefault(why, f"{move.part} {move.version}")
    if told:
        missing = "\n".join(f"  {stop}: {why}" for why, stop in told.items())
        has = ", ".join(source.releases(cluster, beside)) or "no release that it tells of"
        raise ArtifactError(
            f"{source.name(cluster)} can't deliver the way from {was} to {wanted}:\n{missing}\n  it has {has}",
            _fix(cluster, was, lost),
        )


def _fix(cluster: Cluster, was: str, lost: Sequence[str]) -> str:
    if (folder := cluster.artifacts.directory) is not None:
        return (
            f"`quorate artifacts --export FOLDER --path --from {was}` writes all of it where there is a network: carry "
            f"what it wrote into {folder}"
        )
    if lost:
        return f"go there minor by minor, by releases that you name: `quorate upgrade --to {lost[0]}.N` first"
    return "bring what is missing, or name a version that lies nearer"


async def find(
    cluster: Cluster,
    file: Path,
    releases: Mapping[str, str],
    supply: Supply,
    emit: Emit,
    arch: str,
    *,
    fetches: bool = True,
) -> tuple[tuple[Stop, ...], tuple[Fault, ...]]:
    """The stops, or what no way leads to. `releases` are the versions that run, `supply` is what the file asks for.

    Unless it `fetches`, programs of control planes and etcd that have to be fetched or built are promised. Raises
    ArtifactError where the source can't deliver what a stop needs.
    """
    beside = file.absolute().parent
    patches = source.patches(cluster, beside)
    goal = {**releases, **supply.versions}
    if lost := tuple(faults(releases, goal, patches)):
        return (), lost
    moves = tuple(_clusters(cluster, releases, goal, patches))
    if astray := tuple(_astray(cluster, moves)):
        return (), astray
    stops = []
    for move, then in moves:
        if then is cluster:
            brought = supply
        elif fetches or move.part == NODES or at_hand(then, beside=beside, arch=arch):
            brought = await _fetched(move, then, beside, emit, arch)
        else:
            of = then.versions
            brought = promised(supply, {"kubernetes": of.kubernetes, "etcd": of.etcd or goal["etcd"]})
        stops.append(Stop(move, then, brought, table(move.versions["kubernetes"])))
    return tuple(stops), ()


async def _fetched(move: Move, then: Cluster, beside: Path, emit: Emit, arch: str) -> Supply:
    try:
        return await resolve(then, lambda text: emit(Said(text)), beside=beside, arch=arch)
    except ArtifactError as error:
        error.message = f"{move.part} {move.version} is on the way: {error.message}"
        raise


def _clusters(
    cluster: Cluster, releases: Mapping[str, str], goal: Mapping[str, str], patches: Mapping[str, str]
) -> Iterator[tuple[Move, Cluster]]:
    """All moves, each with the cluster at the versions of then: the file's own where they are the goal."""
    for move in way(releases, goal, patches):
        versions = dict(move.versions)
        if move.part != ETCD and goal["etcd"] in table(versions["kubernetes"]).etcd_range:
            # It stays what it is, and the source may not have that any more.
            versions["etcd"] = goal["etcd"]
        # Nodes that go ahead of the goal keep the runtime that they have.
        is_goal = _is_goal(versions, goal)
        yield move, cluster if is_goal else cluster_at(cluster, versions, pinned=move.part == NODES)


def _astray(cluster: Cluster, moves: Sequence[tuple[Move, Cluster]]) -> Iterator[Fault]:
    """What the file says that a release on the way does not know, each once."""
    seen = set[Fault]()
    for move, then in moves:
        if then is cluster:
            continue
        for fault in rules.check(then, runs=True, offline=True):
            why = f"{place(fault.where)} {fault.rule}, and {move.part} {move.version} is on the way"
            found = ("kubernetes", why, fault.fix)
            if found not in seen:
                seen.add(found)
                yield found


def _is_goal(versions: Mapping[str, str], goal: Mapping[str, str]) -> bool:
    return all(versions[part] == goal[part] for part in ("kubernetes", "etcd"))


def demand_same(known: Record | None, releases: Mapping[str, str], supply: Supply) -> None:
    """Refuse another wish in the middle of an upgrade; back to what ran is possible in its first stage alone.

    Raises PlanError.
    """
    if known is None or known.kind != upgrade.NAME:
        return
    begun = {part: str(told["version"]) for part, told in known.releases.items()}
    other = [part for part in WISHED if supply.versions.get(part, "") != begun.get(part, "")]
    back = not differs(releases, supply)
    if not other or (back and known.stage in ("", *known.stages[:1])):
        return
    told = ", ".join(f'{part}: "{begun[part]}"' for part in other if part in begun)
    raise PlanError(
        f"an upgrade began at {known.began} and has not ended, at stage {known.stage} of {', '.join(known.stages)}: "
        f"the file now asks for {'what ran before it' if back else 'something else'}",
        f"write {told} under `versions`, and `quorate apply` ends it; then the next one. Only a backup leads back",
    )
