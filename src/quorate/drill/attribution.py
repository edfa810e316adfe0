"""Which run is to blame for what is known only in the end: lost writes, and a history that no order explains."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from quorate.drill.history import History, faults
from quorate.drill.record import Result
from quorate.report.drill.report import Fault

Key = tuple[str, int]
"""A fault's name, and a run's number."""


def attributed(tried: Sequence[Fault], moments: Mapping[Key, float], result: Result) -> Sequence[Fault]:
    """The faults with `lost` and `disorder` in their runs: each write is that of the last fault before its end.

    `moments` are those of the faults, by the probe's time. What was before the first is the first one's.
    """
    begins = sorted((moment, key) for key, moment in moments.items())

    def key_of(number: int) -> Key:
        at = result.writes.tries[number - 1].end
        return begins[max(0, bisect_right(begins, at, key=lambda begin: begin[0]) - 1)][1]

    if not begins:
        return tried
    gone = set(result.lost)
    lost = Counter(key_of(number) for number in gone)
    disorder = Counter(key_of(each.number) for each in faults(History.of(result)) if each.number not in gone)
    return [
        replace(
            fault,
            runs=[
                replace(run, lost=lost[fault.name, run.number], disorder=disorder[fault.name, run.number])
                for run in fault.runs
            ],
        )
        for fault in tried
    ]
