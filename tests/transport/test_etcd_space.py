"""Defragmentation with a real etcd: members in turn, a full store, and what must not be begun."""

import json
import os
from pathlib import Path

import pytest
from etcd_cluster import NEW, OLD, QUOTA, EtcdCluster, etcd_cluster

from quorate.component.etcd import etcdctl
from quorate.core import ApplyFailed, CommandFailed, PlanError
from quorate.execute.members import problems
from quorate.procedure import upkeep
from quorate.procedure.defrag import Defragmented, defrag, demand, look
from quorate.render import defrag as script
from quorate.report.event import Event, Said

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

MEGABYTE = "head -c 1000000 /dev/zero | tr '\\0' x"


def ctl(made: EtcdCluster, name: str = "e1") -> str:
    return etcdctl(made.cluster.host(name))


def put(made: EtcdCluster, key: str, times: int) -> str:
    """Write a megabyte so many times under one key, or until it is refused; what was said then."""
    loop = f"for i in $(seq {times}); do {MEGABYTE} | {ctl(made)} put {key} 2>&1 >/dev/null || exit 0; done"
    return made.sh("e1", loop)


def history_gone(made: EtcdCluster) -> None:
    """What Kubernetes does every five minutes."""
    revision = f"$({ctl(made)} endpoint status -w fields | sed -n 's/^\"Revision\" : //p')"
    made.sh("e1", f"{ctl(made)} compact --physical {revision}")


async def run(made: EtcdCluster) -> tuple[list[Defragmented], list[Event]]:
    begun, done, events = await look(made.cluster, made.via), list[Defragmented](), list[Event]()
    demand(begun)
    await defrag(made.cluster, made.via, begun, events.append, done.append)
    return done, events


@pytest.mark.parametrize("which", [OLD, NEW])
async def test_a_full_store_takes_writes_again(tmp_path: Path, which: str) -> None:
    with etcd_cluster(tmp_path, which, "e1", "e2", "e3", masters=2) as made:
        made.sh("e1", f"{ctl(made)} put kept yes")
        assert "database space exceeded" in put(made, "a", 40)
        now = await look(made.cluster, made.via)
        (first,) = (member.host for member in now.members if member.leader)
        assert now.full
        assert all(member.quota_bytes == QUOTA for member in now.members)
        assert "etcd has the alarm NOSPACE, raised by e" in problems(now.members)[0]
        done, events = await run(made)
        assert [one.host for one in done] == [*sorted({"e1", "e2", "e3"} - {first}), first], "the leader is the last"
        assert all(one.after < 4_000_000 < 10_000_000 < one.before for one in done), done
        assert [each.host for each in events if isinstance(each, Said) and "hands the lead" in each.text] == [first]
        assert [each.calls for each in made.cells.values()] == [[], [], []], "no API server stops with a full store"
        assert (await look(made.cluster, made.via)).alarms == ()
        assert made.sh("e2", f"{ctl(made, 'e2')} put b c; {ctl(made, 'e2')} get --print-value-only kept") == "OK\nyes\n"


@pytest.mark.parametrize("which", [OLD, NEW])
async def test_what_is_free_comes_back_while_one_api_server_after_the_other_rests(tmp_path: Path, which: str) -> None:
    with etcd_cluster(tmp_path, which, "e1", "e2", "e3", masters=2, quota=4 * QUOTA) as made:
        put(made, "a", 36)
        history_gone(made)
        # Each member drops history on its own time, and tells what is free inside when it writes the next time.
        now = await look(made.cluster, made.via)
        while len(upkeep.due(now)) < 3:
            made.sh("e1", f"{ctl(made)} put some thing")
            now = await look(made.cluster, made.via)
        assert "is free inside by more than 50%" in problems(now.members)[0]
        done, _ = await run(made)
        assert {one.host: one.rested for one in done} == {"e1": True, "e2": True, "e3": False}
        calls = sorted(call for cell in made.cells.values() for call in cell.calls)
        assert [(state, unit) for _, state, unit in calls] == [
            ("inactive", "kube-apiserver.service"),
            ("active", "kube-apiserver.service"),
        ] * 2, "never two at once"
        assert upkeep.due(await look(made.cluster, made.via)) == (), "the same once more has nothing to do"


