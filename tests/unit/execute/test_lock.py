"""The lock: one holder, however they race; nothing of a dead one runs on; a stranger's script is refused."""

import asyncio
import gzip
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from lock_hosts import LockHosts

from quorate.core import Blob, CommandFailed, LockHeld, LockLost, PlanError, TransportError
from quorate.execute import lock
from quorate.render import lock_script
from quorate.state.holder import Holder, _place, _started
from quorate.transport.ssh import SESSIONS

RACES = 10


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LockHosts:
    monkeypatch.setattr(lock_script, "GRACE", 1)
    return LockHosts(tmp_path)


async def test_it_is_on_every_host_and_nothing_is_left_of_it(hosts: LockHosts) -> None:
    async with hosts.taken() as via:
        assert len({hosts.holder(host) for host in "abc"} - {""}) == 1
        assert await via.run("a", "echo done") == "done\n"
    assert not any(hosts.lock(host).exists() for host in "abc")
    assert hosts.said == []


async def test_another_is_refused_and_told_who_holds_it(hosts: LockHosts) -> None:
    async with hosts.taken(verb="destroy") as via:
        token = hosts.holder("a")
        with pytest.raises(LockHeld, match=r"locked by \S+@\S+, pid \d+, destroy for \d s, .* on \w \d s ago") as held:
            async with hosts.taken():
                raise AssertionError
        assert held.value.token == token
        assert "--break-lock" in held.value.hint
        assert {hosts.holder(host) for host in "abc"} == {token}
        assert await via.run("b", "echo on") == "on\n"


@pytest.mark.parametrize("dead", ["", "a"])
async def test_of_those_that_race_exactly_one_wins(hosts: LockHosts, dead: str) -> None:
    """Everybody begins at once; those that lose name the one that won."""

    async def one() -> str:
        try:
            async with hosts.taken() as via:
                await via.run("c", "echo begins >>@log; sleep 0.2; echo ends >>@log")
                await everybody.wait()
                return hosts.holder("b")
        except LockHeld as error:
            await everybody.wait()
            return f"refused by {error.token}"

    hosts.dead |= {dead}
    for _ in range(RACES):
        everybody = asyncio.Barrier(3)
        ends = await asyncio.gather(one(), one(), one())
        winners = [end for end in ends if not end.startswith("refused")]
        assert len(winners) == 1
        assert ends.count(f"refused by {winners[0]}") == 2
    assert hosts.log("c") == "begins\nends\n" * RACES


async def test_a_stale_lock_is_taken_over_and_its_holder_refused(hosts: LockHosts) -> None:
    async with hosts.taken(verb="destroy") as old:
        hosts.ages(lock.STALE + 11)
        async with hosts.taken() as new:
            assert "took over the lock of" in hosts.said[0]
            assert re.search(r", destroy for 5\d s, last sign of life on . 5\d s ago", hosts.said[0])
            with pytest.raises(LockLost, match=r"b: the lock was lost to .*, apply for"):
                await old.run("b", "echo old >>@log")
            before = hosts.scripts["c"]
            with pytest.raises(LockLost):
                await old.run("c", "echo old >>@log")
            assert hosts.scripts["c"] == before, "what is lost is lost everywhere, and nobody has to be asked"
            await new.run("b", "echo new >>@log")
        assert hosts.log("b") == "new\n"


async def test_who_lives_on_one_host_keeps_all(hosts: LockHosts) -> None:
    """Its line to two hosts may be slow: nothing is taken from it there either."""
    async with hosts.taken() as via:
        token = hosts.holder("a")
        hosts.ages(1000, "a", "b")
        before = (hosts.lock("a") / "holder").read_text()
        with pytest.raises(LockHeld, match=r"on c"):
            async with hosts.taken():
                raise AssertionError
        assert (hosts.lock("a") / "holder").read_text() == before
        assert {hosts.holder(host) for host in "abc"} == {token}
        assert await via.run("a", "echo on") == "on\n"


async def test_a_lock_can_be_broken_by_its_token(hosts: LockHosts) -> None:
    async with hosts.taken() as old:
        token = hosts.holder("a")
        with pytest.raises(LockHeld):
            async with hosts.taken("0" * 32):
                raise AssertionError
        async with hosts.taken(token):
            with pytest.raises(LockLost):
                await old.run("a", ":")
            new = hosts.holder("a")
            with pytest.raises(LockLost):
                await old.run("a", ":")
        assert new != token


async def test_who_comes_back_when_another_has_been_there_and_gone_is_refused(hosts: LockHosts) -> None:
    """It slept while the lock was taken from it and given back: free is not the same as forgotten."""
    async with hosts.taken() as old:
        async with hosts.taken(hosts.holder("a")):
            pass
        assert not any(hosts.lock(host).exists() for host in "abc")
        with pytest.raises(LockLost, match=r"b: the lock was lost to \S+@\S+, pid \d+, apply, which has ended"):
            await old.run("b", "echo old >>@log")
        assert hosts.log("b") == ""
        assert not hosts.lock("b").exists()


async def test_who_was_robbed_does_not_remove_the_lock_of_another(hosts: LockHosts) -> None:
    async with hosts.taken():
        token = hosts.holder("a")
        new = hosts.taken(token)
        await new.__aenter__()
    assert {hosts.holder(host) for host in "abc"} - {"", token} == {hosts.holder("b")}
    await new.__aexit__(None, None, None)
    assert not any(hosts.lock(host).exists() for host in "abc")


