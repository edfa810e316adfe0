"""A preflight as a whole: who is asked what, real sh that answers, findings and waivers."""

from dataclasses import replace
from pathlib import Path

import pytest
from preflight_world import IP, world

from quorate.core import PlanError, QuorateError
from quorate.preflight.catalog import CHECKS, QUESTIONS
from quorate.preflight.report import Report, judge, known, waive
from quorate.preflight.runner import parse, script
from quorate.report.findings import Status
from quorate.spec.facts import Facts, HostFacts

P, U = Status.PASSED, Status.UNCHECKED


def test_settled_hosts_are_asked_little() -> None:
    there = world(established=True)
    dear = {"fsync", "ports", "data", "names", "pairs", "virtual IP", "VRRP"}
    for host in there.cluster.hosts:
        _, first = script(there, host)
        assert not dear & set(first)
        assert script(there, host, late=True) == ("", ())
    new = world()
    assert dear <= {
        name for host in new.cluster.hosts for late in (False, True) for name in script(new, host, late=late)[1]
    }
    assert {question.name for question in QUESTIONS if question.late} == {"pairs", "virtual IP", "VRRP"}


def test_who_is_settled() -> None:
    assert world(established=True).settled(world().cluster.host("m1"))
    assert not world().settled(world().cluster.host("m1"))
    other = world(established=True, facts={"m1": {"machine_id": "another"}})
    assert not other.settled(other.cluster.host("m1"))
    meant = world(established=True)
    meant = replace(meant, context=replace(meant.context, replaced=frozenset({"m1"})))
    assert not meant.settled(meant.cluster.host("m1"))
    grown = world(established=True, roles={"m1": ("control-plane", "etcd", "worker"), "n1": ("worker",)})
    assert not grown.settled(grown.cluster.host("m1"))
    assert grown.settled(grown.cluster.host("n1"))


def test_silence_is_never_a_pass_nor_a_failure() -> None:
    """A host that tells nothing stops nobody, and is seen."""
    nothing = HostFacts(os_id="", arch="", package_manager="none", interface="")
    there = world(answers={})
    there = replace(there, context=replace(there.context, facts=Facts(dict.fromkeys(IP, nothing))))
    told = {finding.id: finding.status for finding in judge(there)}
    assert set(told.values()) == {P, U}
    assert {name for name, status in told.items() if status is P} == {"reachable", "sudo", "plan"}


def test_answers_come_back_under_their_names() -> None:
    words = "\x02script\n\x010\n\n5.00\n\nyes\n\n5.25\n\x011\n\n5.25\n\n\n5.26\n"
    answers, seconds = parse(("one", "two"), words)
    assert answers == {"one": "yes", "two": ""}
    assert seconds["one"] == pytest.approx(0.25)
    assert parse(("one", "two"), "")[0] == {}


def test_waivers() -> None:
    there = world(facts={"m1": {"arch": "mips"}, "m2": {"arch": "mips"}})
    found = judge(there)
    with pytest.raises(PlanError) as refused:
        Report(found).demand()
    lines = str(refused.value).splitlines()
    assert len([line for line in lines if line.startswith("  architecture@m")]) == 3
    assert "Fix: " in lines[1]
    some = Report(waive(found, ["architecture@m1"]))
    assert some.waived == ("architecture@m1: mips: there are no builds of Kubernetes for it",)
    with pytest.raises(PlanError, match="architecture@m2"):
        some.demand()
    every = Report(waive(found, ["architecture"]))
    every.demand()
    assert every.of(Status.WAIVED)[0].id == "architecture"
    for wrong in ("archtecture", "architecture@m9", "architecture@", "@m1", ""):
        with pytest.raises(QuorateError, match="--waive"):
            known([wrong], ["m1"])
    known(["architecture", "architecture@m1"], ["m1"])


def test_details_name_hosts_and_are_short() -> None:
    told = {finding.id: finding for finding in judge(world(facts={"m1": {"memory_bytes": 1_000_000_000}}))}
    assert told["memory"].detail == "m1: 1.0 GB, control-plane should have 1.7 GB"
    assert told["os"].detail == "debian 12"
    assert told["address"].detail.endswith("and 3 more")
    both = judge(world(facts={"m1": {"arch": "mips"}, "m2": {"arch": ""}}))
    assert "m2 (not checked): the host does not tell" in next(each for each in both if each.id == "architecture").detail


def test_the_page_has_every_check_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs/preflight.md").read_text()
    rows = [line for line in page.partition("## The checks")[2].splitlines() if line.startswith("| ")][1:]
    assert rows == [f"| {check.id} | {check.title} | {check.why} | {check.fix} |" for check in CHECKS]
