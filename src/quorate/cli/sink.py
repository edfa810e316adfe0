"""Where an apply's events go: lines for programs, a live screen where somebody watches, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quorate.cli.graceful import ignoring_closed_outputs
from quorate.cli.look import Looked
from quorate.cli.output import Output
from quorate.execute.protocol import Sink
from quorate.report import lines as plain
from quorate.report.board import Board
from quorate.report.event import Emit, Event, Said, StageBegun
from quorate.report.live import screen


def sink(out: Output, lines: Emit | None, *, verbose: bool) -> Sink[Looked]:
    """What hears of a stage while it is walked, and what tells there that it is about to stop."""

    @contextmanager
    def of(looked: Looked) -> Iterator[tuple[Emit, Callable[[], None]]]:
        board = Board.of(looked.now)
        if lines or not looked.now.lines:
            yield ignoring_closed_outputs(lines or board.take), lambda: None
        elif out.lively:
            with screen(out.console, board) as (drawn, emit):

                def stopping() -> None:
                    drawn.stopping = True

                yield ignoring_closed_outputs(emit), stopping
        else:
            emit = ignoring_closed_outputs(plain.to(out.console, board, verbose=verbose))
            yield emit, lambda: emit(Said("stopping: running steps end, Ctrl-C again aborts"))

    return of


def begins(out: Output, lines: Emit | None) -> Emit:
    """What hears that a stage begins, and what is expected of it."""

    def tell(event: Event) -> None:
        if lines:
            lines(event)
        elif isinstance(event, StageBegun):
            out.say((f"stage {event.number} of {event.of}: {event.name}", "bold underline"))
        elif isinstance(event, Said):
            out.say((event.text, "bright_black"))

    return tell
