"""The probe: what it makes of each fault of an API, and how it begins and ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from api_in_memory import Api, Pki
from probing import FAULT, PACE, Probing, probing

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, ProbeConfig
from quorate.drill.record import Result
from quorate.drill.recorder import Recorder
from quorate.drill.session import session

SLACK = 0.3
"""Seconds by which a gap may exceed its fault and what this machine itself was held up."""


def gaps(result: Result) -> list[float]:
    return [result.new.longest_gap, result.kept.longest_gap, result.writes.longest_gap]


def expect_gaps(found: Probing) -> None:
    """Each stream has a gap that the fault explains."""
    most = found.fault + SLACK + 2 * found.result.longest_pause
    for gap in gaps(found.result):
        assert FAULT * 0.9 <= gap <= most


# What is seen of an API's faults


async def test_without_a_fault_nothing_is_missing(api: Api) -> None:
    async with Probe(api.target(), PACE, namespace="mine") as probe:
        probe.mark("begun")
        assert "mine" in api.namespaces
        for _ in range(100):
            await asyncio.sleep(0.05)
            if probe.so_far().acknowledged > 10:
                break
    found = probe.result
    assert found
    for stream in (found.new, found.kept, found.writes, found.watch):
        assert stream.total > 5
        assert (stream.failed, stream.words) == (0, {})
    assert max(gaps(found)) < 1
    assert found.acknowledged > 5
    assert (found.lost, found.undone, found.unseen, found.unknown, found.disorder) == ((), (), (), 0, 0)
    assert (found.reopened, found.gone, found.problem) == (0, 0, "")
    assert found.longest_delay < 1
    assert 0.02 <= found.longest_pause < 1
    assert 0 <= found.marks["begun"] < 1
    assert api.namespaces == {}
    # Each try of `new` had a connection to itself.
    assert api.connections > found.new.total


async def test_refused_connections_are_a_gap_of_that_time(api: Api) -> None:
    async with probing(api) as found:
        async with found.during():
            api.refuse()
        await api.accept()
        await found.writes(3)
    expect_gaps(found)
    assert found.result.new.words["refused"] >= 3
    assert found.result.kept.words["refused"] >= 1
    assert found.result.reopened == 1
    assert found.result.watch.failed >= 1
    assert (found.result.lost, found.result.undone, found.result.unseen) == ((), (), ())


async def test_a_hang_is_a_gap_though_every_request_is_answered_in_the_end(api: Api) -> None:
    async with probing(api) as found:
        async with found.during():
            api.answering.clear()
        api.answering.set()
        await found.writes(3)
    expect_gaps(found)
    assert found.result.new.failed == 0
    # Tries began all the while, so many of them were slow, not one.
    assert sum(each.seconds > 0.05 for each in found.result.new.tries) >= 4


async def test_tries_that_hang_too_long_fail_and_their_writes_do_not_come_true_later(api: Api) -> None:
    async with probing(api, Pace(0.02, 0.02, 0.02, 0.02, timeout=0.1, patience=2)) as found:
        async with found.during():
            api.answering.clear()
        api.answering.set()
        await found.writes(3)
    result = found.result
    assert min(gaps(result)) >= FAULT * 0.9
    assert result.new.words["timeout"] >= 3
    assert result.unknown >= 1
    assert result.writes.words["unknown-timeout"] == result.unknown
    assert (result.lost, result.undone, result.disorder, result.problem) == ((), (), 0, "")


async def test_an_answer_cut_in_half_is_no_answer(api: Api) -> None:
    async with probing(api) as found:
        async with found.during():
            api.cut = True
        api.cut = False
        await found.writes(3)
    expect_gaps(found)
    assert {*found.result.new.words, *found.result.kept.words} == {"cut"}
    # They were done, but nobody knows: neither acknowledged nor lost.
    assert {*found.result.writes.words} <= {"unknown-cut", "cut"}
    assert found.result.unknown >= 1
    assert (found.result.lost, found.result.undone) == ((), ())


async def test_errors_of_the_server_are_failures(api: Api) -> None:
    async with probing(api) as found:
        async with found.during():
            api.status = 503
        api.status = 0
        await found.writes(3)
    expect_gaps(found)
    assert {*found.result.new.words} == {"http-503"}
    assert {*found.result.writes.words} <= {"http-503", "unknown-http-503"}


async def test_an_api_server_that_is_about_to_end_puts_off(api: Api) -> None:
    async with probing(api) as found:
        async with found.during():
            api.status, api.put_off = 503, True
        api.status, api.put_off = 0, False
        await found.writes(3)
    expect_gaps(found)
    assert {*found.result.new.words, *found.result.kept.words} == {"put-off"}
    assert {*found.result.writes.words} <= {"put-off", "unknown-put-off"}


async def test_a_lost_write_is_found(api: Api) -> None:
    api.lose = {5}
    async with probing(api) as found:
        await found.writes(6)
    assert found.result.lost == (5,)
    assert found.result.undone == (5,)
    assert found.result.writes.failed == 0


async def test_versions_that_go_back_are_seen(api: Api) -> None:
    api.backwards = {5}
    async with probing(api) as found:
        await found.writes(6)
    assert found.result.disorder == 1
    assert found.result.lost == ()


async def test_many_writes_fill_one_object_after_the_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.drill.writes.CHUNK", 4)
    async with probing(api, Pace(0.1, 0.1, 0.005, 0.02)) as found:
        await found.writes(10)
    assert len(api.objects) >= 3
    assert (found.result.lost, found.result.undone, found.result.disorder, found.result.unseen) == ((), (), 0, ())


async def test_a_watch_goes_on_where_it_broke_off_and_lists_what_is_gone(api: Api) -> None:
    async with probing(api) as found:
        api.break_off()
        await found.writes(3)
        api.oldest = 10_000
        api.break_off()
        await found.until(lambda: found.result.gone > 0)
        api.oldest = 0
        await found.writes(3)
    assert found.result.reopened >= 2
    assert found.result.gone >= 1
    assert found.result.unseen == ()
    assert found.result.kept.failed >= 1


async def test_a_watch_that_says_nothing_is_opened_again(api: Api) -> None:
    async with probing(api, Pace(0.1, 0.1, 0.02, 0.02, timeout=0.15, patience=2)) as found:
        api.silent = True
        await found.writes(3)
        api.silent = False
        await found.until(lambda: found.result.watch.failed > 0)
        await found.writes(3)
    assert found.result.watch.words["silent"] >= 1
    assert found.result.unseen == ()
    assert found.result.longest_delay >= 0.15


# How it begins and ends


async def test_it_leaves_a_namespace_of_others_alone(api: Api) -> None:
    api.namespaces["quorate-probe"] = {"status": {"phase": "Active"}}
    with pytest.raises(QuorateError, match="exists already"):
        async with Probe(api.target(), PACE):
            pytest.fail("it began")
    assert "quorate-probe" in api.namespaces


@pytest.mark.parametrize("wrong", ["ca", "name"])
async def test_it_trusts_nobody_else(api: Api, tmp_path: Path, wrong: str) -> None:
    changes = {"ca": {"ca_pem": Pki(tmp_path).ca}, "name": {"server_name": "other.test"}}[wrong]
    order = ProbeConfig(api.target(**changes), PACE)
    with pytest.raises(QuorateError, match="could not be made: certificate"):
        await session(order, Recorder().take, asyncio.Event())
    assert api.namespaces == {}


async def test_an_api_that_is_away_at_the_end_is_a_problem(api: Api) -> None:
    async with probing(api, Pace(0.02, 0.02, 0.02, 0.02, timeout=1, patience=0.3)) as found:
        api.refuse()
    assert "the writes could not be read back: refused" in found.result.problem
    assert "quorate-probe is still there" in found.result.problem


async def test_a_probe_that_dies_is_an_error(api: Api) -> None:
    with pytest.raises(QuorateError, match="ended with -9"):
        async with Probe(api.target(), PACE) as probe:
            os.kill(probe._process.pid, signal.SIGKILL)


async def test_its_process_puts_things_back_when_the_parent_is_gone(api: Api) -> None:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-P", "-m", "quorate.drill.child")
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{ProbeConfig(api.target(), PACE).text()}\n".encode())
    assert b"begin" in await process.stdout.readline()
    assert "quorate-probe" in api.namespaces
    for end in (0, 1):
        process._transport.get_pipe_transport(end).close()  # type: ignore[attr-defined]
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert api.namespaces == {}
