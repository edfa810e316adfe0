"""A dead host that is left out of the cluster: what of it goes, and how it comes back."""

from dataclasses import replace
from pathlib import Path

import pytest
from past_clusters import THREE, cluster, context, ids, member, named, resource, without

from quorate.core import Key, PlanError
from quorate.execute.left_out import left_out
from quorate.operation import change
from quorate.plan import guard
from quorate.plan.compile import compile_stage
from quorate.plan.staged import foreseen
from quorate.resource.file import File
from quorate.spec.cluster import Cluster
from quorate.spec.fewer_hosts import cluster_without, text_without
from quorate.spec.load import load, load_former
from quorate.spec.supply import Supply
from quorate.state.past import Past
from quorate.state.store import Store

FILE = """\
# Ours: ü.
name: c
versions: {kubernetes: 1.20.2}
hosts:
  - {name: m1, address: 10.0.9.11, roles: [control-plane, etcd]}
  - name: m2   # dies
    address: 10.0.9.12
    roles: [control-plane, etcd]
  - {name: m3, address: 10.0.9.13, roles: [control-plane, etcd]}
  - {name: n1, address: 10.0.9.14, roles: [worker], labels: {zone: "1.30", old: "0x1f"}}
  - {name: b1, address: 10.0.9.16, roles: [load-balancer]}
endpoint: {vip: 10.0.9.100, port: 8443}
kubelet: {drain_seconds: 60}
"""
HERE = {"m1": "1", "m3": "3", "n1": "4", "b1": "5"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def past(file: Path) -> Past:
    return Past(Store.beside(file, "c"), file, load(file, offline=True))


def apply(file: Path, *out: str) -> Past:
    made = past(file)
    text = text_without(file.read_text(encoding="utf-8"), out)
    made.begin(text, HERE, out=out)
    made.finish(text, HERE, Supply(versions={"kubernetes": "1.20.2"}))
    return past(file)


def test_the_rest_of_the_file_is_read_as_before(file: Path, tmp_path: Path) -> None:
    whole, text = load(file, offline=True), file.read_text(encoding="utf-8")
    other = tmp_path / "other.yaml"
    for start in ("", "\ufeff"):
        other.write_text(text_without(start + text, {"m2"}), encoding="utf-8")
        assert load_former(other, tmp_path) == cluster_without(whole, {"m2"})
    assert text_without(text, ()) == text


def test_who_is_left_out_is_remembered_until_he_answers(file: Path) -> None:
    assert apply(file).out == frozenset()
    made = apply(file, "m2")
    assert made.out == {"m2"}
    assert [host.name for host in made.there.hosts] == ["m1", "m3", "n1", "b1"]
    assert made.established == made.there
    assert made.text == text_without(file.read_text(encoding="utf-8"), {"m2"})
    assert left_out(load(file, offline=True), made, (), {"m2", "n1"}) == {"m2"}, "n1 is away, and stays"
    assert left_out(load(file, offline=True), made, (), ()) == frozenset()
    assert apply(file).out == frozenset()


def test_who_is_not_in_the_file_any_more_is_forgotten(file: Path) -> None:
    apply(file, "m2")
    file.write_text(text_without(file.read_text(encoding="utf-8"), {"m2"}), encoding="utf-8")
    assert past(file).out == frozenset()


def test_what_can_not_be_left_out(file: Path) -> None:
    whole = load(file, offline=True)
    with pytest.raises(PlanError, match="was not built yet"):
        left_out(whole, past(file), {"m2"}, {"m2"})
    apply(file)
    with pytest.raises(PlanError, match="m2 answers"):
        left_out(whole, past(file), {"m2"}, {"n1"})
    with pytest.raises(PlanError, match=r"without b1 the others are no cluster: .*"):
        left_out(whole, past(file), {"b1"}, {"b1"})


def out_of(dead: str) -> tuple[Cluster, Cluster]:
    return cluster(without(dead)), cluster(THREE)


def test_a_dead_master_goes_from_backends_members_and_trust() -> None:
    """The next stage takes the member out; a quorum that would be lost by it is refused before."""
    now, was = out_of("m3")
    given = context(now, was, absent=frozenset({"m3"}))
    assert guard.refusals(given, ids(was)) == []
    join, *_ = stages = change.stages(given)
    compiled = compile_stage(join)
    upstreams = [each for each in compiled.resources if isinstance(each, File) and "10.0.9.12" in each.content]
    assert upstreams
    assert not [each.key for each in upstreams if "10.0.9.13" in each.content and "/etc/hosts" not in each.path]
    gone = [key for stage in stages for key in named(compile_stage(stage), "etcd member m3 (")]
    assert {key.host for key in gone} == {"m1"}
    alone = context(cluster(without("m3")), was, absent=frozenset({"m2", "m3"}))
    assert [each for each in guard.refusals(alone, ids(was)) if "lost its quorum" in str(each)]


def test_who_comes_back_with_the_data_of_a_former_member_joins_without_them() -> None:
    """They are laid aside on the host, never removed."""
    now, was = cluster(THREE), cluster(without("m3"))
    back = context(now, was)
    found = dict(back.facts.hosts)
    found["m3"] = replace(found["m3"], etcd_member=True)
    back = replace(back, facts=replace(back.facts, hosts=found))
    assert back.is_ghost(now.host("m3"))
    assert not back.is_ghost(now.host("m1"))
    assert back.joins(now.host("m3"))
    assert guard.refusals(back, ids(was)) == []
    compiled = compile_stage(change.stages(back)[0])
    aside = Key("m3", "setting", "data of a former member of etcd")
    joined = Key("m3", "setting", "membership in etcd")
    assert aside in compiled.needs[joined]
    script = resource(compiled, aside).converge({})[0].script
    assert "mv -- /var/lib/etcd/member /var/lib/etcd/former-" in script
    assert "rm -rf" not in script
    # Before they are aside, a look finds data, as if it had joined.
    found = {each.key: each.desired for each in compiled.resources}
    plan, _ = foreseen(compiled, (), {**found, aside: {"former": "there"}})
    assert {step.key for step in plan.changes} >= {aside, joined}
    assert foreseen(compiled, (), found)[0].changes == ()


def test_a_member_that_somebody_took_out_is_no_reason_to_lose_its_data() -> None:
    """The file names it, it was here at the last apply, and etcd does not know it: that must be meant."""
    three = cluster(THREE)
    given = context(three, listed=(member("m1"), member("m2")))
    said = [str(each) for each in guard.refusals(given, ids(three))]
    assert len(said) == 1
    assert "host m3: etcd does not count it among its members any more" in said[0]
    assert "--replace m3" in said[0]
    assert guard.refusals(replace(given, replaced=frozenset({"m3"})), ids(three)) == []
