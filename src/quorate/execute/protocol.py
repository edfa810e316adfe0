"""An apply from its first line in the journal to its last: what it notes, which stages it walks, what it remembers.

Where events go and who may interrupt is the caller's: a `sink` for each stage, and `listening` for wishes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from quorate.component import virtual_ip
from quorate.core import Transport, TransportError
from quorate.execute.apply import Executor, Outcome
from quorate.execute.held import proof
from quorate.execute.prepare import Prepared
from quorate.execute.window import Window
from quorate.plan.words import line
from quorate.report import jsonl
from quorate.report.event import Emit, Ended, Said, StageBegun
from quorate.state import journal
from quorate.state.journal import Run
from quorate.state.seal import Copies

Phase = tuple[str, float, float]
"""What was done, from when to when, in seconds."""


def _nothing() -> None:
    pass


@dataclass
class Wishes:
    """What is done when the user wants the run to end, gently and at once; set when there is something to end."""

    stop: Callable[[], None] = _nothing
    abort: Callable[[], None] = _nothing


class Seen(Protocol):
    """A look at the hosts: the plan of the stage that comes now, and how long each part of the look took."""

    @property
    def prepared(self) -> Prepared:
        """The plan, with all that it was made from."""
        ...

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of the look."""
        ...


S = TypeVar("S", bound=Seen)
Sink = Callable[[S], AbstractContextManager[tuple[Emit, Callable[[], None]]]]
"""Where the events of a stage go, and what tells that it is about to stop."""
Again = Callable[[str], Awaitable[S]]
"""A new look at the hosts, for the stage of that name."""


@dataclass(frozen=True)
class Applied:
    """How an apply ended."""

    ended: Ended
    outcome: Outcome
    rest: tuple[str, ...]
    """Stages still to come."""
    warnings: tuple[str, ...]
    """What went wrong with copies of the state folder."""


@dataclass(frozen=True)
class ApplyRequest:
    """What is asked for besides the plan."""

    file: Path
    text: str
    """What it said when the plan was made."""
    through: str = ""
    """The stage to end after."""
    limited: bool = False
    """Only some hosts are changed: nothing is whole at its end."""
    told: Mapping[str, object] = field(default_factory=dict)
    """What the journal says at the beginning."""
    verb: str = "apply"
    """What was asked for, for the journal."""
    window: Window | None = None
    """What does not end in it is not begun."""


async def carry_out(
    seen: S,
    via: Transport,
    request: ApplyRequest,
    *,
    sink: Sink[S],
    again: Again[S],
    emit: Emit,
    listening: Callable[[], AbstractContextManager[Wishes]],
) -> Applied:
    """Walk all stages, or those up to `request.through`; a whole apply is remembered as such. `emit` hears of stages.

    Raises TransportError when a host is lost between two stages, or one is missing that the next stage needs.
    """
    prepared = seen.prepared
    with journal.run(prepared.store, request.verb, **request.told) as run:
        prepared.store.keep()
        context = prepared.context
        prepared.past.begin(
            *(prepared.text, prepared.machines, prepared.todo, context.supply),
            kind=prepared.operation,
            out=prepared.out,
            restoring=context.restoring,
        )
        copies = Copies(prepared.store, prepared.context, request.file, request.text, via)
        await copies.begin()
        with listening() as wishes:
            stages = _Stages(via, run, sink, again, emit, wishes, request.window)
            ended, outcome, rest = await stages.walk(seen, request.through)
            _remember(prepared, run, ended, outcome, whole=not (rest or request.limited))
            await copies.end(changed=bool(outcome.changed))
    return Applied(ended, outcome, rest, tuple(copies.warnings))


def demand(prepared: Prepared) -> None:
    """Refuse to begin without a host that the stage needs. Raises TransportError; others are left alone."""
    hosts = prepared.context.cluster.hosts
    if missing := {name: why for name, why in prepared.lost.items() if name in prepared.compiled.answering}:
        told = (f"  {name}: {why.removeprefix(f'{name}: ')}" for name, why in missing.items())
        raise TransportError(
            "\n".join([f"{len(missing)} of {len(hosts)} hosts can't be reached; nothing was changed", *told]),
            "bring them back, or take them out of the file; new hosts need `quorate trust` once",
        )


