"""Edges: derived from what resources are, so that authors write none; unique keys; no cycles."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from quorate.core import Key, PlanError
from quorate.plan.gate import Gate, Turn, gate
from quorate.resource.block import Block
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.package import Packages
from quorate.resource.resource import Company, Resource
from quorate.resource.system import User
from quorate.resource.unit import Ready, Unit


@dataclass(frozen=True, eq=False)
class Part:
    """The resources of one component on one host, in the order in which its author yields them."""

    component: str
    host: str
    resources: tuple[Resource, ...]
    worker: str = ""
    """Where it is done by another host for this one: whose turn it is."""

    @cached_property
    def proofs(self) -> frozenset[Key]:
        """What tells others that this part works: its Ready resources, or all its active resources when it has none."""
        ready = [resource for resource in self.resources if isinstance(resource, Ready)]
        found = [resource for resource in ready if not resource.own] if ready else self.resources
        return frozenset(resource.key for resource in found if not resource.passive)

    @cached_property
    def acts(self) -> frozenset[Key]:
        """All that acts, not the proofs alone: keepalived comes after its balancer's proof, and who waits for a part
        is proven anew when something of it changed, not when its proof was.
        """
        return frozenset(resource.key for resource in self.resources if not resource.passive)

    @property
    def alone(self) -> bool:
        """Whether it serves its own host and nobody else: its proof is told nobody."""
        return any(isinstance(resource, Ready) for resource in self.resources) and not self.proofs

    @property
    def done(self) -> Key:
        """The gate that opens when all of the part on its host is done."""
        return gate(self.component, self.host)


@dataclass(frozen=True)
class After:
    """What a component comes after."""

    here: tuple[str, ...] = ()
    """Components of the same host, if it has them: with all that they are."""
    everywhere: Mapping[str, int | None] = field(default_factory=dict)
    """Components of all hosts, and on how many of them they must be proven; None: on all."""
    felt: bool = False
    """It is a service that others feel when it is restarted: who comes after it on its host is proven anew."""


@dataclass(eq=False)
class Graph:
    """What each thing and each gate needs."""

    needs: dict[Key, set[Key]] = field(default_factory=dict)
    gates: dict[Key, Gate] = field(default_factory=dict)
    turns: dict[Key, Turn] = field(default_factory=dict)
    """Of what has to wait for its turn: which one that is."""

    def open(
        self, key: Key, needs: Iterable[Key], enough: int | None = None, *, followed: bool = False, turn: bool = False
    ) -> Key:
        """Add a gate, which opens when `enough` of its needs are done; None: all, and so if there are not as many."""
        self.needs[key] = set(needs)
        count = len(self.needs[key])
        self.gates[key] = Gate(count if enough is None else min(enough, count), followed, turn)
        return key


def _on_disk(resources: Sequence[Resource], needs: dict[Key, set[Key]]) -> None:
    """Directory -> what lies in it; user -> what it owns; file -> the unit that loads it; packages first.

    A file that is tried before it is placed comes after the others that its unit loads.
    """
    folders = {resource.path: resource.key for resource in resources if isinstance(resource, Directory)}
    # One package manager, one lock.
    packages = [resource.key for resource in resources if isinstance(resource, Packages)]
    for earlier, later in pairwise(packages):
        needs[later].add(earlier)
    users = {resource.user: resource.key for resource in resources if isinstance(resource, User)}
    files = {
        resource.path: resource.key for resource in resources if isinstance(resource, File | Binary | Symlink | Block)
    }
    trials = {resource.key for resource in resources if isinstance(resource, File) and resource.trial}
    for resource in resources:
        key = resource.key
        if isinstance(resource, File | Directory | Symlink | Binary):
            parent = resource.path
            while parent := parent.rpartition("/")[0]:
                if parent in folders:
                    needs[key].add(folders[parent])
                    break
        if isinstance(resource, File | Directory) and (user := users.get(resource.owner.split(":")[0])):
            needs[key].add(user)
        if isinstance(resource, Unit):
            loads = {files[path] for path in resource.loads if path in files}
            needs[key] |= loads
            for tried in loads & trials:
                needs[tried] |= loads - trials


def edges(
    parts: Sequence[Part], after: Mapping[str, After], running: Collection[tuple[str, str]] = frozenset()
) -> Graph:
    """All needs of all resources: explicit, on disk, within a part, and between components.

    What is of one host waits for that host alone; where it waits for others, it waits at a gate. `running` are
    components and hosts that serve already. Raises PlanError when two resources have one key.
    """
    graph = Graph()
    by_host: dict[str, list[Resource]] = defaultdict(list)
    for part in parts:
        by_host[part.host] += part.resources
    for resources in by_host.values():
        for resource in resources:
            if resource.key in graph.needs:
                raise PlanError(f"two resources are named {resource.key}", keys=(resource.key,))
            graph.needs[resource.key] = set()
        _on_disk(resources, graph.needs)
    known = frozenset(graph.needs)
    _ends(parts, after, graph)
    proofs = _proofs(parts, graph)
    for part in parts:
        before = {key for name in after[part.component].here if (key := gate(name, part.host)) in graph.gates}
        before |= set(_meetings(after[part.component], proofs, running, graph))
        _within(part, before, known, graph, runs=(part.component, part.host) in running)
    return graph


def _ends(parts: Sequence[Part], after: Mapping[str, After], graph: Graph) -> None:
    """The gate of each component on each host that opens when all of it is done there."""
    ends: dict[tuple[str, Key], set[Key]] = defaultdict(set)
    for part in parts:
        ends[part.component, part.done] |= {resource.key for resource in part.resources}
    for (component, key), resources in ends.items():
        graph.open(key, resources, followed=after[component].felt)


def _proofs(parts: Sequence[Part], graph: Graph) -> Mapping[str, Mapping[str, Key]]:
    """By component and host: the gate that opens when the component is proven there."""
    keys: dict[str, dict[str, set[Key]]] = defaultdict(lambda: defaultdict(set))
    for part in parts:
        if part.proofs:
            keys[part.component][part.host] |= part.acts
    return {
        component: {
            host: graph.open(gate(f"{component} proven", host), found, followed=True) for host, found in hosts.items()
        }
        for component, hosts in keys.items()
    }


def _meetings(
    after: After, proofs: Mapping[str, Mapping[str, Key]], running: Collection[tuple[str, str]], graph: Graph
) -> Iterator[Key]:
    """The gates of the cluster at which a component waits; each is there once, whoever waits at it."""
    for name, enough in after.everywhere.items():
        if found := proofs.get(name):
            key = gate(f"{name} on {'all' if enough is None else enough}")
            if key not in graph.gates:
                graph.open(key, found.values(), enough, followed=True)
                standing = frozenset(proof for host, proof in found.items() if (name, host) in running)
                graph.gates[key] = replace(graph.gates[key], standing=standing)
            yield key


def _within(part: Part, before: set[Key], known: frozenset[Key], graph: Graph, *, runs: bool) -> None:
    """The needs of one part: what acts comes after all that its author yields earlier, and after other parts.

    Where the part `runs`, its files wait for others as well: a reboot between must not start what is not due yet.
    """
    earlier: set[Key] = set()
    for resource in part.resources:
        needs = graph.needs[resource.key]
        needs |= resource.needs & known
        needs |= {_company(each, known, graph) for each in resource.company}
        if not resource.passive:
            needs |= earlier | before
        elif isinstance(resource, File | Directory) and resource.owner.split(":")[0] != "root":
            needs |= {key for key in earlier if key.kind == Packages.kind}
        if isinstance(resource, File) and resource.trial:
            needs |= earlier
        if runs and not isinstance(resource, User):
            needs |= before
        needs.discard(resource.key)
        if not resource.apart:
            earlier.add(resource.key)


def _company(company: Company, known: frozenset[Key], graph: Graph) -> Key:
    keys = sorted(company.keys & known)
    key = gate(f"{company.enough} of {', '.join(map(str, keys))}")
    if key not in graph.gates:
        graph.open(key, keys, company.enough, followed=True)
    return key


@dataclass(frozen=True)
class Lane:
    """Parts of hosts that change in turn, those of a host together."""

    name: str
    strict: bool
    """One that fails stops all that come after it. Else only the canaries do: of what serves its own host alone, the
    next takes nothing from others."""
    width: int = 1
    """How many hosts may change at once."""
    canaries: int = 1
    """How many go before, one after the other."""


def in_turn(
    graph: Graph,
    lane: Lane,
    stopped: Sequence[Sequence[Part]],
    running: Sequence[Sequence[Part]],
    joining: Sequence[Sequence[Part]] = (),
) -> None:
    """Let parts that run change host after host, each proven before the next. A sequence of parts is what one host has.

    Stopped parts wait for nobody (starting one takes nothing away, and quorum may need it); the first
    running host waits for them, each further one for the one before it; then those join that have to be let in,
    one by one too, though their files may lie there before.
    """
    before: list[Key] = []
    if proven := {key for parts in stopped for part in parts for key in part.proofs}:
        first = gate(f"{lane.name}: those that stood still")
        before = [graph.open(first, proven, None if lane.strict else 0, turn=True)]
    overs: list[Key] = []
    for number, parts in enumerate((*running, *joining)):
        ahead = number - (1 if number < lane.canaries else lane.width)
        canaries = () if lane.strict else overs[: lane.canaries]
        mine = Turn(lane.name, parts[0].host, lane.strict)
        turns = {*canaries, *(before if not overs else ()), *(overs[ahead : ahead + 1] if ahead >= 0 else ())}
        for resource in (resource for part in parts for resource in part.resources):
            # A user is nothing that a service reads anew, and other parts of the host own files as him.
            if (number < len(running) and not isinstance(resource, User)) or not resource.passive:
                graph.needs[resource.key] |= turns
                graph.turns[resource.key] = mine
        acts = {key for part in parts for key in part.acts}
        enough = None if lane.strict or number < lane.canaries else 0
        overs.append(graph.open(gate(f"{lane.name} is over", parts[0].host), acts, enough, turn=True))


def ahead(graph: Graph, first: Part, others: Sequence[Part]) -> None:
    """Let one part of a component start alone; the others, whose files may lie there before, follow all at once when
    it is proven, or can't be.
    """
    over = graph.open(gate(f"{first.component} goes ahead"), first.proofs, 0, turn=True)
    for resource in (resource for part in others for resource in part.resources if not resource.passive):
        graph.needs[resource.key].add(over)


def topological_order(needs: Mapping[Key, Iterable[Key]]) -> list[Key]:
    """All keys, needs first; the same for any order of the input. Raises PlanError on a circle."""
    sorter: TopologicalSorter[Key] = TopologicalSorter({key: sorted(needs[key]) for key in sorted(needs)})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        raise PlanError("needs go round in a circle", keys=tuple(error.args[1])) from error
