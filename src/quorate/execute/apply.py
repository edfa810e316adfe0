"""Walk a plan: every step as soon as its needs are met, a host's run of steps as one script, proof after each."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Literal

from quorate.core import CommandFailed, Key, QuorateError, State, Transport, TransportError
from quorate.execute import batch
from quorate.execute.given_back import give_back
from quorate.execute.held import Proof
from quorate.execute.observe import look
from quorate.execute.once import Scripts, once
from quorate.execute.outcome import Outcome
from quorate.execute.regain import BACK_WITHIN_S, regain
from quorate.execute.schedule import Schedule
from quorate.execute.window import Turns, Window
from quorate.plan.discreet import hide
from quorate.plan.step import Plan, Step, difference
from quorate.render import journal
from quorate.report.event import Emit, PartDone, Said, Sent, StepDone, StepFailed, StepSkipped, StepStarted
from quorate.resource.unit import Ready, Unit

BATCHES = 3
"""Scripts at once per host; sshd allows 10 sessions per connection, and uploads take some."""
UPLOADS, UPLOADS_OF_HOST = 8, 4
"""Uploads at once, in all and per host: enough to fill a link, so few that the first ones arrive soon, and fewer
than sessions, so that scripts are never starved by bytes."""
TRIES = 3
"""How often a step is begun: again when its connection was lost, or when what had answered does not a moment later."""
LEAVE = 4.0
"""Seconds that an abort gives hosts to end what runs there; the transport kills after 2 s of them."""
REASON_WITHIN_S, JUDGED_WITHIN_S = 10.0, 600.0
"""Seconds for what hosts say about a failure; and for what becomes of a change that did not hold."""
_POINTS = re.compile(r'\s*See "systemctl status [^\n]* for details\.')
"""Where systemctl sends its reader; a line of its own, or the end of one with older ones."""


class Executor:
    """One walk through one plan."""

    def __init__(
        self, plan: Plan, via: Transport, emit: Emit, proof: Proof | None = None, window: Window | None = None
    ) -> None:
        self._plan, self._via, self._emit, self._proof = plan, via, emit, proof
        self._turns = Turns(plan, window) if window else None
        self._schedule = Schedule(plan, self._turns.hold) if self._turns else Schedule(plan)
        self._running: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._tries: dict[Key, int] = {}
        self._began: dict[Key, float] = {}
        self._scripts = Scripts()
        self._unsaid: dict[tuple[str, str], None] = {}
        """Parts and hosts in which something changed, and that are not done."""
        self._zero = time.monotonic()
        self.outcome = Outcome()
        self._stop, self._abort = asyncio.Event(), asyncio.Event()
        self._unproved = False

    def stop(self) -> None:
        """Begin no further step; those under way end, and no host is waited for that was lost."""
        self._stop.set()

    def abort(self) -> None:
        """Begin no further step, and cut off those under way: the next look tells how far they came."""
        self._stop.set()
        self._abort.set()

    async def run(self) -> Outcome:
        """Walk to the end; what the proof finds wrong when all is done is a failed step, too."""
        aborted = asyncio.create_task(self._abort.wait())
        try:
            while self._proceed() and not aborted.done():
                done, _ = await asyncio.wait({*self._running, aborted}, return_when=asyncio.FIRST_COMPLETED)
                for task in self._running.keys() & done:
                    del self._running[task]
                    task.result()
            if self._proof and not self._schedule.open and not self._stop.is_set():
                await self._prove(self._proof, aborted)
        finally:
            aborted.cancel()
            for task in self._running:
                task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVE)
        self._sum_up()
        if not self.outcome.stopped:
            await give_back(self._plan, self.outcome, self._via, self._emit)
        return self.outcome

    async def _prove(self, proof: Proof, aborted: asyncio.Task[Literal[True]]) -> None:
        """Ask the proof, as long as somebody waits for it."""
        asking = asyncio.ensure_future(proof())
        try:
            await asyncio.wait({asking, aborted}, return_when=asyncio.FIRST_COMPLETED)
            self._unproved = not asking.done()
            for key, error in (asking.result() if asking.done() else {}).items():
                self._fail(key, error)
        finally:
            asking.cancel()
            await asyncio.wait({asking}, timeout=LEAVE)

    def _sum_up(self) -> None:
        rest = [key for key in self._schedule.rest if key not in self.outcome.failed]
        self.outcome.stopped = self._unproved or (self._stop.is_set() and bool(self._schedule.open))
        self.outcome.unchanged += self._schedule.untouched
        if self.outcome.stopped:
            self.outcome.left = rest
        elif self._turns:
            # What neither failed nor needs what failed waits for another day.
            self.outcome.left = [key for key in rest if self._schedule.cause(key) == key]
            self.outcome.postponed = self._turns.names(self.outcome.left)
        left = {*self.outcome.left}
        for key in (key for key in rest if key not in left):
            cause = self._schedule.cause(key)
            self.outcome.skipped[key] = cause
            self._emit(StepSkipped(key, self._component(key), cause))
        self.outcome.seconds = time.monotonic() - self._zero

    def _proceed(self) -> bool:
        """Begin what can begin; whether anything is under way then."""
        if not self._stop.is_set():
            self._dispatch()
        return bool(self._running)

    def _dispatch(self) -> None:
        if self._turns:
            self._turns.admit(self._schedule)
        self._dispatch_uploads()
        for host in self._schedule.ready:
            small = []
            for key, waits, large in self._schedule.waiting(host):
                if waits:
                    self._start(host, "wait", self._batch(host, self._schedule.start(key)))
                elif not large:
                    small.append(key)
            if small and self._count(host, "batch") < BATCHES:
                steps = self._schedule.start(*self._schedule.grow(host, small))
                self._start(host, "batch", self._batch(host, steps))

    def _dispatch_uploads(self) -> None:
        """What others wait for goes first: bytes in the order of the graph, few at once."""
        for key in self._schedule.uploads():
            if sum(1 for _, sort in self._running.values() if sort == "upload") >= UPLOADS:
                break
            if self._count(key.host, "upload") < UPLOADS_OF_HOST:
                (step,) = self._schedule.start(key)
                self._start(key.host, "upload", self._send(step))

    def _count(self, host: str, sort: str) -> int:
        return sum(1 for running in self._running.values() if running == (host, sort))

    def _start(self, host: str, sort: str, work: Coroutine[None, None, None]) -> None:
        self._running[asyncio.ensure_future(work)] = (host, sort)

    # -- the work ----------------------------------------------------------------------------------------

    def _begin(self, step: Step) -> None:
        if step.key not in self._began:
            self._began[step.key] = time.monotonic()
            self._emit(StepStarted(step.key, self._component(step.key)))

    def _component(self, key: Key) -> str:
        return self._plan.part(key)

    def _listen(self, host: str) -> Callable[[str], None]:
        """Pass on what a script says to whoever watches."""

        def listen(line: str) -> None:
            if (text := batch.told(line)) is not None:
                self._emit(Said(text, host))

        return listen

    async def _send(self, step: Step) -> None:
        self._begin(step)
        actions = step.resource.converge(step.actual or {})
        host, scripts = step.key.host, [self._scripts.name() for _ in actions]
        try:
            blobs = [action for action in actions if action.blob]
            sent = await asyncio.gather(
                *(
                    self._via.run(host, once(batch.upload(action), name), blob=action.blob)
                    for action, name in zip(actions, scripts, strict=True)
                    if action.blob
                ),
                return_exceptions=True,  # all of them have ended before anybody looks
            )
            for failure in sent:
                if isinstance(failure, BaseException):
                    raise failure
            for action in blobs:
                assert action.blob is not None
                size = sum(file.path.stat().st_size for file in action.blob.files)
                self.outcome.sent[host] = self.outcome.sent.get(host, 0) + size
                self._emit(Sent(host, step.key.name, size))
            for action, name in zip(actions, scripts, strict=True):
                if not action.blob:
                    await self._via.run(host, once(batch.upload(action), name), on_line=self._listen(host))
            states, lost = await look([step.resource], self._via)
            if host in lost:
                raise TransportError(lost[host], host=host)
        except TransportError as error:
            await self._lost([step], scripts, error)
        except QuorateError as error:
            said = error.stderr.strip() if isinstance(error, CommandFailed) else ""
            self._fail(step.key, said or str(error))
        else:
            await self._judge(step, states.get(step.key), changed=True)

    async def _batch(self, host: str, steps: list[Step]) -> None:
        listen = self._listen(host)

        def on_line(line: str) -> None:
            if line.startswith(batch.BEGIN):
                self._begin(steps[int(line[len(batch.BEGIN) :])])
            listen(line)

        name, why = self._scripts.name(), "the script ended before this step"
        try:
            output = await self._via.run(host, once(batch.script(steps), name), on_line=on_line)
        except TransportError as error:
            await self._lost(steps, [name], error)
            return
        except CommandFailed as error:
            output, why = f"{error.stdout}\n{error.stderr}", str(error)
        result = batch.read(steps, output)
        for number, step in enumerate(steps):
            code = result.ended.get(number)
            if code is None:
                if any(result.ended.values()):
                    self._schedule.again(step.key)
                else:
                    self._fail(step.key, result.said.get(-1, "").strip() or why)
            elif code != 0:
                await self._fail_with_reasons(step, result.said.get(number, "").strip() or f"exit code {code}")
            else:
                changed = bool(step.diff) or number in result.changed
                await self._judge(step, result.states.get(step.key), changed=changed)

    async def _lost(self, steps: list[Step], scripts: list[str], error: TransportError) -> None:
        """The connection went away in the middle: look again before acting again; a stop ends the waiting."""
        host = steps[0].key.host
        self._emit(Said(f"{error.message}; waiting up to {BACK_WITHIN_S:g} s for it to come back", host))
        looking = asyncio.ensure_future(regain(host, [step.resource for step in steps], scripts, self._via))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            states = looking.result() if looking.done() else "stopped before it could be looked at again"
        except QuorateError as refused:
            states = str(refused)
        finally:
            looking.cancel()
            stopped.cancel()
            self._emit(Said("", host))
        if isinstance(states, str):
            for step in steps:
                self._fail(step.key, f"{error}; {states}")
            self._schedule.lose(host, steps[0].key)
            return
        for step in steps:
            # A unit looks fine until the file that it loads is written: needs come first.
            if not self._schedule.open[step.key] and not difference(step.resource.desired, states.get(step.key)):
                await self._judge(step, states.get(step.key), changed=True)
                continue
            self._tries[step.key] = self._tries.get(step.key, 0) + 1
            if self._tries[step.key] >= TRIES:
                self._fail(step.key, str(error))
            else:
                self._schedule.again(step.key)

    async def _judge(self, step: Step, state: State | None, *, changed: bool) -> None:
        """Done only when a look after the act shows what was wanted."""
        if left := difference(step.resource.desired, state):
            tries = self._tries[step.key] = self._tries.get(step.key, 0) + 1
            if isinstance(step.resource, Ready) and tries < TRIES:
                # It has just answered: a balancer reloads, an address moves, a host is busy. It is waited for again.
                self._schedule.again(step.key)
                return
            fields = ", ".join(f"{name}: is {now!r}, wanted {want!r}" for name, (now, want) in left.items())
            await self._fail_with_reasons(step, f"not as wanted after the change: {fields}")
            return
        if changed:
            self.outcome.changed.append(step.key)
        else:
            self.outcome.unchanged += 1
        self._emit(StepDone(step.key, self._component(step.key), changed, self._span(step.key)))
        self._unsaid.update(dict.fromkeys(self._schedule.places(step.key)) if changed else {})
        self._schedule.close(step.key, changed=changed)
        for place in [place for place in self._unsaid if not self._schedule.left[place]]:
            del self._unsaid[place]
            self._emit(PartDone(*place))

    def _span(self, key: Key) -> float:
        now = time.monotonic()
        began = self._began.get(key, now)
        component = self._component(key)
        first, last = self.outcome.spans.get(component, (began - self._zero, 0.0))
        self.outcome.spans[component] = (min(first, began - self._zero), max(last, now - self._zero))
        return now - began

    async def _fail_with_reasons(self, step: Step, error: str) -> None:
        """It failed; a service's journal says why, which systemctl only points to, and other hosts what they know."""
        unit = step.resource.service
        if unit and (last := await self._hear(step.key.host, journal.last(unit))):
            error = f"{_POINTS.sub('', error)}\n{last}".strip()
        if isinstance(step.resource, Unit) and step.resource.fallback:
            decided = f"(\n{step.resource.fallback}\n) 2>&1 || :"
            error = f"{error}\n{await self._hear(step.key.host, decided, JUDGED_WITHIN_S)}".strip()
        witnesses = step.resource.witnesses if isinstance(step.resource, Ready) else ()
        told = await asyncio.gather(*(self._hear(host, script) for host, script in witnesses))
        self._fail(step.key, "\n".join([error, *filter(None, told)]))

    async def _hear(self, host: str, script: str, seconds: float = REASON_WITHIN_S) -> str:
        """What a host says about a failure; nothing when it says nothing in time."""
        with suppress(QuorateError):
            return (await self._via.run(host, script, timeout=seconds)).strip()
        return ""

    def _fail(self, key: Key, error: str) -> None:
        resources = [step.resource for step in self._plan.steps.values() if step.key.host == key.host]
        error = hide(error, (text for resource in resources for text in resource.secrets))
        self._schedule.fail(key)
        self.outcome.failed[key] = error
        self._emit(StepFailed(key, self._component(key), error, self._span(key)))


async def apply(plan: Plan, via: Transport, emit: Emit) -> Outcome:
    """Walk the plan. Raises nothing for a failed step: the outcome tells."""
    return await Executor(plan, via, emit).run()


__all__ = ["Emit", "Executor", "Outcome", "apply"]
