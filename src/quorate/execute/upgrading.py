"""The way of an upgrade, with what is installed at each stop of it."""

from collections.abc import Mapping
from pathlib import Path

from quorate.artifact.between import patches
from quorate.artifact.resolve import resolve
from quorate.component.context import Stop
from quorate.core import PlanError
from quorate.operation import upgrade
from quorate.report.event import Emit, Said
from quorate.spec import rules
from quorate.spec.cluster import Cluster
from quorate.spec.load import place
from quorate.spec.supply import Supply
from quorate.spec.upgrade_path import ETCD, NODES, cluster_at, faults, way
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
    return any(supply.versions.get(part, was) != was for part, was in releases.items() if part not in FOLLOWS)


async def find(
    cluster: Cluster, file: Path, releases: Mapping[str, str], supply: Supply, emit: Emit, arch: str
) -> tuple[tuple[Stop, ...], tuple[Fault, ...]]:
    """The stops, or what no way leads to. `releases` are the versions that run, `supply` is what the file asks for.

    Raises ArtifactError where the source can't deliver what a stop needs.
    """
    beside = file.absolute().parent
    between = patches(cluster, beside)
    goal = {**releases, **supply.versions}
    if lost := tuple(faults(releases, goal, between)):
        return (), lost
    stops, astray = list[Stop](), list[Fault]()
    for move in way(releases, goal, between):
        versions = dict(move.versions)
        if move.part != ETCD and goal["etcd"] in table(versions["kubernetes"]).etcd_range:
            # It stays what it is, and the source may not have that any more.
            versions["etcd"] = goal["etcd"]
        # Nodes that go ahead of the goal keep the runtime that they have.
        then = cluster if _is_goal(versions, goal) else cluster_at(cluster, versions, pinned=move.part == NODES)
        if then is not cluster:
            astray += [
                (
                    "kubernetes",
                    f"{place(fault.where)} {fault.rule}, and {move.part} {move.version} is on the way",
                    fault.fix,
                )
                for fault in rules.check(then, runs=True, offline=True)
            ]
        if astray:
            continue
        brought = supply
        if then is not cluster:
            brought = await resolve(then, lambda text: emit(Said(text)), beside=beside, arch=arch)
        stops.append(Stop(move, then, brought, table(move.versions["kubernetes"])))
    return tuple(stops), tuple(dict.fromkeys(astray))


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