@pytest.mark.parametrize("which", [OLD, NEW])
async def test_damaged_data_are_refused_and_their_alarm_stays(tmp_path: Path, which: str) -> None:
    with etcd_cluster(tmp_path, which, "e1", "e2", "e3") as made:
        put(made, "a", 40)
        now = await look(made.cluster, made.via)
        tls = "--cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/client.crt --key /etc/etcd/pki/client.key"
        raised = f'{{"action":"ACTIVATE","memberID":"{int(now.of("e2").id, 16)}","alarm":"CORRUPT"}}'
        made.sh("e1", f"curl -gsf {tls} -d '{raised}' https://127.0.0.1:2379/v3/maintenance/alarm")
        now = await look(made.cluster, made.via)
        assert (now.alarms[0].kind, now.alarms[0].hosts) == ("CORRUPT", ("e2",))
        assert now.full
        with pytest.raises(PlanError, match="nothing is defragmented: etcd has the alarm CORRUPT, raised by e2"):
            demand(now)
        with pytest.raises(CommandFailed, match="CORRUPT"):
            await made.via.run("e1", script.disarmed(ctl(made)))
        assert (await look(made.cluster, made.via)).alarms == now.alarms
        # What docs/tasks/etcd-space.md says: reads go on, nothing else does; who differs leaves.
        made.sh("e1", f"{ctl(made)} get a --keys-only")
        for words in ("del some", "compact 3"):
            assert "corrupt cluster" in made.sh("e1", f"{ctl(made)} {words} 2>&1 || :"), words
        hashes = made.sh("e1", f"{ctl(made)} endpoint hashkv --cluster -w json")
        assert len({each["HashKV"]["hash"] for each in json.loads(hashes)}) == 1, "they are told, and equal here"
        # etcd lets nobody go before all have been connected for 5 s; who goes may lead.
        for words in (f"member remove {now.of('e2').id}", "alarm disarm"):
            made.sh("e1", f"until {ctl(made)} {words}; do sleep 1; done")
        assert made.sh("e1", f"{ctl(made)} get --keys-only a").split() == ["a"]


async def test_a_lost_member_keeps_the_others_as_they_are_unless_a_store_is_full(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path, OLD, "e1", "e2", "e3") as made:
        now = await look(made.cluster, made.via)
        lost = next(member.host for member in now.members if not member.leader and member.host != "e1")
        put(made, "a", 8)
        history_gone(made)
        made.end(lost)
        now = await look(made.cluster, made.via)
        with pytest.raises(PlanError, match=f"etcd on {lost} is not well"):
            demand(now)
        assert "exceeded" in put(made, "a", 40)
        now = await look(made.cluster, made.via)
        demand(now)
        due = upkeep.due(now)
        assert {member.host for member in due} == {"e1", "e2", "e3"} - {lost}
        assert f"{lost} is left as it is: its store is full still when it returns." in upkeep.consequences(
            made.cluster, now, due
        )


async def test_a_single_member_says_how_long_nothing_answers(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path, NEW, "e1", masters=1, quota=4 * QUOTA) as made:
        put(made, "a", 30)
        history_gone(made)
        now = await look(made.cluster, made.via)
        assert upkeep.consequences(made.cluster, now, upkeep.due(now)) == [
            "etcd has one member: the API answers nothing for about 1 s."
        ]
        done, _ = await run(made)
        assert [(one.host, one.rested) for one in done] == [("e1", False)]
        assert done[0].seconds < 1
        assert made.cells["e1"].calls == []


async def test_an_alarm_stays_when_nothing_can_be_given_back(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path, NEW, "e1") as made:
        refused = None
        # etcd takes room on the disk ahead, so the first time there may be some to give back.
        for name in ("a", "b", "c", "d"):
            assert "exceeded" in put(made, f"{name}$i", 40)
            try:
                await run(made)
            except ApplyFailed as error:
                refused = error
                break
        assert refused is not None
        assert "the alarm stays: e1 1" in str(refused)
        assert "raise etcd.quota_bytes" in refused.hint
        made.sh("e1", f"{ctl(made)} del --prefix a")
        done, _ = await run(made)
        assert done[0].after < 0.8 * QUOTA
        assert made.sh("e1", f"{ctl(made)} put e f") == "OK\n"
