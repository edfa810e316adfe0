"""All stages of a change, one after the other, on hosts in memory: every way through them ends at the goal."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from past_clusters import NUMBERS, E, W, cluster
from staged_world import CLUSTERS, World, at_goal, built, files_of, stopped

from quorate.core import Key
from quorate.operation import change
from quorate.operation.change import JOIN
from quorate.plan.compile import compile_stage
from quorate.plan.staged import foreseen
from quorate.plan.step import Plan
from quorate.spec.fewer_hosts import cluster_without

pairs = st.tuples(st.sampled_from(sorted(CLUSTERS)), st.sampled_from(sorted(CLUSTERS)))
some = settings(
    max_examples=12,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.mark.parametrize("name", sorted(CLUSTERS))
def test_a_cluster_is_built_in_one_stage(name: str) -> None:
    world = built(name)
    assert {stage for stage, _ in world.did} == {JOIN}


@some
@given(pairs)
def test_every_change_ends_at_its_goal(pair: tuple[str, str]) -> None:
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    world.apply()
    at_goal(world)


@some
@given(pairs, st.integers(0, 400), st.integers(0, 400))
def test_a_run_that_stops_anywhere_goes_on(pair: tuple[str, str], first: int, second: int) -> None:
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    for at in (first, second):
        stopped(world, at)
    world.apply()
    at_goal(world)


@some
@given(pairs, st.integers(0, 400))
def test_the_way_back_from_anywhere(pair: tuple[str, str], at: int) -> None:
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    stopped(world, at)
    world.now = CLUSTERS[pair[0]]
    world.apply()
    at_goal(world)


@some
@given(pairs, st.integers(0, 400))
def test_a_lost_state_folder(pair: tuple[str, str], at: int) -> None:
    """`adopt` brings back the file of the last whole apply, and the file of now is the operator's own."""
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    stopped(world, at)
    if world.established:
        world.former = (world.established,)
    world.apply()
    at_goal(world)


@some
@given(pairs, st.integers(0, 400), st.sampled_from(["n1", "n2", "m2", "b1"]))
def test_a_host_that_dies_in_the_middle_is_carried_through_when_it_returns(
    pair: tuple[str, str], at: int, dead: str
) -> None:
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    stopped(world, at)
    world.absent = frozenset({dead} if any(host.name == dead for host in world.now.hosts) else ())
    world.apply()
    others(world)
    world.absent = frozenset()
    world.apply()
    at_goal(world)


@some
@given(
    st.sampled_from(["three", "haproxy", "mixed", "mixed, each its own"]),
    st.sampled_from(["m1", "m2", "m3", "n1"]),
    st.integers(0, 400),
)
def test_a_dead_host_that_is_left_out_comes_back_as_a_new_one(name: str, dead: str, at: int) -> None:
    world = built(name)
    whole, member = world.now, world.now.host(dead).has(E)
    world.now, world.absent = cluster_without(whole, {dead}), frozenset({dead})
    stopped(world, at)
    world.apply()
    others(world)
    world.now, world.absent = whole, frozenset()
    done = len(world.did)
    stopped(world, at)
    world.apply()
    at_goal(world)
    aside, joined = (Key(dead, "setting", what) for what in ("data of a former member of etcd", "membership in etcd"))
    order = [key for _, key in world.did[done:] if key in (aside, joined)]
    assert (order[:1], order[-1:]) == (([aside], [joined]) if member else ([], []))


def others(world: World) -> None:
    """A host that is away does not keep the cluster unfinished: the others have nothing more to do."""
    did = len(world.did)
    world.apply()
    assert world.did[did:] == []


@some
@given(pairs, pairs, st.integers(0, 400))
def test_a_host_that_missed_several_changes(pair: tuple[str, str], then: tuple[str, str], at: int) -> None:
    world = built(pair[0])
    for name in (pair[1], *then):
        world.now = CLUSTERS[name]
        world.absent = frozenset({"n1"} if any(host.name == "n1" for host in world.now.hosts) else ())
        stopped(world, at)
        world.apply()
    world.absent = frozenset()
    world.apply()
    at_goal(world)


@some
@given(pairs, st.integers(0, 400))
def test_a_host_that_is_added_in_the_middle(pair: tuple[str, str], at: int) -> None:
    world = built(pair[0])
    world.now = CLUSTERS[pair[1]]
    stopped(world, at)
    hosts = {host.name: tuple(host.roles) for host in world.now.hosts}
    more = world.now.model_copy(update={"hosts": (*world.now.hosts, *cluster({"n3": (W,)}).hosts)})
    world.now = world.now if "n3" in hosts else more
    assert "n3" in NUMBERS
    world.apply()
    at_goal(world)


@given(st.randoms(use_true_random=False))
@settings(some, max_examples=4)
def test_no_order_is_made_where_nothing_is_to_do(random: Random) -> None:
    world = built(random.choice(sorted(CLUSTERS)))
    compiled = compile_stage(change.stages(world.context())[0])
    files = files_of(compiled)
    plan, further = foreseen(
        compiled, (), {resource.key: world.look(resource, files) for resource in compiled.resources}
    )
    assert (plan.changes, plan.needs, further) == ((), {}, ())
    assert "_graph" not in vars(compiled)
    assert Plan(plan.steps, {}).late() == ()
    assert replace(plan, steps={}).urgency() == []