def test_a_process_that_ended_here_is_known_to_be_dead() -> None:
    child = subprocess.Popen(["sleep", "60"])
    there = replace(Holder.here("apply"), pid=child.pid, started=_started(child.pid))
    assert not there.dead
    child.kill()
    while _started(child.pid):
        pass
    assert there.dead, "also before its parent has taken notice"
    child.wait()
    assert there.dead
    assert replace(there, pid=1).dead, "a pid that came again"
    assert not replace(there, place="another machine").dead
    assert not Holder("token").dead
    assert Holder.of(there.token, there.record.partition(" ")[2]) == there
    assert Holder.of("token", "nonsense") == Holder("token")


async def test_the_lock_of_a_dead_process_is_free_at_once(hosts: LockHosts) -> None:
    gone = replace(Holder.here("apply"), started="1")
    assert gone.place == _place() != ""
    for host in "abc":
        await hosts.run(host, lock_script.take(gone.token, gone.record, {}))
    async with hosts.taken() as via:
        assert await via.run("a", "echo done") == "done\n"
    assert "which has ended" in hosts.said[0]


async def test_a_host_that_rebooted_gets_the_lock_again(hosts: LockHosts) -> None:
    async with hosts.taken() as via:
        token = hosts.holder("a")
        for host in "ab":
            hosts.reboots(host)
        await asyncio.gather(*(via.run(host, "echo once >>@log; sleep 0.2") for host in "aaabbb"))
        assert hosts.log("a") == hosts.log("b") == "once\n" * 3
        assert hosts.holder("a") == hosts.holder("b") == token


async def test_unless_another_was_quicker(hosts: LockHosts) -> None:
    async with hosts.taken() as via:
        hosts.reboots("b")
        other = replace(Holder.here("apply"), token="other")
        await hosts.run("b", lock_script.take(other.token, other.record, {}))
        with pytest.raises(LockLost):
            await via.run("b", "echo x >>@log")
    assert hosts.log("b") == ""
    assert hosts.holder("b") == "other"


async def test_a_host_that_does_not_answer_is_not_asked_again(hosts: LockHosts) -> None:
    hosts.dead |= {"a"}
    async with hosts.taken() as via:
        assert hosts.holder("b") == hosts.holder("c") != ""
        assert hosts.takes == ["a?", "b?", "b!", "c?", "c!"], "now b is the one that decides a race"
        hosts.dead.clear()
        before = hosts.scripts["a"]
        with pytest.raises(TransportError, match="no route"):
            await via.run("a", ":")
        assert hosts.scripts["a"] == before
        with pytest.raises(LockHeld, match="locked by"):
            async with hosts.taken():
                raise AssertionError
        assert not hosts.lock("a").exists()
    hosts.dead |= {*"abc"}
    async with hosts.taken() as via:
        with pytest.raises(TransportError, match="no route"):
            await via.run("c", ":")


async def test_signs_of_life_go_on_beside_long_scripts(hosts: LockHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEW", 0.1)
    async with hosts.taken() as via:
        await asyncio.gather(*(via.run("a", "sleep 1") for _ in range(2 * lock.SCRIPTS)))
        lines = (hosts.lock("a") / "holder").read_text().splitlines()
        assert len(lines) > 2 + 2 * lock.SCRIPTS
        assert int(lines[-1]) > int(lines[1])
        assert hosts.most <= SESSIONS, "else a sign of life waits for a script that may wait for long"
        hosts.reboots("c")
        await hosts.until(lambda: hosts.holder("c") == hosts.holder("a"))
    before = hosts.scripts.copy()
    await asyncio.sleep(0.3)
    assert hosts.scripts == before


async def test_an_interrupted_run_frees_it(hosts: LockHosts) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with hosts.taken():
            began.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(hosts.lock(host).exists() for host in "abc")


async def test_after_the_end_nothing_goes_through(hosts: LockHosts) -> None:
    async with hosts.taken() as via:
        pass
    with pytest.raises(LockLost, match="released"):
        await via.run("a", "echo x >>@log")
    assert hosts.log("a") == ""


@pytest.mark.parametrize("host", ["a", "b"])
async def test_a_script_behind_the_fence_is_as_it_was(hosts: LockHosts, tmp_path: Path, host: str) -> None:
    """Its stdin, its output, its exit code: also when that is the one by which the fence refuses."""
    path = tmp_path / "blob.gz"
    path.write_bytes(gzip.compress(b"content\n" * 100_000))
    async with hosts.taken() as via:
        assert await via.run(host, "gzip -dc", blob=Blob(path, "", 800_000)) == "content\n" * 100_000
        with pytest.raises(CommandFailed) as failed:
            await via.run(host, f"set -eu; echo said; exit {lock_script.REFUSED}")
        assert (failed.value.code, failed.value.stdout) == (lock_script.REFUSED, "said\n")
        assert not isinstance(failed.value, LockLost)


@pytest.mark.parametrize("late", [False, True], ids=["seen at the look", "seen at the take"])
async def test_two_names_of_one_machine_are_told_by_name(
    hosts: LockHosts, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hosts.folder / "a").mkdir(parents=True, exist_ok=True)
    (hosts.folder / "b").symlink_to("a")
    if late:
        monkeypatch.setattr(lock_script, "LOOK", ":")
    with pytest.raises(PlanError, match=r"^b and a are one machine") as told:
        async with hosts.taken():
            pass
    assert "correct the address" in told.value.hint
    assert hosts.holder("a") == hosts.holder("c") == ""
