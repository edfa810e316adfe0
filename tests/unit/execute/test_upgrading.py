"""Another wish in the middle of an upgrade, what runs by the last apply, and what is asked between two stages."""

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from past_clusters import THREE, cluster, context, without

from quorate.core import Key, PlanError, State, Transport
from quorate.execute import observe, upgrading
from quorate.operation import change
from quorate.plan.compile import compile_stage
from quorate.plan.staged import later
from quorate.resource.resource import Resource
from quorate.spec.supply import Supply
from quorate.spec.upgrade_path import cluster_at
from quorate.state.past import Past
from quorate.state.record import Record

WAS, GOAL = ({"kubernetes": f"1.{minor}.1", "etcd": "3.6.16", "containerd": "2.3.7"} for minor in (35, 36))
STAGES = ("control plane 1.36.1", "nodes 1.36.1")
BEGUN = Record(
    *("upgrade", "4711", "2026-11-30", "a", "b", STAGES),
    releases={part: {"version": version} for part, version in GOAL.items()},
)


def refused(stage: str, wish: dict[str, str], kind: str = "upgrade") -> str:
    try:
        upgrading.demand_same(replace(BEGUN, stage=stage, kind=kind), WAS, Supply(versions=wish))
    except PlanError as error:
        return f"{error.message} {error.hint}"
    return ""


def test_an_upgrade_that_has_begun_is_ended_before_another_wish() -> None:
    assert refused(STAGES[1], GOAL) == ""
    assert "something else" in (told := refused(STAGES[0], GOAL | {"kubernetes": "1.37.2"}))
    assert 'kubernetes: "1.36.1"' in told
    assert refused(STAGES[0], WAS) == "", "the first stage can be gone back on"
    assert "what ran before it" in refused(STAGES[1], WAS)
    assert refused(STAGES[1], WAS, kind="change") == ""


@pytest.mark.parametrize("noted", [{}, {"containerd": "2.3.7"}, WAS])
def test_what_runs_is_what_was_noted_and_else_what_the_file_of_then_asked_for(noted: dict[str, str]) -> None:
    was = cluster_at(cluster(THREE), WAS, pinned=False) if noted else None
    past = cast(Past, SimpleNamespace(releases=lambda: noted, established=was))
    assert upgrading.running(past) == ({**WAS, **noted} if noted else {})


@pytest.mark.parametrize("ahead", [True, False])
async def test_between_stages_only_what_the_next_one_wants_is_asked(
    monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    now, *rest = change.stages(context(cluster(without("m3")), cluster(THREE)))
    asked: set[Key] = set()

    async def look(resources: Iterable[Resource], _: Transport) -> tuple[dict[Key, State | None], dict[str, str]]:
        found = list(resources)
        asked.update(each.key for each in found)
        return {each.key: each.desired for each in found}, {}

    monkeypatch.setattr(observe, "look", look)
    compiled = compile_stage(now)
    further = later(compiled, map(compile_stage, rest))
    await observe.observe(compiled, cast(Transport, None), further, ahead=ahead)
    own = {each.key for each in compiled.resources}
    others = {each.key for stage in further for each in stage.resources} - own
    assert others, "later stages name things of their own"
    assert bool(asked & others) is ahead
    assert asked <= own | others
