"""The walk over members in memory: the lead that moves, who fails, who does not come back, and the same once more."""

import json
import re
from collections.abc import Callable

import pytest

from quorate.core import ApplyFailed, Blob, CommandFailed
from quorate.procedure import defrag as walk
from quorate.procedure.defrag import Defragmented, defrag, look
from quorate.report.event import Event
from quorate.spec.cluster import Cluster

MB = 10**6
NAMES = ("m1", "m2", "m3")
ROLES = ["control-plane", "etcd"]


class Members:
    """A door to three masters whose members are values."""

    def __init__(self) -> None:
        self.cluster = Cluster.model_validate(
            {
                "name": "c",
                "hosts": [{"name": name, "address": f"10.0.9.{name[1]}", "roles": ROLES} for name in NAMES],
                "endpoint": {"address": "api.example"},
            }
        )
        self.size = dict.fromkeys(NAMES, 1000)
        self.alarms: list[str] = []
        self.leader, self.order = "m1", list[str]()
        self.fails = self.away = self.clings = self.silent = ""
        self.after: dict[str, Callable[[], None]] = {}

    async def run(self, host: str, script: str, *, blob: Blob | None = None, **_more: object) -> str:
        if "endpoint status" in script and "systemctl show" in script:
            return self._says(host)
        if found := re.search(r"move-leader (\d)", script):
            self.order.append(f"{host} hands on")
            self.leader = self.leader if self.clings else f"m{found[1]}"
        elif found := re.search(r"compact --physical (\d+)", script):
            self.order.append(f"{host} drops {found[1]}")
        elif "alarm disarm" in script:
            self.order.append("clears")
            self.alarms = []
        elif "defrag 2>&1" in script:
            if host == self.fails:
                raise CommandFailed("command failed", host=host, code=1, stderr="no space left on device\n")
            self.order.append(f"{host} rests" if "systemctl stop" in script else host)
            self.size[host] = 100
            self.after.get(host, lambda: None)()
            return "700\n"
        return ""

    def _says(self, host: str) -> str:
        units = "".join(
            f"Id={unit}.service\nLoadState=loaded\nActiveState=active\n\n" for unit in ("etcd", "kube-apiserver")
        )
        status = {
            "header": {"member_id": int(host[1]), "revision": 40},
            "leader": int(self.leader[1]),
            "dbSize": self.size[host] * MB,
            "dbSizeInUse": 100 * MB,
            "errors": self.alarms,
        }
        health = f"etcd.service yes\nkube-apiserver.service {'no' if host == self.away else 'yes'}\n"
        said = "" if host == self.silent else json.dumps([{"Status": status}])
        answers = (units, health, "", said, "1e9\n", f"{10**10}\n")
        return "\x02script\n" + "".join(f"\x01{number}\n{answer}" for number, answer in enumerate(answers))

    async def close(self) -> None:
        return

    async def defrag(self) -> list[Defragmented]:
        done, events = list[Defragmented](), list[Event]()
        begun = await look(self.cluster, self)
        try:
            await defrag(self.cluster, self, begun, events.append, done.append)
        finally:
            self.done = [one.host for one in done]
        return done


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> Members:
    monkeypatch.setattr(walk, "SETTLED_WITHIN_S", 0.2)
    return Members()


async def test_the_leader_hands_on_and_is_the_last(members: Members) -> None:
    done = await members.defrag()
    assert members.order == ["m2 rests", "m3 rests", "m1 hands on", "m1 rests"]
    assert [(one.before, one.after, one.seconds, one.rested) for one in done] == [(1000 * MB, 100 * MB, 0.7, True)] * 3
    assert members.leader != "m1"


async def test_a_lead_that_moves_meanwhile_is_seen(members: Members) -> None:
    members.after["m2"] = lambda: setattr(members, "leader", "m3")
    await members.defrag()
    assert members.order == ["m2 rests", "m1 rests", "m3 hands on", "m3 rests"]


async def test_history_goes_a_revision_further_each_time_and_the_alarm_last(members: Members) -> None:
    members.alarms = ["memberID:2 alarm:NOSPACE "]
    await members.defrag()
    first, second = ["m2 drops 38", "m2"], ["m3 drops 39", "m3"]
    assert members.order == [*first, *second, "m1 hands on", "m1 drops 40", "m1", "clears"]


async def test_who_fails_stops_the_others_and_the_same_goes_on(members: Members) -> None:
    members.fails = "m3"
    with pytest.raises(ApplyFailed, match=r"m3: command failed .* no space left on device") as failed:
        await members.defrag()
    assert "the same command goes on" in failed.value.hint
    assert (members.order, members.done) == (["m2 rests"], ["m2"])
    members.fails, members.order = "", []
    await members.defrag()
    assert members.order == ["m3 rests", "m1 hands on", "m1 rests"]


async def test_an_api_server_that_does_not_come_back_stops_the_others(members: Members) -> None:
    members.after["m2"] = lambda: setattr(members, "away", "m2")
    with pytest.raises(ApplyFailed, match="the API server on m2 does not answer again"):
        await members.defrag()
    assert members.order == ["m2 rests"]


async def test_a_lead_that_nobody_takes_is_an_error(members: Members) -> None:
    members.clings = "m1"
    with pytest.raises(ApplyFailed, match="m1: its member of etcd leads again each time"):
        await members.defrag()
    assert members.order == ["m2 rests", "m3 rests", *["m1 hands on"] * walk.HEIRS]
    assert members.size["m1"] == 1000


async def test_an_alarm_of_damage_in_the_middle_stops_it(members: Members) -> None:
    members.after["m2"] = lambda: members.alarms.append("memberID:3 alarm:CORRUPT ")
    with pytest.raises(ApplyFailed, match="the alarm CORRUPT, raised by m3"):
        await members.defrag()
    assert members.order == ["m2 rests"]


async def test_a_member_that_is_lost_meanwhile_is_named(members: Members) -> None:
    """With a full store the others go on without it, and the alarm stays."""
    members.alarms = ["memberID:2 alarm:NOSPACE "]
    members.after["m2"] = lambda: setattr(members, "silent", "m3")
    with pytest.raises(ApplyFailed, match="stopped: etcd on m3 does not answer any more"):
        await members.defrag()
    assert members.order == ["m2 drops 38", "m2", "m1 hands on", "m1 drops 39", "m1"]


async def test_what_changed_while_somebody_thought_is_seen(members: Members) -> None:
    begun = await look(members.cluster, members)
    members.away = "m3"
    with pytest.raises(ApplyFailed, match="the API server on m3 does not answer again"):
        await defrag(members.cluster, members, begun, lambda _event: None, lambda _one: None)
    assert members.order == []
