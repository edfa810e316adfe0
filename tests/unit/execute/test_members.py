"""etcd's stores and alarms: what members say becomes values, and what is wrong is named with its cure."""

import json
from ipaddress import IPv4Address

import pytest
from host_answers import NOW

from quorate.execute import members
from quorate.execute.members import Member
from quorate.execute.survey import Service, View
from quorate.spec.cluster import Host, Role
from quorate.spec.outlook import Outlook

GB = 10**9
HOST = Host(name="m1", address=IPv4Address("10.0.9.1"), roles=(Role.ETCD,))


def view(*errors: str, quota: str = "8.589934592e+09\n", state: str = "active", leader: int = 26) -> View:
    status = {
        "header": {"member_id": 26, "revision": 7},
        "version": "3.4.23",
        "dbSize": 6 * GB,
        "dbSizeInUse": 2 * GB,
        "leader": leader,
        "raftAppliedIndex": 41,
        "errors": list(errors),
    }
    more = {"member": json.dumps([{"Endpoint": "x", "Status": status}]), "quota": quota}
    return View(NOW, {"etcd.service": Service(state, NOW, 0, not errors)}, more=more)


def test_a_member_says_how_full_its_store_is() -> None:
    found = members.read(HOST, view())
    assert (found.db_bytes, found.in_use_bytes, found.quota_bytes) == (6 * GB, 2 * GB, 2**33)
    assert (found.free_bytes, found.id, found.applied, found.leader, found.healthy) == (4 * GB, "1a", 41, True, True)
    assert found.size == "6.0 GB, 2.0 GB in use, quota 8.6 GB"
    assert members.read(HOST, view(quota="")).quota_bytes is None
    assert members.read(HOST, None) == Member("m1", healthy=False)
    assert members.read(HOST, View(NOW, more={"member": "[]"})).id == ""


@pytest.mark.parametrize("said", ["memberID:26 alarm:NOSPACE ", "memberID:26  alarm:NOSPACE"])
def test_both_ways_in_which_etcd_writes_an_alarm_are_read(said: str) -> None:
    found = members.read(HOST, view(said))
    (alarm,) = members.alarms([found])
    assert (alarm.kind, alarm.hosts) == ("NOSPACE", ("m1",))
    assert "every write is refused, while reads and deletions go on: `quorate defrag`" in str(alarm)


def test_a_full_store_alone_leaves_its_member_healthy() -> None:
    full, corrupt = "memberID:26 alarm:NOSPACE ", "memberID:27 alarm:CORRUPT "
    assert members.read(HOST, view(full)).healthy
    assert not members.read(HOST, view(full, corrupt)).healthy
    assert not members.read(HOST, view(full, leader=0)).healthy
    assert not members.read(HOST, view(full, state="failed")).healthy


def test_the_worst_alarm_is_told_first_and_a_stranger_by_its_id() -> None:
    found = members.read(HOST, view("memberID:26 alarm:NOSPACE ", "memberID:27 alarm:CORRUPT "))
    assert [(alarm.kind, alarm.hosts) for alarm in members.alarms([found])] == [
        ("CORRUPT", ("1b",)),
        ("NOSPACE", ("m1",)),
    ]
    assert [line.partition(":")[0] for line in members.problems([found])] == [
        "etcd has the alarm CORRUPT, raised by 1b",
        "etcd has the alarm NOSPACE, raised by m1",
        "etcd's store is free inside by more than 50% (m1 6.0 GB, 2.0 GB in use, quota 8.6 GB)",
    ]


def test_alarms_are_told_alike_in_whatever_order_etcd_tells_them() -> None:
    told = [f"memberID:{id} alarm:{kind} " for kind in ("NOSPACE", "CORRUPT") for id in (26, 27, 28)]
    one, other = (members.read(HOST, view(*order)) for order in (told, told[::-1]))
    assert members.alarms([one]) == members.alarms([other]) == members.alarms([other, one])


def sized(size: float, in_use: float) -> Member:
    return Member("m1", True, db_bytes=int(size * GB), in_use_bytes=int(in_use * GB), quota_bytes=10 * GB)


@pytest.mark.parametrize(
    ("size", "in_use", "told"),
    [
        (8.0, 4.1, []),
        (8.1, 4.1, ["`quorate defrag` gives back what is free inside"]),
        (8.6, 8.1, ["delete objects that nobody needs, or raise etcd.quota_bytes"]),
        (2.5, 0.1, []),
        (2.6, 1.4, []),
        (2.6, 1.2, ["`quorate defrag` gives it back"]),
    ],
)
def test_a_share_is_a_problem_from_the_stated_one_on(size: float, in_use: float, told: list[str]) -> None:
    found = members.problems([sized(size, in_use)])
    assert len(found) == len(told)
    assert all(part in line for part, line in zip(told, found, strict=True))


def test_with_an_alarm_not_all_works_whatever_runs() -> None:
    fine = Outlook(ok=True, may_fail=1, text="survives")
    assert members.foreseen(fine, [members.read(HOST, view())]) == fine
    full = members.foreseen(fine, [members.read(HOST, view("memberID:26 alarm:NOSPACE "))])
    assert (full.ok, full.may_fail, full.text) == (False, 0, "not all works: etcd refuses every write (alarm NOSPACE)")
    corrupt = members.foreseen(fine, [members.read(HOST, view("memberID:26 alarm:CORRUPT "))])
    assert corrupt.text == "not all works: etcd refuses every write (alarm CORRUPT)"
