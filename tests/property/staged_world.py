"""Hosts in memory, on which the stages of an operation are walked one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from past_clusters import NUMBERS, THREE, E, L, M, W, cluster, member, without
from worlds import secrets, supply

from quorate.component.context import Context
from quorate.core import Key, State
from quorate.execute.schedule import Schedule
from quorate.operation import change
from quorate.operation.stage import Stage
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.staged import foreseen, later
from quorate.plan.step import Step, difference
from quorate.resource.file import Binary, File
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Endpoint, LoadBalancer
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.leaving import everybody
from quorate.spec.secrets import Secrets
from quorate.spec.versions import table
from quorate.state.subnets import Subnets, allocate

MIXED = {"m1": (M, E, L, W), "m2": (M, E), "m3": (M, E, L), "n1": (W,), "n2": (W,)}
VIP = Endpoint(vip="10.0.9.100", port=8443)  # type: ignore[arg-type]
CLUSTERS: Mapping[str, Cluster] = {
    "three": cluster(THREE),
    "without a worker": cluster(without("n2")),
    "with another worker": cluster({**THREE, "n3": (W,)}),
    "without a master": cluster({**without("m3"), "n1": (W, E)}),
    "another address": cluster(THREE, vip="10.0.9.101"),
    "a name": cluster(THREE, endpoint=Endpoint(vip="10.0.9.100", port=6443, name="api.example")),  # type: ignore[arg-type]
    "haproxy": cluster(THREE, load_balancer=LoadBalancer(kind="haproxy")),
    "a master alone": cluster({"m1": (M, E), "n1": (W,), "n2": (W,)}, endpoint=Endpoint()),
    "mixed": cluster(MIXED, endpoint=VIP),
    "mixed, each its own": cluster(MIXED, endpoint=Endpoint(local=True)),
    "mixed, haproxy, another port": cluster(
        MIXED,
        endpoint=Endpoint(vip="10.0.9.100", port=9443),  # type: ignore[arg-type]
        load_balancer=LoadBalancer(kind="haproxy"),
    ),
}
SUPPLY = supply("1.20.2", "containerd", images=False)
SECRETS = secrets(cluster(dict.fromkeys(NUMBERS, (M, E, W, L))))


class Stopped(Exception):
    """The run ends here."""


@dataclass
class World:
    """Hosts as the states of their things, and what an operator's state folder knows of them."""

    now: Cluster
    states: dict[Key, State] = field(default_factory=dict)
    loaded: dict[Key, Mapping[str, State]] = field(default_factory=dict)
    former: tuple[Cluster, ...] = ()
    established: Cluster | None = None
    absent: frozenset[str] = frozenset()
    behind: dict[str, tuple[Cluster, ...]] = field(default_factory=dict)
    before: Callable[[Key], None] = lambda key: None
    """Told each step before it is done; may raise Stopped."""
    did: list[tuple[str, Key]] = field(default_factory=list)
    resources: dict[Key, Resource] = field(default_factory=dict)
    """What was done last to each thing."""
    secrets: Secrets = SECRETS
    _cidrs: Subnets = field(default_factory=lambda: Subnets({}, {}))

    def context(self) -> Context:
        """What a look at the hosts tells."""
        there = everybody(self.now, self.former)
        known = (self.established or self.now).members
        hosts = {}
        for host in there.hosts:
            if host.name in self.absent:
                continue
            data = Key(host.name, "unit", "etcd.service") in self.states
            units = {key.name for key in self.states if key.host == host.name and key.kind == Unit.kind}
            hosts[host.name] = HostFacts(
                machine_id=f"id-{host.name}",
                etcd_member=data,
                members=tuple(member(each.name) for each in known) if data and self.established else (),
                running=frozenset(units),
            )
        self._cidrs = Subnets(allocate(there, self._cidrs).given, {})
        return Context(
            self.now,
            Facts(hosts, dict(self._cidrs.given)),
            SUPPLY,
            self.secrets,
            table("1.20.2"),
            established=self.established,
            former=self.former,
            behind=self.behind,
            absent=self.absent,
        )

    def look(self, resource: Resource, files: Mapping[tuple[str, str], Resource]) -> State:
        """What is known of a thing."""
        if isinstance(resource, Removal):
            left = any(each.key in self.states for each in resource.resources if each.traces)
            return {"removed": "no" if left else "yes"}
        state = self.states.get(resource.key, {})
        if isinstance(resource, Unit) and state and resource.loads:
            state = {
                **state,
                "loaded": "current" if self._read(resource, files) == self.loaded.get(resource.key) else "old",
            }
        return state

    def _read(self, unit: Unit, files: Mapping[tuple[str, str], Resource]) -> Mapping[str, State]:
        keys = {path: files[unit.host, path].key for path in unit.loads if (unit.host, path) in files}
        return {path: self.states.get(key, {}) for path, key in keys.items()}

    def stages(self) -> tuple[Stage, ...]:
        """What is walked."""
        return change.stages(self.context())

    def apply(self) -> None:
        """All stages to the end. Raises Stopped where `before` does."""
        self.former = (*(was for was in self.former if was != self.now), self.now)
        stages = self.stages()
        number = 0
        while number < len(stages):
            self._walk([compile_stage(stage) for stage in stages[number:]])
            names = [stage.name for stage in stages[number + 1 :]]
            stages = self.stages()
            number = next((n for n, stage in enumerate(stages) if stage.name in names), len(stages))
        olds = tuple(was for was in self.former if was != self.now)
        self.behind = {host: (*self.behind.get(host, ()), *olds) for host in self.absent}
        self.former, self.established = (self.now,), self.now

    def _walk(self, compiled: list[Compiled]) -> None:
        now, rest = compiled[0], later(compiled[0], compiled[1:])
        files = files_of(now)
        resources = {resource.key: resource for stage in (now, *rest) for resource in stage.resources}
        plan, _ = foreseen(now, rest, {key: self.look(resource, files) for key, resource in resources.items()})
        order = Schedule(plan)
        wanted = {resource.key: resource.desired for stage in rest for resource in stage.resources}
        while ready := [key for found in order.ready.values() for key in found]:
            for step in order.start(*ready):
                changed = bool(difference(step.resource.desired, self.look(step.resource, files)))
                self.before(step.key)
                self._do(step, wanted.get(step.key), files)
                self.did.append((now.stage, step.key))
                order.close(step.key, changed=changed)
        assert not order.rest, "something waits for ever"

    def _do(self, step: Step, wanted: State | None, files: Mapping[tuple[str, str], Resource]) -> None:
        resource = step.resource
        if isinstance(resource, Removal):
            for each in resource.resources:
                self.states.pop(each.key, None)
            return
        early = wanted is not None and not difference(wanted, self.states.get(resource.key, {}))
        assert not (early and step.diff) or isinstance(resource, Unit), f"{resource.key} is taken back"
        self.states[resource.key], self.resources[resource.key] = dict(resource.desired), resource
        if isinstance(resource, Unit):
            self.loaded[resource.key] = self._read(resource, files)


