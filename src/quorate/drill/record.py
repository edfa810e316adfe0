"""What the probe saw, as frozen values, and the arithmetic on it: gaps, failures, lost writes.

All times are seconds since the probe's start.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple


class Try(NamedTuple):
    """One try: when it began, how long it took, whether it succeeded, and the reason in a word if not."""

    start: float
    seconds: float
    ok: bool
    word: str = ""

    @property
    def end(self) -> float:
        """When its answer was whole, or it was given up."""
        return self.start + self.seconds


class Acknowledged(NamedTuple):
    """A write that the API has confirmed: its number, when, and the object's resourceVersion by the answer."""

    number: int
    at: float
    version: int


class Event(NamedTuple):
    """A write that the watch has shown. Version 0: a list showed it, after the watch could not go on."""

    number: int
    at: float
    version: int


@dataclass(frozen=True)
class Stream:
    """The tries of one kind between two moments."""

    tries: tuple[Try, ...] = field(repr=False)
    begin: float
    end: float

    @property
    def total(self) -> int:
        """How many tries."""
        return len(self.tries)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(not each.ok for each in self.tries)

    @property
    def words(self) -> Mapping[str, int]:
        """How many failed for each reason."""
        return Counter(each.word for each in self.tries if not each.ok)

    @property
    def longest_gap(self) -> float:
        """The longest time without a success, in seconds: what a client that tries all the time would have felt.

        It runs from the end of one success to the end of the next; the first begins with the stretch, the last
        ends with it. Nothing is subtracted, so that an API without faults has gaps of one interval and one
        answer.
        """
        ends = sorted(each.end for each in self.tries if each.ok and self.begin <= each.end <= self.end)
        return max(after - before for before, after in pairwise([self.begin, *ends, self.end]))

    def window(self, begin: float, end: float) -> "Stream":
        """The tries that ended between two moments: one given up after a fault belongs to it, whenever it began."""
        return Stream(tuple(each for each in self.tries if begin <= each.end <= end), begin, end)

    def __str__(self) -> str:
        reasons = ", ".join(f"{word} {count}" for word, count in sorted(self.words.items()))
        failed = f"{self.failed} of {self.total} failed{f' ({reasons})' if reasons else ''}"
        return f"{failed}, longest gap {self.longest_gap:.2f} s"


@dataclass(frozen=True)
class Result:
    """All that one probe saw from its start (0) to its end, or in a window of that time."""

    begin: float
    end: float
    new: Stream
    kept: Stream
    writes: Stream
    watch: Stream
    """Its successes are the events, so it has no shorter gap than `writes`."""
    acks: tuple[Acknowledged, ...] = field(default=(), repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    reopenings: tuple[float, ...] = ()
    """When the watch was opened again."""
    lost: tuple[int, ...] = ()
    """Acknowledged writes that were not there at the end."""
    undone: tuple[int, ...] = ()
    """Acknowledged writes that a later answer did not have; also those that came back."""
    marks: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    """Why the writes could not be read back, so that `lost` says nothing, or the namespace is still there."""

    @property
    def acknowledged(self) -> int:
        """How many writes the API has confirmed."""
        return len(self.acks)

    @property
    def unknown(self) -> int:
        """How many writes got no answer: they may have been done."""
        return sum(each.word.startswith("unknown") for each in self.writes.tries)

    @property
    def disorder(self) -> int:
        """How many answers and events had a resourceVersion that was not above that of the one before."""
        versions = [[each.version for each in self.acks], [each.version for each in self.events if each.version]]
        return sum(after <= before for found in versions for before, after in pairwise(found))

    @property
    def unseen(self) -> tuple[int, ...]:
        """Acknowledged writes that the watch has not shown."""
        seen = {each.number for each in self.events}
        return tuple(each.number for each in self.acks if each.number not in seen)

    @property
    def longest_delay(self) -> float:
        """The longest time from a write's acknowledgement to its event, in seconds; 0 if the event came first.

        A write without an event counts until the end.
        """
        seen: dict[int, float] = {}
        for event in self.events:
            seen.setdefault(event.number, event.at)
        return max((max(0.0, seen.get(each.number, self.end) - each.at) for each in self.acks), default=0.0)

    @property
    def reopened(self) -> int:
        """How many times the watch was opened again."""
        return len(self.reopenings)

    @property
    def gone(self) -> int:
        """How many times the API no longer had the version from which the watch was to go on (410)."""
        return self.watch.words.get("gone", 0)

    @property
    def longest_pause(self) -> float:
        """The longest time between the starts of two tries of `new`, in seconds: the measurement's resolution.

        They start by the clock alone. What exceeds the interval is the fault of this machine, not of the API.
        """
        starts = sorted(each.start for each in self.new.tries)
        return max((after - before for before, after in pairwise(starts)), default=0.0)

    def window(self, begin: float, end: float) -> "Result":
        """The same numbers for a stretch of time, in seconds since the start: for one fault among many.

        Writes belong to it by the time of their acknowledgement, with their events whenever those came.
        """
        acks = tuple(each for each in self.acks if begin <= each.at <= end)
        numbers = {each.number for each in acks}
        return replace(
            self,
            begin=begin,
            end=end,
            new=self.new.window(begin, end),
            kept=self.kept.window(begin, end),
            writes=self.writes.window(begin, end),
            watch=self.watch.window(begin, end),
            acks=acks,
            events=tuple(each for each in self.events if each.number in numbers),
            reopenings=tuple(at for at in self.reopenings if begin <= at <= end),
            lost=tuple(number for number in self.lost if number in numbers),
            undone=tuple(number for number in self.undone if number in numbers),
            marks={name: at for name, at in self.marks.items() if begin <= at <= end},
        )
