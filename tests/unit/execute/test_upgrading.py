"""Another wish in the middle of an upgrade, what runs by the last apply, and what is asked between two stages."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from past_clusters import THREE, cluster, context, without
from worlds import supply

from quorate.cli.look import size_on_wire
from quorate.core import ArtifactError, Key, PlanError, State, Transport
from quorate.execute import observe, upgrading
from quorate.operation import change, upgrade
from quorate.plan.compile import compile_stage
from quorate.plan.staged import later
from quorate.resource.file import Binary
from quorate.resource.resource import Resource
from quorate.spec.cluster import Artifacts, Cluster
from quorate.spec.supply import Supply
from quorate.spec.upgrade_path import cluster_at
from quorate.spec.versions import table
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


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder of versions, as far as names tell: all of 1.34 and 1.37, of 1.35 and 1.36 not all."""
    old, new = table("1.34.4"), table("1.37.2")
    for name in (
        *("kubernetes-1.34.4", "kubernetes-1.35.4", "kubernetes-1.37.2", "etcd-3.6.16"),
        *(f"containerd-{new.containerd}", f"runc-{new.runc}", f"cni_plugins-{new.cni_plugins}"),
        *(f"containerd-{old.containerd}", f"runc-{old.runc}", f"cni_plugins-{old.cni_plugins}"),
    ):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "SHA256SUMS").touch()
    return tmp_path


def wished(kubernetes: str, etcd: str = WAS["etcd"], **artifacts: object) -> Cluster:
    named = cluster(THREE, artifacts=Artifacts.model_validate(artifacts))
    return cluster_at(named, {"kubernetes": kubernetes, "etcd": etcd}, pinned=False)


def undelivered(wish: Cluster, now: dict[str, str]) -> str:
    try:
        upgrading.demand_source(wish, Path("/nowhere/cluster.yaml"), now)
    except ArtifactError as error:
        return f"{error.message}. {error.hint}"
    return ""


def test_a_way_that_the_source_can_not_deliver_is_refused_with_all_that_is_missing(bundle: Path) -> None:
    now = WAS | {"kubernetes": "1.34.4"}
    wish = wished("1.37.2", source="directory", directory=bundle)
    told = undelivered(wish, now)
    assert f"the folder {bundle} can't deliver the way from 1.34.4 to 1.37.2" in told
    assert "Kubernetes 1.36: has no release of 1.36" in told
    assert "it has 1.34.4, 1.35.4, 1.37.2" in told
    assert "--export FOLDER --path --from 1.34.4" in told
    (bundle / "etcd-3.6.16").rename(bundle / "etcd-3.6.15")
    (bundle / "kubernetes-1.36.3").mkdir()
    (bundle / "kubernetes-1.36.3/SHA256SUMS").touch()
    told = undelivered(wish, now)
    assert f"control plane 1.35.4: {bundle} has no etcd 3.6.16; it has etcd 3.6.15" in told
    assert "1.36:" not in told
    (bundle / "etcd-3.6.15").rename(bundle / "etcd-3.6.16")
    assert undelivered(wish, now) == ""
    assert undelivered(wished("1.34.4", source="directory", directory=bundle), now) == ""


def test_a_folder_of_one_version_tells_which_it_is(tmp_path: Path) -> None:
    (tmp_path / "supply.json").write_text(json.dumps({"versions": {**WAS, "kubernetes": "1.36.3"}}))
    told = undelivered(wished("1.36.9", source="directory", directory=tmp_path), WAS)
    assert f"control plane 1.36.9: {tmp_path} holds kubernetes 1.36.3, not 1.36.9" in told
    assert "it has 1.36.3" in told


@pytest.mark.parametrize(
    ("source", "now", "goal", "said"),
    [
        ("modules", "1.34.4", "1.37.2", ""),
        ("release", "1.27.1", "1.30.14", "Kubernetes 1.28: has no release of 1.28"),
        ("release", "1.27.1", "1.30.14", "`quorate upgrade --to 1.28.N` first"),
        ("debian", "1.20.2", "1.21.1", "control plane 1.21.1: Debian has Kubernetes 1.20.2 alone"),
        ("debian", "1.20.1", "1.20.2", ""),
    ],
)
def test_other_sources_say_what_they_know(source: str, now: str, goal: str, said: str) -> None:
    etcd = table(now).etcd
    told = undelivered(wished(goal, etcd, source=source), {"kubernetes": now, "etcd": etcd})
    assert said in told
    assert bool(told) is bool(said)


@pytest.mark.parametrize("fetches", [True, False])
@pytest.mark.parametrize("at_hand", [True, False])
async def test_a_plan_promises_what_is_not_at_hand_and_an_apply_fetches_it(
    monkeypatch: pytest.MonkeyPatch, fetches: bool, at_hand: bool
) -> None:
    asked = []

    async def resolve(then: Cluster, *_: object, **__: object) -> Supply:
        asked.append(then.versions.kubernetes)
        return made

    made = replace(supply("1.36.3", "containerd", images=False), versions={"of": "stop"})
    monkeypatch.setattr(upgrading, "resolve", resolve)
    monkeypatch.setattr(upgrading, "at_hand", lambda *_, **__: at_hand)
    goal = supply("1.37.2", "containerd", images=False)
    goal = replace(goal, versions=WAS | {"kubernetes": "1.37.2"}, parts={"kubernetes": ("kubelet", "kube-apiserver")})
    wish = wished("1.37.2", source="modules")
    file = Path("/nowhere/cluster.yaml")
    stops, _ = await upgrading.find(wish, file, WAS, goal, lambda _: None, "amd64", fetches=fetches)
    first, *rest = stops
    assert [each.move.version for each in stops] == ["1.36.3", "1.37.2", "1.37.2"]
    assert all(each.supply is goal for each in rest)
    if fetches or at_hand:
        assert asked == ["1.36.3"]
        assert first.supply is made
        return
    assert asked == []
    assert first.supply.promises
    assert first.supply.versions["kubernetes"] == "1.36.3"
    promise = first.supply.binaries["kube-apiserver"]
    assert promise.sha256 == "yet unknown: kube-apiserver 1.36.3"
    assert not promise.path.exists(), "nothing could be sent"
    assert first.supply.binaries["etcd"] == goal.binaries["etcd"], "what stays is known"
    now = replace(context(wish), supply=goal, minor=table("1.37.2"), releases=WAS, stops=stops)
    climb = compile_stage(upgrade.stages(now)[0])
    programs = {each.path.rpartition("/")[2]: each for each in climb.resources if isinstance(each, Binary)}
    assert programs["kube-apiserver"].desired["sha256"] == promise.sha256
    (sent,) = programs["kube-apiserver"].converge({"sha256": "of now"})
    assert sent.blob is not None
    assert size_on_wire(sent.blob) == goal.binaries["kube-apiserver"].size


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
