"""Whether one order of the writes explains all answers and events: then, and only then, the history is linearizable.

There is one writer, which begins a write when the one before has ended for it, and writes on the condition that the
object is as it saw it last. So the only possible order is that of the numbers: what remains to be found is whether
each unanswered write was done, at its place or not at all. resourceVersions, which etcd counts up by one for each
change of anything, tell places apart.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quorate.drill.record import Result


class Fault(NamedTuple):
    """Something that no order explains: the number of the write, and what is wrong with it."""

    number: int
    what: str


@dataclass(frozen=True)
class History:
    """What one writer and one watcher were told."""

    acknowledged: Mapping[int, int]
    """resourceVersion by number, of the writes that were confirmed."""
    refused: Collection[int] = ()
    """Numbers that were not done, by the API's own word. All others may have been done."""
    events: Sequence[tuple[int, int]] = ()
    """Numbers and versions as the watch showed them, in that order; version 0 is that of a list."""
    lost: Collection[int] = ()
    """Acknowledged numbers that were not there in the end."""
    undone: Collection[int] = ()
    """Acknowledged numbers that an answer did not have, which came after."""

    @classmethod
    def of(cls, result: Result) -> "History":
        """What a probe saw. Numbers count its tries, from 1."""
        refused = [
            number
            for number, each in enumerate(result.writes.tries, 1)
            if not each.ok and not each.word.startswith("unknown")
        ]
        return cls(
            {each.number: each.version for each in result.acks},
            frozenset(refused),
            [(each.number, each.version) for each in result.events],
            result.lost,
            result.undone,
        )


def faults(history: History) -> list[Fault]:
    """All that contradicts that order, by number; none when the history is linearizable."""
    found = [Fault(number, "was confirmed, and was not there in the end") for number in history.lost]
    found += [Fault(number, "was confirmed, and a later answer did not have it") for number in history.undone]
    versions = dict(history.acknowledged)
    for number, version in history.events:
        if number in history.refused:
            found.append(Fault(number, "was refused, and is there"))
        if version and versions.setdefault(number, version) != version:
            found.append(Fault(number, f"was confirmed as {versions[number]} and shown as {version}"))
    found += _backwards(sorted(versions.items()), "comes before a number that is lower")
    shown = [(number, version) for number, version in history.events if version]
    found += _backwards(shown, "was shown after a later one")
    return sorted(set(found))


def _backwards(order: Sequence[tuple[int, int]], what: str) -> list[Fault]:
    """Those whose number or version is not above all before it."""
    found, highest, last = [], 0, 0
    for number, version in order:
        if version <= highest or number <= last:
            found.append(Fault(number, what))
        highest, last = max(highest, version), max(last, number)
    return found
