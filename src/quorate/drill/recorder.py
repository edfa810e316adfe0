"""From what the streams report, line by line, to a `Result`."""

import time
from collections.abc import Callable
from typing import Any

from quorate.drill.record import Acknowledged, Event, Result, Stream, Try

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
        end = (time.monotonic() if self.end is None else self.end) - begin

        def stream(name: str) -> Stream:
            return Stream(tuple(each._replace(start=each.start - begin) for each in self._tries[name]), 0.0, end)

        return Result(
            begin=0.0,
            end=end,
            new=stream("new"),
            kept=stream("kept"),
            writes=stream("writes"),
            watch=stream("watch"),
            acks=tuple(each._replace(at=each.at - begin) for each in self._acks),
            events=tuple(each._replace(at=each.at - begin) for each in self._events),
            reopenings=tuple(at - begin for at in self._reopenings),
            lost=tuple(self._lost),
            undone=tuple(self._undone),
            marks={name: at - begin for name, at in self._marks.items()},
            problem=self.problem,
        )
