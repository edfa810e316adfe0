"""From what the streams report, line by line, to a `Result`."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from math import inf
from typing import Any, TypeVar

from quorate.drill.record import Acknowledged, Event, Result, Stream, Try

Note = TypeVar("Note", Acknowledged, Event)
Say = Callable[..., None]
"""What streams report with: a kind of line and its values, as in `Recorder.take`."""
STREAMS = ("new", "kept", "writes", "watch")


class Recorder:
    """Collects lines. Times in them are those of the monotonic clock, which all processes of a machine share."""

    def __init__(self) -> None:
        self.begin: float | None = None
        self.end: float | None = None
        self.problem = ""
        self._tries: dict[str, list[Try]] = {stream: [] for stream in STREAMS}
        self._acks: list[Acknowledged] = []
        self._events: list[Event] = []
        self._reopenings: list[float] = []
        self._lost: list[int] = []
        self._undone: list[int] = []
        self._marks: dict[str, float] = {}

    def take(self, kind: str, *values: Any) -> None:
        """Note one line. Raises ValueError for a kind that is not known."""
        match kind, values:
            case "try", (stream, start, seconds, word):
                self._tries[stream].append(Try(start, seconds, not word, word))
            case "acknowledged", (number, at, version):
                self._acks.append(Acknowledged(number, at, version))
            case "event", (number, at, version):
                self._events.append(Event(number, at, version))
                self._tries["watch"].append(Try(at, 0.0, True))
            case "reopened", (at,):
                self._reopenings.append(at)
            case "lost", (number,):
                self._lost.append(number)
            case "undone", (number,):
                self._undone.append(number)
            case "begin", (at,):
                self.begin = at
            case "end", (at,):
                self.end = at
            case "problem", (said,):
                self.problem = said
            case _:
                raise ValueError(f"no line of a probe: {kind}")

    def mark(self, name: str) -> None:
        """Note this moment under a name; a name that is used again means the later moment."""
        self._marks[name] = time.monotonic()

    def result(self) -> Result:
        """All so far; until the streams have ended, their end is now."""
        begin = time.monotonic() if self.begin is None else self.begin
        end = time.monotonic() if self.end is None else self.end
        # What came after the end is an answer to what began before it.
        return self._cut(begin, begin, end, -inf, inf)

    def window(self, first: float, last: float) -> Result:
        """The tries that ended, and the writes and events that came, between two moments of the monotonic clock.

        Times in it count from the start as always. It looks at nothing else: a drill has a million tries, and
        cuts a window for each of its faults.
        """
        return self._cut(first if self.begin is None else self.begin, first, last, first, last)

    def _cut(self, zero: float, begin: float, end: float, first: float, last: float) -> Result:
        """What came from `first` to `last`. Lines come in the order in which what they tell of ended."""

        def stream(name: str) -> Stream:
            tries = self._tries[name]
            low = bisect_left(tries, first, key=lambda each: each.end)
            high = bisect_right(tries, last, key=lambda each: each.end)
            return Stream(
                tuple(each._replace(start=each.start - zero) for each in tries[low:high]), begin - zero, end - zero
            )

        def cut(notes: list[Note]) -> tuple[Note, ...]:
            low = bisect_left(notes, first, key=lambda each: each.at)
            high = bisect_right(notes, last, key=lambda each: each.at)
            return tuple(each._replace(at=each.at - zero) for each in notes[low:high])

        return Result(
            begin=begin - zero,
            end=end - zero,
            new=stream("new"),
            kept=stream("kept"),
            writes=stream("writes"),
            watch=stream("watch"),
            acks=cut(self._acks),
            events=cut(self._events),
            reopenings=tuple(at - zero for at in self._reopenings if first <= at <= last),
            lost=tuple(self._lost),
            undone=tuple(self._undone),
            marks={name: at - zero for name, at in self._marks.items() if first <= at <= last},
            problem=self.problem,
        )
