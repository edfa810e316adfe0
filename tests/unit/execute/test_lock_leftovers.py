"""What an earlier run left at work on a host: the next one waits for it, ends it, or names it."""

import asyncio
from pathlib import Path

import pytest
from lock_hosts import LockHosts

from quorate.core import CommandFailed, LockHeld
from quorate.render import lock_script


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LockHosts:
    monkeypatch.setattr(lock_script, "GRACE", 1)
    return LockHosts(tmp_path)


@pytest.mark.parametrize("host", ["a", "b"])
async def test_nothing_of_the_run_before_is_at_work_any_more(hosts: LockHosts, host: str) -> None:
    """A waiting loop ends; a program ends by itself, what would come after it does not come."""
    async with hosts.taken() as old:
        loop = asyncio.create_task(old.run(host, "set -eu; ( while :; do echo x >>@log; sleep 0.05; done )"))
        await hosts.begins(host)
        program = asyncio.create_task(
            old.run(host, ": >@log.2; sh -c 'sleep 3; echo program >>@log'; echo after >>@log")
        )
        await hosts.until((hosts.folder / host / "log.2").exists)
        hosts.ages(100)
        async with hosts.taken():
            log = hosts.log(host)
            assert log.endswith("program\n")
            await asyncio.sleep(0.3)
            assert hosts.log(host) == log
            for task in (loop, program):
                with pytest.raises(CommandFailed, match="SIGTERM"):
                    await task


async def test_a_short_script_ends_by_itself(hosts: LockHosts) -> None:
    async with hosts.taken() as old:
        task = asyncio.create_task(old.run("a", "echo begins >>@log; sleep 0.5; echo ends >>@log"))
        await hosts.begins("a")
        async with hosts.taken(hosts.holder("a")):
            assert hosts.log("a") == "begins\nends\n"
            await task


async def test_also_when_that_run_has_given_back_its_lock(hosts: LockHosts) -> None:
    """Aborted, or its connection was lost: it is over, and what it started is not."""
    async with hosts.taken() as old:
        task = asyncio.create_task(old.run("a", "echo begins >>@log; sleep 0.8; echo ends >>@log"))
        await hosts.begins("a")
    assert hosts.holder("a") == ""
    async with hosts.taken():
        assert hosts.log("a") == "begins\nends\n"
        await task
    assert not hosts.lock("a").exists()


async def test_what_does_not_end_is_named_and_the_lock_not_kept(
    hosts: LockHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_script, "PROGRAMS_END_WITHIN_S", 1)
    async with hosts.taken() as old:
        task = asyncio.create_task(old.run("a", "echo x >>@log; sleep 8"))
        await hosts.begins("a")
        token = hosts.holder("a")
        with pytest.raises(LockHeld, match=r"a: sleep \(\d+\) of an earlier run is still at work"):
            async with hosts.taken(token):
                raise AssertionError
        assert hosts.holder("a") == ""
        assert hosts.holder("b") == token, "one after the other: what could not be had was not touched"
        with pytest.raises(CommandFailed):
            await task


async def test_what_a_killed_taker_left_is_no_obstacle(hosts: LockHosts) -> None:
    for host in "ab":
        hosts.lock(host).mkdir(parents=True)
        (hosts.lock(host) / "holder.new").write_text("half")
        (hosts.lock(host) / "running").touch()
    async with hosts.taken() as via:
        await via.run("a", ":")
    assert not hosts.lock("a").exists()
