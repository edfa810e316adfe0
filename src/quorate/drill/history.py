"""Whether one order of the writes explains all answers and events: then, and only then, the history is linearizable.

There is one writer, which begins a write when the one before has ended for it, and writes on the condition that the
object is as it saw it last. So the only possible order is that of the numbers: what remains to be found is whether
each unanswered write was done, at its place or not at all. resourceVersions, which etcd counts up by one for each
change of anything, tell places apart.

One thing is allowed beside that: a write that nobody answered may still be on its way when the next ConfigMap is begun,
and be done long after, when the way is free again. No condition speaks against it, for nobody else writes to its
ConfigMap any more. So its place is known within that ConfigMap alone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from quorate.drill.record import Result
from quorate.drill.writes import CHUNK


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
    shown = [(number, version) for number, version in history.events if version]
    late = versions.keys() - history.acknowledged.keys()
    for order, what in (
        (sorted(versions.items()), "comes before a number that is lower"),
        (shown, "was shown after a later one"),
    ):
        for part in ([each for each in order if each[0] not in late], *_by_map(order)):
            found += _backwards(part, what)
    found += [
        Fault(after[0], "was shown after a later one") for before, after in pairwise(shown) if after[1] <= before[1]
    ]
    return sorted(set(found))


def _by_map(order: Sequence[tuple[int, int]]) -> Iterable[Sequence[tuple[int, int]]]:
    """The same, for each ConfigMap."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for each in order:
        found[(each[0] - 1) // CHUNK].append(each)
    return found.values()


def _backwards(order: Sequence[tuple[int, int]], what: str) -> list[Fault]:
    """Those whose number or version is not above all before it."""
    found, highest, last = [], 0, 0
    for number, version in order:
        if version <= highest or number <= last:
            found.append(Fault(number, what))
        highest, last = max(highest, version), max(last, number)
    return found
