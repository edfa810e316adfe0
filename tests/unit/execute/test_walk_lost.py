"""The walk when hosts go away: patience, siblings, giving up, and a user who does not want to wait."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hosts_in_memory import Gate, Hosts, Thing, gzipped
from test_walk import chain, names, plan

from quorate.core import Action, Blob, CommandFailed, Key, LockLost, State, TransportError
from quorate.execute import apply as module
from quorate.execute import once
from quorate.execute.apply import UPLOADS_OF_HOST, Executor
from quorate.execute.outcome import Outcome
from quorate.execute.regain import BACK_WITHIN_S, PAUSES
from quorate.report.event import Event, Said
from quorate.resource.resource import Resource


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause takes no time, and is noted."""
    noted, real = list[float](), asyncio.sleep

    async def sleep(seconds: float) -> None:
        noted.append(seconds)
        await real(0)

    monkeypatch.setattr("asyncio.sleep", sleep)
    return noted


@dataclass
class Door(Hosts):
    """Hosts whose scripts a test may meddle with before they run."""

    meets: Callable[[str, str], None] = lambda host, script: None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        self.asked.append((host, script))
        self.meets(host, script)
        return await super().run(host, script, blob=blob, on_line=on_line, timeout=timeout)


async def walked(resources: Iterable[Resource], door: Door, lose: Callable[[], None], events: list[Event]) -> Outcome:
    """A walk that begins when all hosts are well; `lose` takes one away then."""
    found = await plan(resources, door)
    door.asked.clear()
    lose()
    return await Executor(found, door, events.append).run()


async def test_a_reboot_of_a_minute_is_waited_for_and_holds_no_other_host_up(pauses: list[float]) -> None:
    mine, others = chain("x", "y"), [Gate(host="b", what=f"g{number}") for number in range(8)]
    door, events = Door(), list[Event]()
    left = [9]

    def lost(host: str, script: str) -> None:
        if host == "a" and left[0]:
            left[0] -= 1
            raise TransportError("no route", host=host)

    door.meets = lost
    outcome = await walked([*mine, *others], door, lambda: None, events)
    assert outcome.ok
    assert 35 < sum(pauses) < BACK_WITHIN_S
    first = door.ran.index(("a", "@set x 1"))
    assert first == len(others), "the other host waited"
    assert [event.text for event in events if isinstance(event, Said)] == [
        "no route; waiting up to 90 s for it to come back",
        "",
    ]


def test_the_patience_fits_a_reboot() -> None:
    assert BACK_WITHIN_S - PAUSES[-1] < sum(PAUSES) <= BACK_WITHIN_S
    assert all(later <= 2 * sooner for sooner, later in pairwise(PAUSES))
    assert PAUSES[0] <= 0.5


@pytest.mark.usefixtures("pauses")
async def test_a_host_is_given_up_once_and_for_all_its_steps(tmp_path: Path) -> None:
    large = [Thing(host="a", thing=f"l{number}", blob=gzipped(tmp_path, f"l{number}")) for number in range(20)]
    behind = Thing(host="b", thing="behind", explicit=frozenset({large[-1].key}))
    free = chain("f", "g", host="b")
    door = Door()
    outcome = await walked([*large, behind, *free], door, lambda: door.dead.add("a"), [])
    assert {"f", "g"} == set(names(outcome.changed))
    assert len(outcome.failed) == UPLOADS_OF_HOST
    assert len(door.asked) <= UPLOADS_OF_HOST * (1 + len(PAUSES)) + 2, "every step waited for itself"
    for error in outcome.failed.values():
        assert error == "a: gone; not regained within 90 s: gone"
    assert len(outcome.skipped) == 20 - UPLOADS_OF_HOST + 1
    assert set(outcome.skipped.values()) <= set(outcome.failed), "skipped without a reason"
    assert outcome.skipped[behind.key].host == "a"
    assert not outcome.ok


async def test_a_stop_does_not_wait_for_a_lost_host() -> None:
    door, told = Door(), asyncio.Event()
    found = await plan(chain("x", "y"), door)
    door.dead.add("a")
    walking = Executor(found, door, lambda event: told.set())
    running = asyncio.create_task(walking.run())
    await told.wait()
    began = time.monotonic()
    walking.stop()
    outcome = await running
    assert time.monotonic() - began < 0.4, "shorter than any pause"
    assert outcome.stopped
    assert set(outcome.failed.values()) == {"a: gone; stopped before it could be looked at again"}


