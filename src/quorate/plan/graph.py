"""Edges: derived from what resources are, so that authors write none; unique keys; no cycles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from quorate.core import Key, PlanError, Resource
from quorate.resource.block import Block
from quorate.resource.brick import Brick
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.package import Packages
from quorate.resource.system import User
from quorate.resource.unit import Ready, Unit


@dataclass(frozen=True)
class Part:
    """The resources of one component on one host, in the order in which its author yields them."""

    component: str
    host: str
    resources: tuple[Brick, ...]

    @property
    def gates(self) -> frozenset[Key]:
        """What tells others that this part works: its Ready bricks, or all its active bricks when it has none."""
        ready = [brick for brick in self.resources if isinstance(brick, Ready)]
        found = [brick for brick in ready if not brick.own] if ready else self.resources
        return frozenset(brick.key for brick in found if not brick.passive)


def _on_disk(bricks: Sequence[Brick]) -> dict[Key, set[Key]]:
    """Directory -> what lies in it; user -> what it owns; file -> the unit that loads it; packages first.

    A file that is tried before it is placed comes after the others that its unit loads.
    """
    needs: dict[Key, set[Key]] = {brick.key: set() for brick in bricks}
    folders = {brick.path: brick.key for brick in bricks if isinstance(brick, Directory)}
    # One package manager, one lock.
    packages = [brick.key for brick in bricks if isinstance(brick, Packages)]
    for earlier, later in pairwise(packages):
        needs[later].add(earlier)
    users = {brick.user: brick.key for brick in bricks if isinstance(brick, User)}
    files = {brick.path: brick.key for brick in bricks if isinstance(brick, File | Binary | Symlink | Block)}
    trials = {brick.key for brick in bricks if isinstance(brick, File) and brick.trial}
    for brick in bricks:
        if isinstance(brick, File | Directory | Symlink | Binary):
            parent = brick.path
            while parent := parent.rpartition("/")[0]:
                if parent in folders:
                    needs[brick.key].add(folders[parent])
                    break
        if isinstance(brick, File | Directory) and (user := users.get(brick.owner.split(":")[0])):
            needs[brick.key].add(user)
        if isinstance(brick, Unit):
            loads = {files[path] for path in brick.loads if path in files}
            needs[brick.key] |= loads
            for key in loads & trials:
                needs[key] |= loads - trials
    return needs


def edges(parts: Sequence[Part], after: Mapping[str, tuple[str, ...]]) -> dict[Key, frozenset[Key]]:
    """All needs of all resources: explicit, on disk, within a part, and between components.

    Raises PlanError when two resources have one key, or when needs go round in a circle.
    """
    bricks = [brick for part in parts for brick in part.resources]
    _unique(bricks)
    by_host: dict[str, list[Brick]] = defaultdict(list)
    for brick in bricks:
        by_host[brick.host].append(brick)
    needs: dict[Key, set[Key]] = {}
    for host_bricks in by_host.values():
        for later in (False, True):
            needs |= _on_disk([brick for brick in host_bricks if brick.later is later])
    gates: dict[str, set[Key]] = defaultdict(set)
    here: dict[tuple[str, str], set[Key]] = defaultdict(set)
    for part in parts:
        gates[part.component] |= part.gates
        here[part.component, part.host] |= {brick.key for brick in part.resources}
    for part in parts:
        earlier: set[Key] = set()
        before = {key for name in after[part.component] for key in gates[name]}
        before |= {key for name in after[part.component] for key in here[name, part.host]}
        for brick in part.resources:
            needs[brick.key] |= brick.needs
            if not brick.passive or brick.later:
                needs[brick.key] |= earlier | before
            elif isinstance(brick, File | Directory) and brick.owner.split(":")[0] != "root":
                needs[brick.key] |= {key for key in earlier if key.kind == Packages.kind}
            if isinstance(brick, File) and brick.trial:
                needs[brick.key] |= earlier
            earlier.add(brick.key)
    known = {brick.key for brick in bricks}
    result = {key: frozenset((wanted & known) - {key}) for key, wanted in needs.items()}
    order(result)
    return result


def serial(
    stopped: Sequence[Part],
    running: Sequence[Part],
    needs: Mapping[Key, frozenset[Key]],
    *,
    joining: Sequence[Part] = (),
) -> dict[Key, frozenset[Key]]:
    """Extra edges that let running parts of one component change one at a time, each proven first.

    Stopped parts wait for nobody (starting one takes nothing away, and quorum may need it); the first
    running part waits for them, each further one for the one before it; then those join that have to be let in,
    one by one too, though their files may lie there before.
    """
    extra = dict(needs)
    proven = frozenset(key for part in stopped for key in part.gates)
    for part in (*running, *joining):
        for brick in part.resources:
            if part in running or not brick.passive:
                extra[brick.key] = extra[brick.key] | proven
        # All that acts, not its gates alone: keepalived comes after the proof of its balancer, and two of them that
        # change at once would leave the address with nobody for a moment.
        proven = part.gates | {brick.key for brick in part.resources if not brick.passive}
    return extra


def ahead(first: Part, others: Sequence[Part], needs: Mapping[Key, frozenset[Key]]) -> dict[Key, frozenset[Key]]:
    """Extra edges that let one part of a component start alone; the others, whose files may lie there before, follow
    all at once when it is proven.
    """
    extra = dict(needs)
    for brick in (brick for part in others for brick in part.resources if not brick.passive):
        extra[brick.key] = extra[brick.key] | first.gates
    return extra


def order(needs: Mapping[Key, Iterable[Key]]) -> list[Key]:
    """All keys, needs first; the same for any order of the input. Raises PlanError on a circle."""
    sorter: TopologicalSorter[Key] = TopologicalSorter({key: sorted(needs[key]) for key in sorted(needs)})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        raise PlanError("needs go round in a circle", keys=tuple(error.args[1])) from error


def _unique(resources: Iterable[Resource]) -> None:
    seen: set[Key] = set()
    for resource in resources:
        if resource.key in seen:
            raise PlanError(f"two resources are named {resource.key}", keys=(resource.key,))
        seen.add(resource.key)
