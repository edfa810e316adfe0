"""An apply under the eyes of its reader: stage after stage, each looked at anew before it begins."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.cli.look import Looked
    from quorate.cli.output import Output
    from quorate.cli.stop import Wishes
    from quorate.core import Transport
    from quorate.execute.apply import Outcome
    from quorate.report.event import Emit, Ended, StageBegun
    from quorate.state.journal import Run

Again = Callable[[str], Awaitable["Looked"]]
"""A new look at the hosts, for the stage of that name."""


async def walk(
    out: "Output",
    looked: "Looked",
    via: "Transport",
    lines: "Emit | None",
    wishes: "Wishes",
    run: "Run",
    *,
    again: Again,
    through: str = "",
    verbose: bool,
) -> "tuple[Ended, Outcome, tuple[str, ...]]":
    """Walk all stages, or those up to `through`: how it ended, what became of every step, and the stages still to come.

    Who interrupts between two stages has the next one not begin. Raises TransportError when a host is lost there, or
    one is missing that the next stage needs.
    """
    import asyncio
    from dataclasses import replace

    from quorate.report.event import StageBegun

    names, away = looked.prepared.todo, frozenset(looked.prepared.lost)
    ended, outcome = None, None
    while True:
        stage, rest = looked.prepared.compiled.stage, looked.prepared.todo[1:]
        if len(names) > 1:
            looked.prepared.past.reach(stage)
            _tell(out, lines, run, StageBegun(stage, len(names) - len(rest), len(names)))
        one, result = await _stage(out, looked, via, lines, wishes, run, verbose=verbose)
        ended, outcome = (one, result) if ended is None or outcome is None else (ended.then(one), outcome.then(result))
        if not one.ok or not rest or stage == through:
            return ended, outcome, rest
        asked = asyncio.Event()
        wishes.stop = wishes.abort = asked.set
        looked = await again(rest[0])
        if asked.is_set():
            outcome.stopped = True
            return replace(ended, ok=False, stopped=True), outcome, rest
        _demand(looked, away, rest[0])
        if not looked.prepared.todo:
            return ended, outcome, ()


def _demand(looked: "Looked", away: frozenset[str], stage: str) -> None:
    from quorate.core import TransportError

    needed = looked.prepared.compiled.answering
    if lost := {name: why for name, why in looked.prepared.lost.items() if name not in away or name in needed}:
        told = "; ".join(f"{name}: {why.removeprefix(f'{name}: ')}" for name, why in sorted(lost.items()))
        raise TransportError(
            f"lost before the stage `{stage}`, which did not begin: {told}",
            "bring it back, and the same command goes on; or take it out of the file",
        )


def _tell(out: "Output", lines: "Emit | None", run: "Run", begun: "StageBegun") -> None:
    run.take(begun)
    if lines:
        lines(begun)
    else:
        out.say((f"stage {begun.number} of {begun.of}: {begun.name}", "bold underline"))


async def _stage(
    out: "Output",
    looked: "Looked",
    via: "Transport",
    lines: "Emit | None",
    wishes: "Wishes",
    run: "Run",
    *,
    verbose: bool,
) -> "tuple[Ended, Outcome]":
    """Walk the plan of a stage; Ctrl-C stops it gently, a second one at once."""
    from quorate.cli.stop import unheard
    from quorate.execute.apply import Walk
    from quorate.execute.held import proof
    from quorate.report import lines as plain
    from quorate.report.board import Board
    from quorate.report.event import Ended, Said
    from quorate.report.live import screen

    plan, board = looked.prepared.plan, Board.of(looked.now)
    held = proof(looked.prepared.context, via)
    if lines or not looked.now.lines:
        walk = Walk(plan, via, run.also(unheard(lines or board.take)), held)
        wishes.stop, wishes.abort = walk.stop, walk.abort
        outcome = await walk.run()
    elif out.lively:
        with screen(out.console, board) as (drawn, emit):
            walk = Walk(plan, via, run.also(unheard(emit)), held)

            def stop() -> None:
                drawn.stopping = True
                walk.stop()

            wishes.stop, wishes.abort = stop, walk.abort
            outcome = await walk.run()
    else:
        emit = unheard(plain.to(out.console, board, verbose=verbose))
        walk = Walk(plan, via, run.also(emit), held)

        def stop_plain() -> None:
            emit(Said("stopping: running steps end, Ctrl-C again aborts"))
            walk.stop()

        wishes.stop, wishes.abort = stop_plain, walk.abort
        outcome = await walk.run()
    before = looked.phases[-1][2] if looked.phases else 0.0
    spans = [(name, first + before, last + before) for name, (first, last) in outcome.spans.items()]
    ended = Ended(
        ok=outcome.ok,
        changed=len(outcome.changed),
        unchanged=outcome.unchanged,
        failed=len(outcome.failed),
        skipped=len(outcome.skipped),
        left=len(outcome.left),
        stopped=outcome.stopped,
        seconds=before + outcome.seconds,
        phases=(*looked.phases, *sorted(spans, key=lambda span: span[1])),
        sent=tuple(sorted(outcome.sent.items())),
        touched=len({key.host for key in outcome.changed}),
        hosts=len({key.host for key in plan.steps}),
    )
    return ended, outcome
