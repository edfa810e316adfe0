"""Verify's experiments: what they stop, when they end early, and that all is put back; hosts are a scripted door."""

import re

import pytest
from verify_door import Door, cluster
from verify_drill import Asking, Drill, Etcd, three_masters

from quorate.report.findings import Finding, Status
from quorate.verify import failover, master, members, outage
from quorate.verify.catalog import CHECKS
from quorate.verify.env import Env
from quorate.verify.following import Followed
from quorate.verify.runner import verify

pytestmark = pytest.mark.usefixtures("nothing_is_asked_from_here")


@pytest.mark.parametrize("stuck", [False, True])
async def test_the_vip_is_moved_and_put_back(stuck: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "CALM_S", 0.01)
    monkeypatch.setattr(failover, "VIP_MOVES_S", 0.5)
    model = Drill(cluster(), stuck=stuck)
    model.syntax = True
    checks = [check for check in CHECKS if check.id in {"6", "7", "8"}]
    door = Asking(model)
    found = await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    seen = {finding.id: (finding.status, finding.detail) for finding in found}
    assert door.sent("b1", "systemctl stop nginx.service")
    assert model.stopped == set()
    if stuck:
        assert seen["6"][0] is Status.FAILED
        assert "after nginx.service stopped on b1, 10.0.9.100 is on b1" in seen["6"][1]
    else:
        assert {status for status, _ in seen.values()} == {Status.PASSED}, seen
        assert seen["6"][1].startswith("10.0.9.100 from b1 to b2 within 0.")


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        (
            "310\n",
            Status.PASSED,
            "all 1 away for 0 s; back: m1 writes after 0.31 s; all well in (N) s; 2 workers lead to it within 5 s",
        ),
        ("2010\n", Status.PASSED, "m1 writes after 2.01 s (slow, 2 s is the goal)"),
        (
            "10010\n",
            Status.FAILED,
            "etcd answers again: m1 writes after 10.01 s (slow, 2 s is the goal), expected 10 s",
        ),
        ("never\n", Status.FAILED, "m1 writes after 150.00 s"),
    ],
)
async def test_api_servers_write_as_soon_as_etcd_is_back(
    said: str, status: Status, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def followed(_env: Env) -> Followed:
        assert model.stopped == set()
        return Followed((), (), 0.0)

    monkeypatch.setattr(members, "ALL_AWAY_S", 0.0)
    monkeypatch.setattr(members, "ASKING_HEAD_START_S", 0.0)
    monkeypatch.setattr(members, "followed", followed)

    class Etcd(Drill):
        def __call__(self, host: str, script: str) -> str:
            text = super().__call__(host, script)
            if "answers()" in script:
                assert ("m1", "etcd.service") in self.stopped
                return said
            return "acked before" if "configmap" in script else text

    model = Etcd(cluster())
    model.syntax = True
    checks = [check for check in CHECKS if check.id == "all-members"]
    (finding,) = await verify(cluster(), Door(model), disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert finding.status is status, finding
    assert detail in re.sub(r"all well in \d+ s", "all well in (N) s", finding.detail)
    assert model.stopped == set()


async def test_a_sick_cluster_is_not_hurt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "HEALTHY_WITHIN_S", 0.0)
    model = Drill(cluster())
    model.spoil = lambda _host, _script, text: text.replace("kubelet.service yes", "kubelet.service no")
    door = Door(model)
    checks = [check for check in CHECKS if check.id == "6"]
    (finding,) = await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert finding.status is Status.FAILED
    assert "kubelet on w1 is silent" in finding.detail
    assert not any("systemctl stop" in script for _, script in door.scripts)


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for anything."""
    for module in (failover, master):
        monkeypatch.setattr(module, "CALM_S", 0.01)
    monkeypatch.setattr(master, "LEASES_MOVE_S", 0.0)
    monkeypatch.setattr(members, "ASKING_HEAD_START_S", 0.0)
    monkeypatch.setattr(members, "MINORITY_WRITES_S", 0.0)
    monkeypatch.setattr(outage, "RECOVERED_WITHIN_S", 0.0)


async def tried(id: str, model: Etcd, door: Door) -> Finding:
    checks = [check for check in CHECKS if check.id == id]
    (finding,) = await verify(model.cluster, door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert model.stopped == set()
    return finding


def stops(door: Door) -> list[str]:
    """The hosts on which something was stopped, in that order."""
    return [host for host, script in door.scripts if "systemd-run" in script]


@pytest.mark.usefixtures("calm")
async def test_the_master_that_leads_is_stopped() -> None:
    model = Etcd(three_masters())
    model.syntax = True
    door = Asking(model)
    finding = await tried("15", model, door)
    assert finding.status is Status.PASSED, finding
    assert finding.detail.startswith("4 services of m1 (etcd too) stopped: kube-controller-manager led by m2")
    assert stops(door) == ["m1"]


@pytest.mark.usefixtures("calm")
async def test_a_minority_is_stopped_the_leader_first_then_one_more() -> None:
    model = Etcd(three_masters())
    model.syntax = True
    door = Door(model)
    finding = await tried("16", model, door)
    assert finding.status is Status.PASSED, finding
    assert "without m2 (leader first) writes go on" in finding.detail
    assert "without m2 and m1 2 of 2 are refused; back: m1 writes after 0.31 s" in finding.detail
    assert stops(door) == ["m2", "m1"]


@pytest.mark.parametrize(
    ("spoiled", "detail", "asked"),
    [
        ({"lenient": True}, "a write was confirmed without m2 and m1", False),
        ({"back": "never\n"}, "etcd answers again: m1 writes after 150.00 s", True),
    ],
)
@pytest.mark.usefixtures("calm")
async def test_what_goes_wrong_ends_it_early(spoiled: dict[str, object], detail: str, asked: bool) -> None:
    """Nobody waits any longer, nor writes more: that would only hide what was seen."""
    model = Etcd(three_masters())
    vars(model).update(spoiled)
    door = Door(model)
    finding = await tried("16", model, door)
    assert finding.status is Status.FAILED
    assert detail in re.sub(r"all well in \d+ s", "all well in (N) s", finding.detail)
    assert door.sent("m3", "answers()") is asked
    assert not door.sent("m1", "get configmap")
