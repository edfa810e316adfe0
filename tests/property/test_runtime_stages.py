"""From Docker to containerd and back on hosts in memory: every way ends at the goal, and no node has pods of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from past_clusters import THREE, E, M, W, cluster, context, ids
from staged_world import Stopped, World, at_goal, stopped
from worlds import DOCKER, supply

from quorate.component.context import Context
from quorate.core import Key, State
from quorate.operation import change, runtimes, upgrade
from quorate.operation.stage import Stage
from quorate.plan import guard
from quorate.plan.step import Step
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.file import File
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Rollout, Runtime
from quorate.spec.versions import table

KUBELET = "kubelet.service"
some = settings(
    max_examples=15,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
HOSTS = {"three": THREE, "masters with pods": {"m1": (M, E, W), "m2": (M, E, W), "m3": (M, E), "n1": (W,)}}
kinds = st.permutations(["docker", "containerd"])
hosts = st.sampled_from(sorted(HOSTS))


def of(kind: str, name: str = "three", **more: object) -> Cluster:
    return cluster(HOSTS[name], runtime=Runtime(kind=kind), **more)  # type: ignore[arg-type]


@dataclass
class Nodes(World):
    """Hosts whose kubelets start pods by one of two runtimes."""

    pods: dict[str, set[str]] = field(default_factory=dict)
    """By host, the runtimes that have pods there."""
    drained: set[str] = field(default_factory=set)
    files: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """Of all stages: what a service loads may be of a part that is not asked."""

    def context(self) -> Context:
        given = super().context()
        brought = supply("1.20.2", self.now.runtime.kind, images=True)
        mine = {name: blob for name, blob in brought.binaries.items() if name not in DOCKER}
        kept = brought.binaries if self.now.runtime.kind == "docker" else mine
        return replace(given, supply=replace(brought, binaries=kept), minor=table("1.20.2"))

    def stages(self) -> tuple[Stage, ...]:
        given = self.context()
        return (runtimes if runtimes.former(given) else change).stages(given)

    def runtime(self, host: str) -> str:
        """That which a host's kubelet was started for."""
        unit = self.resources[Key(host, "file", f"/etc/systemd/system/{KUBELET}")]
        assert isinstance(unit, File)
        return "containerd" if "--container-runtime" in unit.content else "docker"

    def look(self, resource: Resource, files: Mapping[tuple[str, str], Resource]) -> State:
        self.files |= files
        if isinstance(resource, Drained):
            return {"drained": "yes" if resource.node in self.drained else "no"}
        if isinstance(resource, Uncordoned):
            return {"cordon": "ours" if resource.node in self.drained else "none of ours"}
        return super().look(resource, self.files)

    def _do(self, step: Step, wanted: State | None, files: Mapping[tuple[str, str], Resource]) -> None:
        resource, host = step.resource, step.resource.host
        super()._do(step, wanted, self.files)
        if isinstance(resource, Drained):
            self.drained.add(resource.node)
        elif isinstance(resource, Uncordoned):
            self.drained.discard(resource.node)
        elif isinstance(resource, Unit) and resource.unit == KUBELET:
            now, was = self.runtime(host), self.pods.setdefault(host, set())
            if was and now not in was:
                assert host in self.drained, f"{host} is not drained"
                assert resource.between, f"pods of {was} are left on {host}"
                assert self.states[Key(host, "unit", f"{now}.service")]
                missing = [key for key in self.states if key.kind == "image" and key.host == host]
                assert missing, "images come before"
            self.pods[host] = {now}
        elif isinstance(resource, Removal):
            gone = {each.unit for each in resource.resources if isinstance(each, Unit)}
            assert not any(f"{kind}.service" in gone for kind in self.pods.get(host, ())), f"pods on {host} lose theirs"


def built(kind: str, name: str = "three", **more: object) -> Nodes:
    world = Nodes(of(kind, name, **more))
    world.apply()
    at_goal(world)
    return world


def gone_over(world: Nodes) -> None:
    at_goal(world)
    assert world.pods == {host.name: {world.now.runtime.kind} for host in world.now.workers}
    assert not world.drained
    assert not [key for key in world.states if key.name == "docker.service" and world.now.runtime.kind != "docker"]


@some
@given(kinds, hosts)
def test_it_ends_at_its_goal_in_three_stages(pair: list[str], name: str) -> None:
    world = built(pair[0], name)
    did = len(world.did)
    world.now = of(pair[1], name)
    world.apply()
    gone_over(world)
    names = list(dict.fromkeys(stage for stage, _ in world.did[did:]))
    # Nothing of containerd goes: Docker runs upon it.
    last = [change.JOIN] if pair[1] == "containerd" else []
    assert names == [f"bring {pair[1]}", f"nodes to {pair[1]}", *last]


