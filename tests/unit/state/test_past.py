"""The past of a cluster, host by host: who was away keeps what it may have of files that are done for all others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from past_clusters import E, M, W, cluster, context

from quorate.core import Blob, Key, PlanError, QuorateError
from quorate.operation import change
from quorate.operation.change import JOIN, LEAVE
from quorate.plan.compile import compile_stage
from quorate.spec.load import load
from quorate.spec.restoring import WEEK, Restoration
from quorate.spec.supply import Supply
from quorate.state.bundle import FILES
from quorate.state.past import Past, fingerprint
from quorate.state.store import Store

FILE = """\
name: c
versions: {{kubernetes: "1.20.2"}}
hosts:
  - {{name: m1, address: 10.0.9.11, roles: [control-plane, etcd]}}
  - {{name: n1, address: 10.0.9.14, roles: [worker]}}
  - {{name: n2, address: 10.0.9.15, roles: [worker]}}
kubelet: {{drain_seconds: {seconds}}}
"""
SUPPLY = Supply(
    binaries={"kubectl": Blob(Path("kubectl"), "d1", 1)},
    versions={"kubernetes": "1.20.2"},
    parts={"kubernetes": ("kubectl",)},
)
HERE = {"m1": "1", "n1": "2", "n2": "3"}


class Site:
    """A state folder, and applies that come to their ends."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cluster.yaml"

    def past(self, seconds: int) -> Past:
        self.file.write_text(FILE.format(seconds=seconds))
        return Past(Store.beside(self.file, "c"), self.file, load(self.file, offline=True))

    def apply(self, seconds: int, *away: str, ends: bool = True) -> Past:
        past, here = self.past(seconds), {name: id for name, id in HERE.items() if name not in away}
        past.begin(self.file.read_text(), here)
        if ends:
            past.finish(self.file.read_text(), here, SUPPLY, away=away)
        return self.past(seconds)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def missed(past: Past, host: str) -> list[object]:
    return [was.kubelet.drain_seconds for was in past.behind.get(host, ())]


def test_a_host_that_is_away_keeps_no_cluster_unfinished(site: Site) -> None:
    site.apply(50)
    past = site.apply(60, "n2")
    assert [was.kubelet.drain_seconds for was in past.former] == [60]
    assert past.machines() == HERE, "who is away is the same machine when it returns"
    assert missed(past, "n2") == [50]
    assert missed(past, "n1") == []


def test_it_may_have_something_of_all_that_it_missed(site: Site) -> None:
    site.apply(50)
    site.apply(55, ends=False)
    site.apply(60, "n2")
    past = site.apply(70, "n2")
    assert missed(past, "n2") == [50, 55, 60]
    assert len(list((site.file.parent / ".quorate/c/former").iterdir())) == 3


def test_it_is_forgotten_when_it_was_there_and_when_it_has_left(site: Site) -> None:
    site.apply(50)
    site.apply(60, "n2")
    past = site.apply(60)
    assert past.behind == {}
    assert list((site.file.parent / ".quorate/c/former").iterdir()) == []
    site.apply(70, "n2")
    past = site.past(80)
    past.finish(site.file.read_text(), {"m1": "1", "n1": "2"}, SUPPLY, left=["n2"])
    assert site.past(80).behind == {}


def test_a_whole_destroy_forgets_it(site: Site) -> None:
    site.apply(50)
    site.apply(60, "n2").forget()
    past = site.past(60)
    assert (past.behind, past.former, past.releases(), past.machines()) == ({}, (), {}, {})


def test_versions_are_noted_and_a_damaged_note_is_told(site: Site) -> None:
    past = site.apply(50)
    assert past.releases() == {"kubernetes": "1.20.2"}
    (site.file.parent / ".quorate/c/releases.json").write_text('{"kubernetes": 1}')
    with pytest.raises(QuorateError, match=r"releases\.json: is damaged"):
        past.releases()


def test_what_a_host_had_goes_when_it_returns_and_from_no_other() -> None:
    """It lost a role while it was away; the others were done with that."""
    roles = {"m1": (M, E), "m2": (M, E), "m3": (M, E), "n1": (W,), "n2": (W,)}
    was = cluster({**roles, "n2": (W, E)}, endpoint={})
    now = context(cluster(roles, endpoint={}))
    now.behind["n2"] = (was,)  # type: ignore[index]
    stages = change.stages(now)
    assert [stage.name for stage in stages] == [JOIN, LEAVE]
    gone = {resource.key for resource in compile_stage(stages[1]).resources if resource.kind == "removal"}
    assert gone >= {Key("n2", "removal", "etcd"), Key("n2", "removal", "trust")}
    assert {key.host for key in gone} == {"n2"}


