"""The way from the versions that run to those that are wanted: what moves when, and what no way leads to.

API servers climb minor by minor. etcd goes up by lines, each as early as the API servers on both sides of a climb bear
it. Nodes come last, and before only where their kubelets would be too old for the next API server: so several minors
cost one drain.
Sources: kubernetes.io, "Version Skew Policy"; etcd's upgrade guides (one minor at a time; all members at 3.5.32 before
3.6, at 3.6.11 before 3.7); containerd's RELEASES.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from quorate.spec.cluster import Cluster
from quorate.spec.versions import kubelet_fits, parts, table
from quorate.spec.versions_data import MINORS

Part = Literal["etcd", "control plane", "nodes"]
ETCD: Part = "etcd"
CONTROL: Part = "control plane"
NODES: Part = "nodes"
ON_NODES = ("containerd", "docker", "runc", "cni_plugins", "crictl")
"""Parts that a worker changes in the same drain as its kubelet."""
ETCD_FLOORS: Mapping[tuple[int, ...], str] = {(3, 6): "3.5.32", (3, 7): "3.6.11"}
"""What all members must run before the first one goes to a line."""


@dataclass(frozen=True)
class Move:
    """One part goes from one version to another, on all its hosts."""

    part: Part
    versions: Mapping[str, str]
    """Of all parts, as of when it is done."""

    @property
    def version(self) -> str:
        """What it goes to."""
        return self.versions["etcd" if self.part == ETCD else "kubernetes"]


def way(now: Mapping[str, str], goal: Mapping[str, str], patches: Mapping[str, str]) -> tuple[Move, ...]:
    """All moves in their order, for versions that `faults` has nothing against.

    `patches` has the release to stop at by minor, for those that lie between.
    """
    at, nodes, found = dict(now), now["kubernetes"], list[Move]()
    for stop in stops(now["kubernetes"], goal["kubernetes"], patches):
        if not kubelet_fits(stop, nodes):
            nodes = at["kubernetes"]
            found.append(Move(NODES, dict(at)))
        found += _climbed(at, goal["etcd"], (at["kubernetes"], stop), stop)
        at["kubernetes"] = stop
        found.append(Move(CONTROL, dict(at)))
    found += _climbed(at, goal["etcd"], (at["kubernetes"],), at["kubernetes"])
    if nodes != goal["kubernetes"] or any(now.get(part) != goal.get(part) for part in ON_NODES):
        found.append(Move(NODES, dict(goal)))
    return tuple(found)


def _climbed(at: dict[str, str], goal: str, beside: Sequence[str], supply: str) -> Iterator[Move]:
    """etcd's moves as far as API servers of these versions bear them; they come with the programs of `supply`."""
    for release in etcd_stops(at["etcd"], goal):
        if not all(release in table(each).etcd_range for each in beside):
            return
        at["etcd"] = release
        yield Move(ETCD, {**at, "kubernetes": supply})


def stops(now: str, goal: str, patches: Mapping[str, str]) -> tuple[str, ...]:
    """The releases of Kubernetes at which API servers stop on their way, the goal last; none where nothing changes."""
    if now == goal:
        return ()
    return (*(patches[minor] for minor in between(now, goal) if minor in patches), goal)


def between(now: str, goal: str) -> tuple[str, ...]:
    """The minors that lie between two releases."""
    low, high = parts(now)[:2], parts(goal)[:2]
    return tuple(minor for minor in MINORS if low < parts(minor)[:2] < high)


def etcd_stops(now: str, goal: str) -> tuple[str, ...]:
    """The releases of etcd at which members stop on their way, the goal last; none where nothing changes."""
    if now == goal:
        return ()
    lines = {parts(minor.etcd)[:2]: minor.etcd for minor in MINORS.values()}
    found = [lines[line] for line in sorted(lines) if parts(now)[:2] < line < parts(goal)[:2]]
    later = parts(now)[:2] < parts(goal)[:2]
    floor = ETCD_FLOORS.get(parts((*found, goal)[0])[:2])
    if later and floor and parts(now) < parts(floor):
        found.insert(0, lines[parts(now)[:2]])
    return (*found, goal)


def faults(
    now: Mapping[str, str], goal: Mapping[str, str], patches: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """What no way leads to: part, why, and the fix."""
    was, wanted = now["kubernetes"], goal["kubernetes"]
    if parts(wanted)[:2] < parts(was)[:2]:
        yield (
            "kubernetes",
            f"{was} -> {wanted}: API servers do not go back by a minor, older ones do not read what newer ones wrote",
            f'write kubernetes: "{was}" under `versions`; a backup of before leads back (`quorate restore`)',
        )
        return
    if missing := [minor for minor in between(was, wanted) if minor not in patches]:
        yield (
            "kubernetes",
            f"{was} -> {wanted}: API servers skip no minor, and the artifact source has no {', '.join(missing)}",
            f"let it have one of {'each' if len(missing) > 1 else 'it'}, or name a version that lies nearer",
        )
        return
    yield from _etcd(now["etcd"], goal["etcd"], (was, *stops(was, wanted, patches)))
    yield from _containerd(now.get("containerd"), goal.get("containerd"))


def _etcd(now: str, goal: str, kubernetes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    if parts(goal) < parts(now):
        yield (
            "etcd",
            f"{now} -> {goal}: members do not go back",
            f'write etcd: "{now}" under `versions`; a backup of before leads back (`quorate restore`)',
        )
        return
    # As `way` climbs: what both sides bear, before each climb of the API servers.
    at = now
    for before, after in pairwise(kubernetes):
        for release in etcd_stops(at, goal):
            if release not in table(before).etcd_range or release not in table(after).etcd_range:
                break
            at = release
        if at not in table(after).etcd_range:
            yield (
                "etcd",
                f"{now} -> {goal}: Kubernetes {after} wants {table(after).etcd_range}, and {before} bears at most {at}",
                f"go to etcd {etcd_stops(at, goal)[0] if at != goal else 'of that range'} first, or by another minor",
            )
            return
    for release in etcd_stops(at, goal):
        if release not in table(kubernetes[-1]).etcd_range:
            yield (
                "etcd",
                f"{now} -> {goal}: {release} lies on the way, and Kubernetes {kubernetes[-1]} does not go with it",
                f"name an etcd of {table(kubernetes[-1]).etcd_range}",
            )
            return


def _containerd(now: str | None, goal: str | None) -> Iterator[tuple[str, str, str]]:
    if not now or not goal or now == goal:
        return
    if parts(goal)[:2] < parts(now)[:2]:
        yield (
            "containerd",
            f"{now} -> {goal}: an older one does not know what a newer one has started",
            f'write containerd: "{now}" under `versions`',
        )
    elif parts(now)[:2] < (1, 7) and parts(goal)[0] > 1:
        yield (
            "containerd",
            f"{now} -> {goal}: from before 1.7 nobody has tried that",
            "write containerd 1.7 first, apply, and then this",
        )


def cluster_at(cluster: Cluster, versions: Mapping[str, str], pinned: bool) -> Cluster:
    """The cluster at other versions: of Kubernetes and etcd, and of the rest where it is `pinned` to them; else what
    goes with them.
    """
    given = cluster.versions
    fits = {"kubernetes": versions["kubernetes"], "etcd": versions["etcd"]}
    rest = {part: versions.get(part) for part in type(given).model_fields if part not in fits}
    return cluster.model_copy(update={"versions": given.model_copy(update={**(rest if pinned else {}), **fits})})
