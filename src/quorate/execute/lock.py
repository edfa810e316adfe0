"""One writer: a lock on the cluster's own hosts, held by who changes it and checked by each host before each script.

It is on every host that answers, so two runs meet wherever both reach a host. The first host in the order of names
decides a race. A holder gives a sign of life every RENEW seconds; without one for STALE seconds on any host, by the
hosts' own uptime, the lock is free to take. A holder that comes back after that is refused by the hosts.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from quorate.core import (
    Blob,
    CommandFailed,
    LockHeld,
    LockLost,
    PlanError,
    QuorateError,
    Transport,
    TransportError,
    read,
)
from quorate.plan.words import clean
from quorate.render import lock_script
from quorate.render.lock_script import PROGRAMS_END_WITHIN_S, REFUSED, SAYS
from quorate.report.event import Emit, Said
from quorate.state.holder import Holder
from quorate.transport.ssh import SESSIONS

T = TypeVar("T")
RENEW = 10.0
"""Seconds between two signs of life."""
STALE = 40
"""Seconds without one after which the holder counts as dead: three may be late on a slow line."""
FAREWELL = 5.0
"""Seconds that releasing may take; what is left behind is stale soon."""
SCRIPTS = SESSIONS - 1
"""Scripts at once on one host: one session stays free for signs of life, however long the others wait."""


@dataclass(frozen=True)
class Found:
    """A holder, as a host tells of it."""

    host: str
    holder: Holder
    idle: int
    """Seconds since its last sign of life."""
    age: int
    """Seconds since it took the lock."""
    ended: bool = False
    """It has given the lock back."""

    def __str__(self) -> str:
        if self.ended:
            return clean(f"{self.holder}, which has ended")
        return clean(f"{self.holder} for {self.age} s, last sign of life on {self.host} {self.idle} s ago")


@asynccontextmanager
async def hold(
    hosts: Iterable[str], via: Transport, verb: str, emit: Emit, *, broken: Collection[str] = ()
) -> AsyncIterator["Locked"]:
    """Hold the lock of these hosts, as far as they answer; what is yielded is the only way to change them.

    `broken`: tokens of holders that it is taken from though they live. Raises LockHeld when somebody else holds
    it, or when what an earlier run started does not end within PROGRAMS_END_WITHIN_S seconds; PlanError when two of the
    names lead to one machine.
    """
    locked = Locked(hosts, via, verb, emit)
    keeping: list[asyncio.Task[None]] = []
    try:
        await locked.take(broken)
        keeping = [asyncio.create_task(locked.keep(host)) for host in locked.held]
        yield locked
    finally:
        locked.over = True
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await locked.release()


class Locked:
    """A transport for the holder's scripts alone."""

    def __init__(self, hosts: Iterable[str], via: Transport, verb: str, emit: Emit) -> None:
        self._hosts, self._via, self._emit = sorted(hosts), via, emit
        self._mine = Holder.here(verb)
        self._fence = lock_script.fence(self._mine.token)
        self.held: set[str] = set()
        self.over = False
        """Released: nothing goes through any more."""
        self.lost: Found | None = None
        """Who took the lock from us."""
        self._absent: dict[str, TransportError] = {}
        self._room: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(SCRIPTS))
        self._taking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run a script where the lock is ours; see `core.Transport`.

        A host that did not answer when the lock was taken is not asked again. One that has rebooted since, and knows
        of no other run, gets the lock again. Raises LockLost when another run has taken it: here, and from then on
        for every host.
        """
        async with self._room[host]:
            return await self._fenced(host, script, partial(self._via.run, blob=blob, on_line=on_line, timeout=timeout))

    async def read(self, host: str, script: str) -> bytes:
        """See `core.ReadsBytes`, and `run`."""
        async with self._room[host]:
            return await self._fenced(host, script, partial(read, self._via))

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """Nothing is changed by it; see `core.Transport`."""
        return self._via.forward(host, port)

    async def close(self) -> None:
        """Close the transport that this one goes by."""
        await self._via.close()

    async def _fenced(self, host: str, script: str, run: Callable[[str, str], Awaitable[T]]) -> T:
        again = True
        while True:
            self._demand(host)
            try:
                return await run(host, self._fence + script)
            except CommandFailed as error:
                if error.code != REFUSED or SAYS not in error.stdout:
                    raise
                found = _found(host, error.stdout)
                if found and found.holder.token != self._mine.token:
                    self._lose(found)
                elif again and not found:
                    again = False
                    await self._take_again(host)
                else:
                    raise

    def _demand(self, host: str) -> None:
        """Refuse where nothing may be done any more, without asking the host."""
        if self.lost:
            raise self._loss(host, self.lost)
        if self.over:
            raise LockLost("the lock is released: nothing more is done here", host=host, code=REFUSED)
        if error := self._absent.get(host):
            raise replace(error)

    def _lose(self, found: Found) -> None:
        self.lost = found
        raise self._loss(found.host, found) from None

    def _loss(self, host: str, found: Found) -> LockLost:
        message = f"the lock was lost to {found}; nothing more was done here"
        return LockLost(message, "look at what that run does, then run again", host=host, code=REFUSED, stdout=message)

    async def _take_again(self, host: str) -> None:
        """The host has lost its memory. Not run twice at once: the second time, scripts of ours may be at work."""
        async with self._taking[host]:
            self._demand(host)
            if found := await self._take(host, {}, again=True):
                self._lose(found)

    # -- taking and giving back ----------------------------------------------------------------------------

    async def take(self, broken: Collection[str] = ()) -> None:
        """Take the lock everywhere, or nowhere: raises LockHeld."""
        over = dict.fromkeys(broken, 0)
        while found := await self._try(over):
            await self.release()
            for token in {each.holder.token for each in found}:
                last = min((each for each in found if each.holder.token == token), key=lambda each: each.idle)
                if last.holder.dead:
                    over[token] = 0
                    self._emit(Said(f"took over the lock of {clean(str(last.holder))}, which has ended"))
                elif last.idle >= STALE:
                    over[token] = STALE
                    self._emit(Said(f"took over the lock of {last}"))
                else:
                    raise LockHeld(
                        f"locked by {last}",
                        f"wait for it; dead, it counts as gone after {STALE} s; "
                        "a run that hangs: --break-lock takes the lock from it",
                        token,
                    )

    async def _try(self, over: Mapping[str, int]) -> list[Found]:
        """Take the first host's and look at the others', then take those; who is in the way, if anybody."""
        names = [name for name in self._hosts if name not in self._absent]
        if not names:
            return []
        first, *others = names
        looks = (self._ask(self._look(name), name) for name in others)
        answers = await _together(self._ask(self._take(first, over), first), *looks)
        if first in self._absent:
            return await self._try(over)
        for each in answers:
            if each and each.holder.token == self._mine.token:
                raise _one_machine(each.host, first)
        if found := [each for each in answers if each and each.idle < over.get(each.holder.token, each.idle + 1)]:
            return found
        others = [name for name in others if name not in self._absent]
        answers = await _together(*(self._ask(self._take(name, over), name) for name in others))
        return [each for each in answers if each]

    async def _ask(self, answer: Awaitable[Found | None], host: str) -> Found | None:
        """The answer; a host that gives none is left alone from now on."""
        try:
            return await answer
        except TransportError as error:
            self._absent[host] = error
            self.held.discard(host)
            return None

    async def _look(self, host: str) -> Found | None:
        return _found(host, await self._via.run(host, lock_script.LOOK))

    async def _take(self, host: str, over: Mapping[str, int], *, again: bool = False) -> Found | None:
        """Take it on one host, unless somebody else has it; `again`, or had it since."""
        said = ""

        def on_line(line: str) -> None:
            nonlocal said
            if line.startswith(f"{SAYS}waits") and line != said:
                said = line
                self._emit(Said(clean(f"{host}: waits for{line.removeprefix(f'{SAYS}waits')} of an earlier run"), host))

        before = sorted(self.held - {host})
        self.held.add(host)
        script = lock_script.take(self._mine.token, self._mine.record, over, again=again)
        output = await self._via.run(host, script, on_line=on_line, timeout=PROGRAMS_END_WITHIN_S + 60)
        if found := _found(host, output):
            self.held.discard(host)
            return found
        if f"{SAYS}taken already" in output and before and not over and not again:
            raise _one_machine(host, " or ".join(before))
        if f"{SAYS}taken" not in output:
            names = clean(said.removeprefix(f"{SAYS}waits").strip())
            raise LockHeld(
                f"{host}: {names} of an earlier run is still at work after {PROGRAMS_END_WITHIN_S} s",
                "let it end, or end it there, and run again",
            )
        return None

    async def keep(self, host: str) -> None:
        """Give a sign of life now and then, until cancelled; what fails is tried again."""
        while not self.lost:
            await asyncio.sleep(RENEW)
            with suppress(QuorateError):
                await self._fenced(host, ":", partial(self._via.run, timeout=2 * RENEW))

    async def release(self) -> None:
        """Give back what is ours, as far as the hosts answer in time."""

        async def one(host: str) -> None:
            with suppress(QuorateError):
                await self._via.run(host, lock_script.release(self._mine.token))

        if self.held:
            await asyncio.wait([asyncio.create_task(one(host)) for host in self.held], timeout=FAREWELL)
        self.held.clear()


async def _together(*answers: Awaitable[Found | None]) -> list[Found | None]:
    """All answers; an error is raised when nothing is under way any more, so that all can be released."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if not isinstance(each, BaseException)]


def _one_machine(host: str, other: str) -> PlanError:
    return PlanError(
        f"{host} and {other} are one machine: the lock that was taken on one is on both; nothing was changed",
        "correct the address of one of them in the cluster file, or take one of them out",
    )


def _found(host: str, output: str) -> Found | None:
    """The holder that an answer names."""
    for line in output.splitlines():
        if line.startswith(f"{SAYS}held "):
            idle, age, token, record = line.removeprefix(f"{SAYS}held ").split(" ", 3)
            return Found(host, Holder.of(token, record), int(idle), int(age))
        if line.startswith(f"{SAYS}passed "):
            token, _, record = line.removeprefix(f"{SAYS}passed ").partition(" ")
            return Found(host, Holder.of(token, record), 0, 0, ended=True)
    return None
