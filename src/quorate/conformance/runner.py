"""Shards of the suite side by side, then those that bear nothing beside them; results are kept as they come."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from quorate.conformance.program import Program
from quorate.conformance.result import Outcome, Result
from quorate.conformance.session import SHARDS, Session
from quorate.conformance.tests import Case, alone, shards

MOST = 4
"""Tests in one shard: each costs the start of the suite's program once, and is lost when a run is killed."""
FEW = 3
"""Failures up to which, or a tenth of all tests, each gets a second try by itself: a request that met a virtual IP on
its way, or a pod that was slow on a busy machine, is no fault of the cluster's. Where more fail, there is one."""
PATIENT = 270.0
"""Seconds of a test's own from which on a failure gets no second try in a quick run: most waits of the suite end after
five minutes, and what did not come in them is not late. A full run takes the time: some of its tests wait for what
comes every five minutes, as etcd's compaction does, and miss it when they begin at the wrong moment."""
Say = Callable[[str], None]


class Progress:
    """How far a run is, and how long it will take, as a line."""

    def __init__(self, total: int, before: Sequence[Result], say: Say) -> None:
        self._total, self._done, self._say = total, len(before), say
        self._began, self._first = time.monotonic(), len(before)
        self._failed = sum(1 for each in before if each.outcome is Outcome.FAILED)

    def told(self, results: Sequence[Result]) -> None:
        """Some more have ended."""
        self._done += len(results)
        self._failed += sum(1 for each in results if each.outcome is Outcome.FAILED)
        passed = time.monotonic() - self._began
        left = passed / (self._done - self._first) * (self._total - self._done)
        bad = f", {self._failed} failed" if self._failed else ""
        self._say(f"{self._done} of {self._total} tests{bad}, about {minutes(left)} left")


def minutes(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


async def run(session: Session, program: Program, jobs: int, say: Say) -> list[Result]:
    """Run what has no result yet, `jobs` shards at once; all results in order of the tests.

    Raises OSError when results can't be kept.
    """
    rest = session.rest()
    progress = Progress(len(session.chosen.tests), session.results(), say)
    first = session.next_number()
    numbered = list(enumerate(shards(rest, _size(rest, jobs)), first))
    free = asyncio.Semaphore(jobs)

    async def one(number: int, tests: Sequence[Case]) -> None:
        async with free:
            results = await program.run(tests, session.folder / SHARDS / f"{number:04d}")
            session.keep(number, results)
            progress.told(results)

    say(f"{len(rest)} tests, {jobs} at once")
    try:
        async with asyncio.TaskGroup() as group:
            for number, tests in numbered:
                if not alone(tests[0]):
                    group.create_task(one(number, tests))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    for number, tests in numbered:
        if alone(tests[0]):
            await one(number, tests)
    await _again(session, program, say)
    return session.results()


async def _again(session: Session, program: Program, say: Say) -> None:
    """A second try for each of few failures; it is told with the first one's reason."""
    results = session.results()
    failed = [each for each in results if each.outcome is Outcome.FAILED]
    if len(failed) > max(FEW, len(results) // 10):
        return
    longest = math.inf if session.choice.full else PATIENT
    for first in (each for each in failed if each.seconds < longest):
        say(f"once more: {first.name}")
        number = session.next_number()
        (second,) = await program.run([Case(first.name)], session.folder / SHARDS / f"{number:04d}")
        if second.outcome is Outcome.PASSED:
            second = replace(second, reason=f"at the second try; the first: {first.reason}", log=first.log)
        elif second.reason != first.reason:
            second = replace(second, reason=f"{second.reason}; at the first try: {first.reason}")
        session.keep(number, [second])


def _size(tests: Sequence[Case], jobs: int) -> int:
    """Tests in a shard: few enough that all jobs have work to the end."""
    return max(1, min(MOST, len(tests) // (2 * jobs)))