def test_an_operation_is_known_from_its_begin_to_its_end(site: Site) -> None:
    site.apply(50)
    past = site.past(60)
    assert past.record is None
    text = site.file.read_text()
    past.begin(text, HERE, ("join", "leave"), SUPPLY)
    first = past.record
    assert first is not None
    assert (first.kind, first.stages, first.stage) == ("change", ("join", "leave"), "")
    assert first.releases == {"kubernetes": {"version": "1.20.2", "sha256": {"kubectl": "d1"}}}
    past.begin(text, HERE, ("leave",))
    assert past.record == first, "an apply that goes on begins nothing"
    past.reach("leave")
    told = site.past(60).record
    assert told is not None
    assert told.told(fingerprint(text.encode())).endswith(
        "has not ended at stage leave of join, leave: `quorate apply` goes on with it"
    )
    assert "the file is another one since" in told.told("other")
    assert "is again the one of before, and leads back" in told.told(told.was)
    assert "operation.json" in FILES, "its copies have it, too"
    past.finish(text, HERE, SUPPLY)
    assert site.past(60).record is None


def test_another_goal_is_another_operation(site: Site) -> None:
    one, two = site.past(50), None
    one.begin(site.file.read_text(), HERE, ("join",))
    before = one.record
    two = site.past(60)
    two.begin(site.file.read_text(), HERE, ("join",))
    assert before is not None
    assert two.record is not None
    assert (two.record.id, two.record.goal) != (before.id, before.goal)


def test_without_changes_no_operation_begins(site: Site) -> None:
    assert site.apply(50, ends=False).record is None


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ('{"format": 3, "kind": "change"}', PlanError, "a newer quorate has begun an operation `change`"),
        ('{"format": 2, "kind": "rotate"}', PlanError, "a newer quorate has begun an operation `rotate`"),
        ('{"format": 2, "kind": "change", "releases": {"etcd": "3"}}', QuorateError, "operation.json: is damaged"),
        ('{"format": 1, "kind": "change"}', QuorateError, "operation.json: is damaged"),
        ("[", QuorateError, "is damaged"),
        ("[1]", QuorateError, "is damaged"),
    ],
)
def test_what_can_not_be_gone_on_with_is_refused(site: Site, text: str, error: type[QuorateError], why: str) -> None:
    past = site.apply(50)
    (site.file.parent / ".quorate/c/operation.json").write_text(text)
    with pytest.raises(error) as refused:
        _ = past.record
    assert why in refused.value.message


def test_a_record_of_an_older_quorate_is_gone_on_with(site: Site) -> None:
    past = site.apply(50)
    past.begin(FILE.format(seconds=60), HERE, ("join", "leave"), SUPPLY)
    path = site.file.parent / ".quorate/c/operation.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "format": 1, "releases": {"kubernetes": "1.20.2"}}))
    past.reach("leave")
    assert past.record is not None
    assert past.record.releases == {"kubernetes": {"version": "1.20.2", "sha256": {}}}
    assert (past.record.id, json.loads(path.read_text())["format"]) == (told["id"], 2)


RESTORING = Restoration(
    *("0123456789abcdef", "c-1", "f" * 64, 10, 77, {"etcd": "3.6.14"}),
    tool="etcdutl",
    bump=WEEK,
    nodes=("n9",),
    blob=Blob(Path("/nonexistent"), "f" * 64, 10),
)


def test_a_restore_is_known_with_all_but_its_snapshot_and_its_etcd_has_a_token_of_its_own(site: Site) -> None:
    past = site.apply(50)
    token = site.file.parent / ".quorate/c/random/etcd-token"
    past.begin(FILE.format(seconds=50), HERE, ("new data",), SUPPLY, restoring=RESTORING)
    assert token.read_text() == RESTORING.id
    known = site.past(50).record
    assert known is not None
    assert (known.kind, known.id, known.restoring) == ("restore", RESTORING.id, replace(RESTORING, blob=None))
    assert "`quorate restore c-1` goes on with it" in known.told("")
    past.reach("stop")
    past.begin(FILE.format(seconds=50), HERE, ("etcd",), SUPPLY, restoring=RESTORING)
    again = site.past(50).record
    assert again is not None
    assert (again.began, again.stage, again.stages) == (known.began, "stop", ("new data",)), "it goes on"
    past.finish(FILE.format(seconds=50), HERE, SUPPLY)
    assert site.past(50).record is None
    assert token.read_text() == RESTORING.id


def test_a_restore_takes_the_place_of_a_change_that_can_not_go_on(site: Site) -> None:
    past = site.apply(50)
    past.begin(FILE.format(seconds=60), HERE, ("join", "leave"), SUPPLY)
    past.begin(FILE.format(seconds=60), HERE, ("new data",), SUPPLY, restoring=RESTORING)
    known = site.past(60).record
    assert known is not None
    assert known.kind == "restore"


def test_a_damaged_record_of_a_restore_is_told(site: Site) -> None:
    past = site.apply(50)
    past.begin(FILE.format(seconds=50), HERE, ("new data",), SUPPLY, restoring=RESTORING)
    path = site.file.parent / ".quorate/c/operation.json"
    for wrong in ({"id": 1}, {**json.loads(path.read_text())["restoring"], "nodes": 3}, "x"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "restoring": wrong}))
        with pytest.raises(QuorateError, match=r"operation\.json: is damaged"):
            _ = site.past(50).record
