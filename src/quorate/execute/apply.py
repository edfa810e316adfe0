"""Walk a plan: every step as soon as its needs are met, a host's run of steps as one script, proof after each."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence

from quorate.core import CommandFailed, Key, QuorateError, State, Transport, TransportError
from quorate.execute import batch
from quorate.execute.observe import look
from quorate.execute.outcome import Outcome
from quorate.plan.step import Plan, Step, difference
from quorate.report.event import Emit, Sent, StepDone, StepFailed, StepSkipped, StepStarted
from quorate.resource.brick import Brick
from quorate.resource.unit import Ready, Unit

BATCHES = 3
"""Scripts at once per host; sshd allows 10 sessions per connection, and uploads take some."""
UPLOADS, UPLOADS_OF_HOST = 8, 4
"""Uploads at once, in all and per host: enough to fill a link, so few that the first ones arrive soon, and fewer
than sessions, so that scripts are never starved by bytes."""
TRIES = 3
"""How often a step is begun again after its connection was lost in the middle."""


class Walk:
    """One walk through one plan."""

    def __init__(self, plan: Plan, via: Transport, emit: Emit) -> None:
        self._plan, self._via, self._emit = plan, via, emit
        self._open: dict[Key, set[Key]] = {key: set(plan.needs.get(key, ())) for key in plan.steps}
        self._dependants: dict[Key, set[Key]] = {key: set() for key in plan.steps}
        for key, needs in self._open.items():
            for need in needs:
                self._dependants[need].add(key)
        self._ready: dict[str, dict[Key, None]] = {}
        self._touched: set[Key] = set()
        self._running: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._flying: set[Key] = set()
        self._large: dict[Key, bool] = {}
        self._rank = {key: rank for rank, key in enumerate(plan.urgency())}
        self._tries: dict[Key, int] = {}
        self._began: dict[Key, float] = {}
        self._zero = time.monotonic()
        self.outcome = Outcome()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin no further step; those under way end."""
        self._stop.set()

    async def run(self) -> Outcome:
        """Walk to the end."""
        for key in [key for key, needs in self._open.items() if not needs]:
            self._free(key)
        while True:
            if not self._stop.is_set():
                self._dispatch()
            if not self._running:
                break
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._running[task]
                task.result()
        self.outcome.stopped = self._stop.is_set() and bool(self._open)
        if not self._stop.is_set():
            self._skip_rest()
        self.outcome.seconds = time.monotonic() - self._zero
        return self.outcome

    # -- the order ---------------------------------------------------------------------------------------

    def _free(self, key: Key) -> None:
        """All needs of the step are met: it is done already, or it is ready to run."""
        if key in self._flying:
            return
        step = self._plan.steps[key]
        follows = isinstance(step.resource, Unit | Ready) and self._plan.needs.get(key, frozenset()) & self._touched
        if step.diff or follows:
            self._ready.setdefault(key.host, {})[key] = None
        else:
            self.outcome.unchanged += 1
            self._close(key)

    def _close(self, key: Key) -> None:
        self._flying.discard(key)
        del self._open[key]
        for dependant in sorted(self._dependants[key]):
            if dependant in self._open:
                self._open[dependant].discard(key)
                if not self._open[dependant]:
                    self._free(dependant)

    def _dispatch(self) -> None:
        self._dispatch_uploads()
        for host, ready in self._ready.items():
            for key in list(ready):
                resource = self._plan.steps[key].resource
                if isinstance(resource, Brick) and resource.waits:
                    del ready[key]
                    self._start(host, "wait", [self._plan.steps[key]], self._batch(host, [self._plan.steps[key]]))
            rest = [key for key in ready if not self._blobs(key)]
            if rest and self._count(host, "batch") < BATCHES:
                steps = self._grow(host, rest)
                for step in steps:
                    ready.pop(step.key, None)
                self._start(host, "batch", steps, self._batch(host, steps))

    def _dispatch_uploads(self) -> None:
        """What others wait for goes first: bytes in the order of the graph, few at once."""
        waiting = [key for ready in self._ready.values() for key in ready if self._blobs(key)]
        for key in sorted(waiting, key=lambda key: self._rank[key]):
            if sum(1 for _, sort in self._running.values() if sort == "upload") >= UPLOADS:
                break
            if self._count(key.host, "upload") < UPLOADS_OF_HOST:
                del self._ready[key.host][key]
                self._start(key.host, "upload", [self._plan.steps[key]], self._send(self._plan.steps[key]))

    def _blobs(self, key: Key) -> bool:
        if key not in self._large:
            step = self._plan.steps[key]
            self._large[key] = any(action.blob for action in step.resource.converge(step.actual or {}))
        return self._large[key]

    def _count(self, host: str, sort: str) -> int:
        return sum(1 for running in self._running.values() if running == (host, sort))

    def _start(self, host: str, sort: str, steps: Sequence[Step], work: Coroutine[None, None, None]) -> None:
        self._flying.update(step.key for step in steps)
        self._running[asyncio.ensure_future(work)] = (host, sort)

    def _grow(self, host: str, ready: list[Key]) -> list[Step]:
        """The ready steps and all that become ready by them, as far as they can run in one script."""
        chosen = dict.fromkeys(ready)
        queue = list(ready)
        while queue:
            for dependant in sorted(self._dependants[queue.pop(0)]):
                if dependant in chosen or dependant not in self._open or dependant.host != host:
                    continue
                resource = self._plan.steps[dependant].resource
                waits = isinstance(resource, Brick) and resource.waits
                if waits or self._blobs(dependant) or not self._open[dependant] <= chosen.keys():
                    continue
                if not self._plan.steps[dependant].diff and not isinstance(resource, Unit | Ready):
                    continue
                chosen[dependant] = None
                queue.append(dependant)
        return [self._plan.steps[key] for key in chosen]

    # -- the work ----------------------------------------------------------------------------------------

    def _begin(self, step: Step) -> None:
        if step.key not in self._began:
            self._began[step.key] = time.monotonic()
            self._emit(StepStarted(step.key, self._component(step.key)))

    def _component(self, key: Key) -> str:
        return self._plan.component_of.get(key, key.kind)

    async def _send(self, step: Step) -> None:
        self._begin(step)
        actions = step.resource.converge(step.actual or {})
        host = step.key.host
        try:
            blobs = [action for action in actions if action.blob]
            await asyncio.gather(*(self._via.run(host, batch.upload(action), blob=action.blob) for action in blobs))
            for action in blobs:
                assert action.blob is not None
                size = sum(file.path.stat().st_size for file in action.blob.files)
                self.outcome.sent[host] = self.outcome.sent.get(host, 0) + size
                self._emit(Sent(host, step.key.name, size))
            for action in actions:
                if not action.blob:
                    await self._via.run(host, batch.upload(action))
            states, lost = await look([step.resource], self._via)
            if host in lost:
                raise TransportError(lost[host], host=host)
        except TransportError as error:
            await self._lost([step], error)
        except QuorateError as error:
            said = error.stderr.strip() if isinstance(error, CommandFailed) else ""
            self._fail(step.key, said or str(error))
        else:
            self._judge(step, states.get(step.key), changed=True)

    async def _batch(self, host: str, steps: list[Step]) -> None:
        def on_line(line: str) -> None:
            if line.startswith(batch.BEGIN):
                self._begin(steps[int(line[len(batch.BEGIN) :])])

        try:
            output = await self._via.run(host, batch.script(steps), on_line=on_line)
        except TransportError as error:
            await self._lost(steps, error)
            return
        except CommandFailed as error:
            output = f"{error.stdout}\n{error.stderr}"
        result = batch.read(steps, output)
        for number, step in enumerate(steps):
            code = result.ended.get(number)
            if code is None:
                if any(result.ended.values()):
                    self._again(step)
                else:
                    self._fail(step.key, result.said.get(-1, "").strip() or "the script ended before this step")
            elif code != 0:
                self._fail(step.key, result.said.get(number, "").strip() or f"exit code {code}")
            else:
                changed = bool(step.diff) or number in result.changed
                self._judge(step, result.states.get(step.key), changed=changed)

    def _again(self, step: Step) -> None:
        """Not done, and not tried: it runs later, unless it needs what failed."""
        self._flying.discard(step.key)
        if step.key in self._open and not self._open[step.key]:
            self._ready.setdefault(step.key.host, {})[step.key] = None

    async def _lost(self, steps: list[Step], error: TransportError) -> None:
        """The connection went away in the middle: look again before acting again."""
        states: Mapping[Key, State | None] = {}
        for pause in (0.5, 2.0, 5.0):
            await asyncio.sleep(pause)
            states, lost = await look([step.resource for step in steps], self._via)
            if not lost:
                break
        else:
            for step in steps:
                self._fail(step.key, str(error))
            return
        for step in steps:
            # A unit looks fine until the file that it loads is written: needs come first.
            if not self._open[step.key] and not difference(step.resource.desired, states.get(step.key)):
                self._judge(step, states.get(step.key), changed=True)
                continue
            self._tries[step.key] = self._tries.get(step.key, 0) + 1
            if self._tries[step.key] >= TRIES:
                self._fail(step.key, str(error))
            else:
                self._again(step)

    def _judge(self, step: Step, state: State | None, *, changed: bool) -> None:
        """Done only when a look after the act shows what was wanted."""
        if left := difference(step.resource.desired, state):
            fields = ", ".join(f"{name}: is {now!r}, wanted {want!r}" for name, (now, want) in left.items())
            self._fail(step.key, f"not as wanted after the change: {fields}")
            return
        if changed:
            self._touched.add(step.key)
            self.outcome.changed.append(step.key)
        else:
            self.outcome.unchanged += 1
        self._emit(StepDone(step.key, self._component(step.key), changed, self._span(step.key)))
        self._close(step.key)

    def _span(self, key: Key) -> float:
        now = time.monotonic()
        began = self._began.get(key, now)
        component = self._component(key)
        first, last = self.outcome.spans.get(component, (began - self._zero, 0.0))
        self.outcome.spans[component] = (min(first, began - self._zero), max(last, now - self._zero))
        return now - began

    def _fail(self, key: Key, error: str) -> None:
        self._flying.discard(key)
        self.outcome.failed[key] = error
        self._emit(StepFailed(key, self._component(key), error, self._span(key)))

    def _skip_rest(self) -> None:
        for key in self._open:
            if key in self.outcome.failed:
                continue
            cause, seen = key, {key}
            while cause not in self.outcome.failed:
                behind = [need for need in sorted(self._open.get(cause, ())) if need not in seen]
                if not behind:
                    break
                cause = behind[0]
                seen.add(cause)
            self.outcome.skipped[key] = cause
            self._emit(StepSkipped(key, self._component(key), cause))


async def apply(plan: Plan, via: Transport, emit: Emit) -> Outcome:
    """Walk the plan. Raises nothing for a failed step: the outcome tells."""
    return await Walk(plan, via, emit).run()


__all__ = ["Emit", "Outcome", "Walk", "apply"]
