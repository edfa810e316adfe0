"""Progress that moves: one row per host with the running step, counts and bytes. Drawn from a board."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from quorate.plan.words import clean, line, many, size
from quorate.report.board import Board, Row
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN, say
from quorate.report.event import Emit, Event, StepFailed

RATE = 8
"""Frames per second: quick enough to look alive, and 1 % of a core."""
_LINES = 3
"""Last lines of a failed step's output that are shown when it happens; the report in the end shows more."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Screen:
    """What is drawn: made anew for each frame from the board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.stopping = False
        self._zero = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows, and a line about the whole."""
        wide = options.max_width >= 100
        rows = list(self.board.rows.values())
        room = max(4, (console.size.height or 24) - 4)
        shown = rows if len(rows) <= room else sorted(rows, key=lambda row: row.over)[:room]
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), width=options.max_width)
        table.add_column(no_wrap=True, width=1)
        table.add_column(no_wrap=True, style=NAME, max_width=20)
        table.add_column(no_wrap=True, width=24 if wide else 10)
        table.add_column(no_wrap=True, justify="right", width=8)
        table.add_column(no_wrap=True, justify="right", width=17 if wide else 8)
        table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        for row in shown:
            table.add_row(*self._cells(row, wide))
        yield table
        if len(shown) < len(rows):
            yield Text(f"   and {many(len(rows) - len(shown), 'more host')}", QUIET)
        yield self._foot(rows)

    def _cells(self, row: Row, wide: bool) -> tuple[Text | ProgressBar | str, ...]:
        done = row.done + row.failed
        bar = ProgressBar(
            total=max(row.total, 1),
            completed=done if row.total else 1,
            complete_style=BAD if row.failed else "cyan",
            finished_style=BAD if row.failed else GOOD,
        )
        component, what = row.now
        activity = Text(f"{component}: ", QUIET) if component and what else Text()
        activity.append(what)
        if row.failed:
            activity = Text(f"{row.failed} failed  ", BAD) + activity
        elif row.over and not what:
            activity = Text("done", QUIET)
        elif not what:
            activity = Text("waits for other hosts", QUIET)
        sent = size(row.sent) if row.send else ""
        if wide and row.send:
            sent = f"{size(row.sent)} / {size(row.send)}" if row.sent < row.send else size(row.sent)
        return self._mark(row), row.name, bar, f"{done}/{row.total}", Text(sent, QUIET), activity

    def _mark(self, row: Row) -> Text:
        if row.failed:
            return Text("✗", BAD)
        if row.over:
            return Text("✓", GOOD)
        if not row.running:
            return Text("·", QUIET)
        return Text(_SPINNER[int(time.monotonic() * RATE) % len(_SPINNER)], "cyan")

    def _foot(self, rows: list[Row]) -> Text:
        done, total = sum(row.done + row.failed for row in rows), sum(row.total for row in rows)
        text = Text(f"   {time.monotonic() - self._zero:5.1f} s   {done} of {total}", QUIET)
        if failed := sum(row.failed for row in rows):
            text.append(f"   {failed} failed", BAD)
        if self.stopping:
            text.append("   stopping: running steps end, Ctrl-C again aborts", WARN)
        elif self.board.note:
            text.append(f"   {self.board.note}", QUIET)
        return text


@contextmanager
def screen(console: Console, board: Board) -> Iterator[tuple[Screen, Emit]]:
    """Draw while the block runs; the rows are gone afterwards, failures stay above as lines."""
    drawn = Screen(board)
    with Live(drawn, console=console, refresh_per_second=RATE, transient=True, redirect_stderr=False) as live:

        def emit(event: Event) -> None:
            board.take(event)
            if isinstance(event, StepFailed):
                failure(live.console, event)

        yield drawn, emit


def failure(console: Console, event: StepFailed) -> None:
    """A failed step, when it happens: what, and the end of why."""
    said = [each for each in clean(event.error).splitlines() if each.strip()]
    say(console, ("failed  ", BAD), (str(event.key), NAME))
    for each in said[-_LINES:]:
        say(console, (line(each, 300), QUIET), indent=8)
