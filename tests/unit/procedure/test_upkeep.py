"""Whose store is written anew, in which order, and what speaks against it."""

from dataclasses import replace

import pytest

from quorate.execute.members import Member
from quorate.procedure import upkeep
from quorate.procedure.upkeep import Look
from quorate.spec.cluster import Cluster

MB = 10**6
FULL, CORRUPT = (("NOSPACE", "1"),), (("CORRUPT", "1"),)


def member(number: int, **more: object) -> Member:
    given: dict[str, object] = {
        **{"healthy": True, "leader": number == 1, "id": str(number), "applied": 5000, "revision": 9},
        **{"db_bytes": 1000 * MB, "in_use_bytes": 300 * MB, "quota_bytes": 8000 * MB},
        **more,
    }
    return Member(f"m{number}", **given)  # type: ignore[arg-type]


def look(*members: Member, **more: object) -> Look:
    return Look(members or (member(1), member(2), member(3)), **more)  # type: ignore[arg-type]


def cluster(**roles: list[str]) -> Cluster:
    hosts = [
        {"name": name, "address": f"10.0.9.{number}", "roles": each}
        for number, (name, each) in enumerate(roles.items(), 1)
    ]
    return Cluster.model_validate({"name": "c", "hosts": hosts, "endpoint": {"address": "api.example"}})


def test_the_leader_is_the_last_and_who_gains_nothing_is_left_alone() -> None:
    assert [each.host for each in upkeep.due(look())] == ["m2", "m3", "m1"]
    little = look(member(1), member(2, in_use_bytes=901 * MB), member(3, db_bytes=16 * MB, in_use_bytes=1 * MB))
    assert [each.host for each in upkeep.due(little)] == ["m1"]
    full = look(member(1, knows=FULL), member(2, in_use_bytes=1000 * MB), member(3, healthy=False))
    assert [each.host for each in upkeep.due(full)] == ["m2", "m1"]


def test_a_leader_that_changes_meanwhile_still_is_the_last() -> None:
    now = look(member(1, leader=False), member(2, leader=True), member(3))
    assert upkeep.turn(now, ["m2", "m3"]) == now.of("m3")
    assert upkeep.turn(now, ["m2"]) == now.of("m2")
    assert upkeep.turn(look(member(1), member(2, id="")), ["m2"]) is None


def test_who_has_applied_most_leads_instead() -> None:
    now = look(member(1), member(2, applied=4000), member(3, applied=4999))
    heir = upkeep.heir(now, now.members[0])
    assert heir is not None
    assert heir.host == "m3"
    assert upkeep.heir(look(member(1)), member(1)) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({2: {"knows": CORRUPT}}, "etcd has the alarm CORRUPT, raised by m1"),
        ({2: {"knows": (*FULL, *CORRUPT)}}, "etcd has the alarm CORRUPT, raised by m1"),
        ({2: {"knows": FULL}}, ""),
        ({2: {"healthy": False}}, "etcd on m2 is not well"),
        ({2: {"id": ""}}, "etcd on m2 is not well"),
        ({2: {"healthy": False}, 1: {"knows": FULL}}, ""),
        ({2: {"healthy": False}, 3: {"healthy": False}, 1: {"knows": FULL}}, "etcd on m2, m3 is not well"),
        ({1: {"leader": False}}, "etcd has 0 leaders"),
        ({2: {"leader": True}}, "etcd has 2 leaders"),
        ({3: {"learner": True}}, "etcd on m3 has no vote yet"),
        ({3: {"applied": 3999}}, "etcd on m3 is 1001 entries behind"),
        ({3: {"applied": 4000}}, ""),
        ({}, ""),
    ],
)
def test_a_full_store_speaks_against_nothing_damage_and_loss_do(
    changed: dict[int, dict[str, object]], why: str
) -> None:
    said = upkeep.refusal(look(*(member(number, **changed.get(number, {})) for number in (1, 2, 3))))
    assert said.startswith(why)
    assert bool(said) is bool(why)


def test_the_next_turn_waits_for_api_servers_that_rested() -> None:
    before = look(serving=frozenset({"m1", "m2"}), left_out=frozenset({("b1", "m3")}))
    assert upkeep.unsettled(before, before) == ""
    away = replace(before, serving=frozenset({"m2", "m3"}))
    assert upkeep.unsettled(away, before) == "the API server on m1 does not answer again"
    out = replace(before, left_out=frozenset({("b1", "m3"), ("b2", "m1")}))
    assert upkeep.unsettled(out, before) == "the balancer on b2 leaves out m1"


def test_a_second_store_needs_room() -> None:
    assert upkeep.cramped(look(room={"m1": 300 * MB}), member(1)) == ""
    assert upkeep.cramped(look(), member(1)) == ""
    said = upkeep.cramped(look(room={"m1": 299 * MB}), member(1))
    assert said == "m1: 299.0 MB are free beside etcd's store, writing it anew takes 300.0 MB"


def test_an_api_server_rests_where_another_serves_and_no_store_is_full() -> None:
    c = cluster(m1=["control-plane", "etcd"], m2=["control-plane", "etcd"], m3=["etcd"])
    both = look(serving=frozenset({"m1", "m2"}))
    assert [upkeep.rests(c, both, host) for host in c.hosts] == [True, True, False]
    assert not upkeep.rests(c, look(serving=frozenset({"m1"})), c.host("m1"))
    assert not upkeep.rests(c, look(serving=frozenset({"m2"})), c.host("m1"))
    assert not upkeep.rests(c, look(member(1), serving=frozenset({"m1", "m2"})), c.host("m1"))
    full = look(member(1, knows=FULL), member(2), serving=frozenset({"m1", "m2"}))
    assert not upkeep.rests(c, full, c.host("m1"))


def test_users_are_told_what_they_will_notice() -> None:
    c = cluster(m1=["control-plane", "etcd"], m2=["control-plane", "etcd"], m3=["etcd"])
    both = look(serving=frozenset({"m1", "m2"}))
    assert upkeep.consequences(c, both, upkeep.due(both)) == [
        "One member after the other: m2, m3, m1. Each answers nothing while its store is written.",
        "m1 hands the lead on before: writes wait for a moment.",
        "The API server beside it rests meanwhile (m2, m1); its clients go to the others.",
    ]
    alone = look(member(1))
    assert upkeep.consequences(c, alone, upkeep.due(alone)) == [
        "etcd has one member: the API answers nothing for about 8 s."
    ]
    full = look(member(1, knows=FULL), member(2), member(3, id=""))
    told = upkeep.consequences(c, full, upkeep.due(full))
    assert told[0].startswith("etcd has the alarm NOSPACE, raised by m1")
    assert told[1:3] == [
        "First all history is dropped: lists that clients are paging through begin anew.",
        "m3 is left as it is: its store is full still when it returns.",
    ]