def files_of(compiled: Compiled) -> dict[tuple[str, str], Resource]:
    return {
        (resource.host, resource.path): resource
        for resource in compiled.resources
        if isinstance(resource, File | Binary)
    }


def built(name: str) -> World:
    """Hosts on which a cluster was built."""
    world = World(CLUSTERS[name])
    world.apply()
    at_goal(world)
    return world


def at_goal(world: World) -> None:
    """All is as the file says, nothing of another cluster is left, and there is nothing more to do."""
    (stage, *rest) = (compile_stage(stage) for stage in change.stages(world.context()))
    assert rest == [] or world.absent
    files = files_of(stage)
    # What watches others has something to do when they have.
    for resource in (resource for resource in stage.resources if not resource.watches):
        assert not difference(resource.desired, world.look(resource, files)), resource.key
    if not world.absent:
        known = {resource.key for resource in stage.resources}
        left = [
            key for key in world.states if key not in known and (world.resources[key].traces or key.kind == Unit.kind)
        ]
        assert left == [], "something of a former cluster is left"


def stopped(world: World, at: int) -> None:
    """Apply, stopped before a step; to the end, if it has fewer."""
    left = [at]

    def count(_key: Key) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    world.before = count
    try:
        world.apply()
    except Stopped:
        pass
    finally:
        world.before = lambda key: None