class Stuck(Door):
    """Its scripts do not end; it notes which were cut off, and takes its time for that."""

    cut: list[str] = field(default_factory=list)
    farewell = 0.0

    async def run(self, host: str, script: str, **more: object) -> str:
        if "@set" not in script:
            return await super().run(host, script, **more)  # type: ignore[arg-type]
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(self.farewell)
            self.ran.append((host, "cut off"))
            raise
        return ""


@pytest.mark.parametrize(("farewell", "cut"), [(0.0, 2), (30.0, 0)])
async def test_an_abort_cuts_off_what_runs_and_does_not_wait_long(
    farewell: float, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE", 0.2)
    door = Stuck()
    door.farewell = farewell
    resources = [*chain("x", "y"), *chain("z", host="b")]
    walking = Executor(await plan(resources, door), door, lambda event: None)
    running = asyncio.create_task(walking.run())
    await asyncio.sleep(0.05)
    walking.stop()
    await asyncio.sleep(0.05)
    assert not running.done(), "what runs may end after a stop"
    began = time.monotonic()
    walking.abort()
    outcome = await running
    assert time.monotonic() - began < 1
    assert len(door.ran) == cut
    assert outcome.stopped
    assert sorted(names(outcome.left)) == ["x", "y", "z"]
    assert not outcome.failed


async def test_a_walk_that_is_cancelled_leaves_nothing_running() -> None:
    door = Stuck()
    running = asyncio.create_task(Executor(await plan(chain("x"), door), door, lambda event: None).run())
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.05)
    assert door.ran == [("a", "cut off")]


@pytest.mark.usefixtures("pauses")
async def test_the_look_comes_after_the_script_that_was_lost_has_ended() -> None:
    door, busy = Door(cut_before={("a", "@set x 1")}), [2]

    def still_running(host: str, script: str) -> None:
        if "@set" not in script and busy[0]:
            busy[0] -= 1
            raise CommandFailed("command failed", host=host, code=once.BUSY)

    found = await plan(chain("x"), door)
    door.asked.clear()
    door.meets = still_running
    assert (await Executor(found, door, lambda event: None).run()).ok
    acted, *looks, again = [script for _, script in door.asked]
    (name,) = set(re.findall(r"/script-[\w-]+", acted))
    assert len(looks) == 3
    assert all(f"{name}\n" in look for look in looks)
    assert name not in again, "a script of the same name would never begin"


@pytest.mark.usefixtures("pauses")
async def test_a_host_that_comes_back_with_another_holder_of_the_lock() -> None:
    door = Door(cut_before={("a", "@set x 1")})

    def refuse(host: str, script: str) -> None:
        if "@set" not in script:
            raise LockLost("the lock was lost to ann", host=host, code=251)

    found = await plan(chain("x"), door)
    door.meets = refuse
    outcome = await Executor(found, door, lambda event: None).run()
    assert list(outcome.failed.values()) == ["a: lost; a: the lock was lost to ann"]
    assert door.ran == []


@pytest.mark.usefixtures("pauses")
async def test_no_file_of_a_step_is_under_way_when_another_of_it_is_sent_again(tmp_path: Path) -> None:
    class Two(Thing):
        def converge(self, actual: State) -> list[Action]:
            return [Action(f"@set {name} 1", blob=gzipped(tmp_path, name)) for name in ("slow", self.thing)]

    under_way, real = set[str](), asyncio.sleep

    class Uneven(Door):
        async def run(self, host: str, script: str, *, blob: Blob | None = None, **more: object) -> str:
            if blob is None:
                assert not under_way, "looked while a file was still being sent"
            elif "@set slow" in script:
                assert not under_way
                under_way.add("slow")
                for _ in range(50):
                    await real(0)
                under_way.discard("slow")
            return await super().run(host, script, blob=blob, **more)  # type: ignore[arg-type]

    door = Uneven(cut_before={("a", "@set l 1")})
    assert (await Executor(await plan([Two(host="a", thing="l")], door), door, lambda event: None).run()).ok


async def test_nobody_waits_for_a_proof_after_an_abort() -> None:
    asked = asyncio.Event()

    async def proof() -> dict[Key, str]:
        asked.set()
        await asyncio.Event().wait()
        return {}

    hosts = Hosts()
    walking = Executor(await plan(chain("x"), hosts), hosts, lambda event: None, proof)
    running = asyncio.create_task(walking.run())
    await asked.wait()
    walking.abort()
    outcome = await asyncio.wait_for(running, 5)
    assert (outcome.stopped, outcome.ok, names(outcome.changed)) == (True, False, ["x"])
    assert len(asyncio.all_tasks()) == 1, "nothing asks on"
