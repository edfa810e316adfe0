"""Progress as plain lines, for logs and pipes: each component of each host when all of it is done, every failure."""

import time

from rich.console import Console

from quorate.report.board import Board, doing
from quorate.report.console import BAD, NAME, QUIET, say
from quorate.report.event import Emit, Event, PartDone, Said, StepDone, StepFailed
from quorate.report.live import failure


def to(console: Console, board: Board, *, verbose: bool = False) -> Emit:
    """Where events become lines; with `verbose` every step is one."""
    zero = time.monotonic()

    def tell(host: str, what: str) -> None:
        say(console, (f"{time.monotonic() - zero:7.1f} s  ", QUIET), (f"{host:<12} ", NAME), what)

    def emit(event: Event) -> None:
        board.take(event)
        match event:
            case Said(text, host) if text:
                tell(host, text)
            case StepFailed():
                say(console, (f"{time.monotonic() - zero:7.1f} s  ", QUIET), ("FAILED", BAD))
                failure(console, event)
            case StepDone(key, component, changed, seconds) if verbose:
                end = "" if changed else " (nothing to do)"
                tell(key.host, f"{component}: {doing(key)}{end}  {seconds:.1f} s")
            case PartDone(host, component) if component and not verbose:
                tell(host, f"{component} done")

    return emit