@some
@given(kinds, hosts, st.integers(0, 60), st.integers(0, 60))
def test_a_run_that_stops_anywhere_goes_on(pair: list[str], name: str, first: int, second: int) -> None:
    world = built(pair[0], name)
    world.now = of(pair[1], name)
    for at in (first, second):
        stopped(world, at)
    world.apply()
    gone_over(world)


@some
@given(kinds, hosts, st.integers(0, 100))
def test_the_way_back_from_anywhere_drains_no_node_that_has_not_gone_over(pair: list[str], name: str, at: int) -> None:
    world = built(pair[0], name)
    world.now = of(pair[1], name)
    stopped(world, at)
    went, did = {host for host, kinds in world.pods.items() if kinds != {pair[0]}}, len(world.did)
    cordoned = set(world.drained)
    world.now = of(pair[0], name)
    if world.established and world.established.runtime.kind == pair[1]:
        return  # It had come to its end.
    world.apply()
    gone_over(world)
    assert {key.name for _, key in world.did[did:] if key.kind == Drained.kind} <= went | cordoned


def test_a_host_that_was_away_goes_over_when_it_returns() -> None:
    world = built("docker")
    world.now, world.absent = of("containerd"), frozenset({"n1"})
    world.apply()
    assert world.pods == {"n1": {"docker"}, "n2": {"containerd"}}
    world.absent = frozenset()
    world.apply()
    gone_over(world)


def test_docker_stays_where_the_file_wants_it() -> None:
    world = built("docker")
    had = {key for key in world.states if key.host == "n1" and "docker" in key.name}
    world.now = cluster(THREE, runtime=Runtime(keep_docker=True))
    world.apply()
    assert had <= {*world.states}
    assert world.pods == {"n1": {"containerd"}, "n2": {"containerd"}}


@pytest.mark.parametrize("wish", [Rollout(), Rollout(drain=True)])
def test_each_node_is_drained_once(wish: Rollout) -> None:
    world = built("docker", rollout=wish)
    did = len(world.did)
    world.now = of("containerd", rollout=wish)
    world.apply()
    gone_over(world)
    drains = [key.name for _, key in world.did[did:] if key.kind == Drained.kind]
    assert drains == ["n1", "n2"]


def test_one_node_goes_over_before_the_next_is_drained() -> None:
    world = built("docker")
    world.now = of("containerd")

    def only_one(key: Key) -> None:
        if key.kind == Drained.kind and key.name == "n2" and world.pods["n1"] != {"containerd"}:
            raise Stopped

    world.before = only_one
    world.apply()
    gone_over(world)


def said(now: Cluster, was: Cluster, **more: object) -> str:
    given = replace(built_of(was), cluster=now, **more)  # type: ignore[arg-type]
    assert runtimes.former(given) == was.runtime.kind
    return "\n".join(str(each) for each in guard.refusals(given, ids(now), runtimes))


def built_of(was: Cluster) -> Context:
    given = context(was)
    return replace(given, established=was, former=(was,))


def test_what_is_refused() -> None:
    was = of("docker")
    assert said(of("containerd"), was) == ""
    assert said(of("docker"), of("containerd")) == ""
    more = cluster({**THREE, "n3": (W,)}, runtime=Runtime())
    assert "another hosts: a change of runtime changes nothing else" in said(more, was)
    chosen = cluster(THREE, runtime=Runtime(data_dir="/data/c"))
    assert "containerd's folder is /data/c, and below Docker /var/lib/containerd" in said(chosen, was)
    assert "it can't be exchanged" in said(of("docker"), chosen)
    data = cluster(THREE, runtime=Runtime(kind="docker", data_dir="/data/d"))
    assert said(of("containerd"), data) == ""


def test_in_the_middle_of_something_else_it_is_refused() -> None:
    given = replace(built_of(of("docker")), cluster=of("containerd"))
    for operation, words in ((change, "not in the middle of something else"), (upgrade, "change the runtime first")):
        told = "\n".join(str(each) for each in guard.refusals(given, ids(given.cluster), operation))
        assert words in told


def test_readers_are_told_what_changes_for_users() -> None:
    given = replace(built_of(of("docker")), cluster=of("containerd"))
    told = "\n".join(runtimes.told(given))
    for words in ("`docker ps` shows no pods", "no JSON lines", "/var/run/docker.sock", "Docker goes with its images"):
        assert words in told
    stays = replace(given, cluster=cluster(THREE, runtime=Runtime(keep_docker=True)))
    assert "Docker stays on its hosts as it is" in "\n".join(runtimes.told(stays))