@dataclass
class _Stages(Generic[S]):
    """The stages of one apply, one after the other, each looked at anew before it begins."""

    via: Transport
    run: Run
    sink: Sink[S]
    again: Again[S]
    emit: Emit
    wishes: Wishes
    window: Window | None = None

    async def walk(self, seen: S, through: str) -> tuple[Ended, Outcome, tuple[str, ...]]:
        """How it ended, what became of every step, and the stages still to come. Who interrupts between two stages has
        the next one not begin.
        """
        names, away = seen.prepared.todo, frozenset(seen.prepared.lost)
        ended, outcome = None, None
        while True:
            stage, rest = seen.prepared.compiled.stage, seen.prepared.todo[1:]
            if self.window and self.window.over and seen.prepared.plan.changes:
                result = Outcome(postponed=[f"stage {stage}"], left=[step.key for step in seen.prepared.plan.changes])
                one = _ended(seen, result)
            else:
                if len(names) > 1:
                    self._begin(seen, StageBegun(stage, len(names) - len(rest), len(names)))
                one, result = await self._stage(seen)
            ended, outcome = ended.then(one) if ended else one, outcome.then(result) if outcome else result
            if not one.ok or not rest or stage == through:
                return ended, outcome, rest
            asked = asyncio.Event()
            self.wishes.stop = self.wishes.abort = asked.set
            seen = await self.again(rest[0])
            if asked.is_set():
                outcome.stopped = True
                return replace(ended, ok=False, stopped=True), outcome, rest
            _demand_next(seen.prepared, away, rest[0])
            if not seen.prepared.todo:
                return ended, outcome, ()

    def _begin(self, seen: S, begun: StageBegun) -> None:
        """Note one of several, and tell what of it is expected."""
        seen.prepared.past.reach(begun.name)
        self.run.take(begun)
        self.emit(begun)
        if self.window and begun.number > 1:
            self.emit(Said(self.window.told(seen.prepared.plan)))

    async def _stage(self, seen: S) -> tuple[Ended, Outcome]:
        """Walk the plan of one."""
        plan = seen.prepared.plan
        with self.sink(seen) as (emit, stopping):
            asked = {part.component for part in seen.prepared.compiled.parts}
            # Where balancers are not asked to run, nobody has to hold the virtual IP.
            holder = proof(seen.prepared.context, self.via) if virtual_ip.NAME in asked else None
            walk = Executor(plan, self.via, self.run.also(emit), holder, self.window)

            def stop() -> None:
                stopping()
                walk.stop()

            self.wishes.stop, self.wishes.abort = stop, walk.abort
            outcome = await walk.run()
        return _ended(seen, outcome), outcome


def _demand_next(prepared: Prepared, away: frozenset[str], stage: str) -> None:
    """Refuse the next stage without a host that was there at the beginning, or that the stage needs."""
    needed = prepared.compiled.answering
    if lost := {name: why for name, why in prepared.lost.items() if name not in away or name in needed}:
        told = "; ".join(f"{name}: {why.removeprefix(f'{name}: ')}" for name, why in sorted(lost.items()))
        raise TransportError(
            f"lost before the stage `{stage}`, which did not begin: {told}",
            "bring it back, and the same command goes on; or take it out of the file",
        )


def _ended(seen: Seen, outcome: Outcome) -> Ended:
    before = seen.phases[-1][2] if seen.phases else 0.0
    spans = [(name, first + before, last + before) for name, (first, last) in outcome.spans.items()]
    return Ended(
        ok=outcome.ok,
        changed=len(outcome.changed),
        unchanged=outcome.unchanged,
        failed=len(outcome.failed),
        skipped=len(outcome.skipped),
        left=len(outcome.left),
        postponed=tuple(outcome.postponed),
        stopped=outcome.stopped,
        seconds=before + outcome.seconds,
        phases=(*seen.phases, *sorted(spans, key=lambda span: span[1])),
        sent=tuple(sorted(outcome.sent.items())),
        touched=len({key.host for key in outcome.changed}),
        hosts=len({key.host for key in seen.prepared.plan.steps}),
    )


def _remember(prepared: Prepared, run: Run, ended: Ended, outcome: Outcome, *, whole: bool) -> None:
    """After a whole run, the file as applied; in any case its end in the journal."""
    if ended.ok and whole:
        left = [each.host.name for each in prepared.context.leaving if each.whole]
        away = prepared.left_alone
        prepared.past.finish(prepared.text, prepared.machines, prepared.context.supply, left=left, away=away)
    told = {name: value for name, value in jsonl.as_dict(ended).items() if name != "event"}
    run.end(**told, failures={str(key): line(error, 500) for key, error in outcome.failed.items()})
