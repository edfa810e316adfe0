"""A time by which changes shall have ended: a turn that would not is not begun, and what has begun is finished.

What a turn takes is expected from its limits (`plan.expected`), and as soon as one of its lane has ended from the
longest of those. Members, masters and balancers begin only where all of them, and of the same stage, would end in time.
What waits for no turn (a new host, objects) begins until the time itself.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quorate.core import Key
from quorate.execute.schedule import Schedule
from quorate.plan.expected import alone, expected, turn_of
from quorate.plan.gate import Turn
from quorate.plan.step import Plan
from quorate.plan.words import many
from quorate.resource.unit import Ready


@dataclass
class Window:
    """When it ends, and what was seen in it; the same for all stages of a run."""

    until: datetime
    clock: Callable[[], float] = time.time
    lasted: dict[str, float] = field(default_factory=dict)
    """By lane, seconds of the longest turn that has ended."""

    @property
    def over(self) -> bool:
        """Whether it is."""
        return not self.holds(0)

    def holds(self, seconds: float) -> bool:
        """Whether what takes so long would end in it."""
        return self.clock() + seconds <= self.until.timestamp()

    def told(self, plan: Plan) -> str:
        """What is expected of a stage, for a reader."""
        found = expected(plan)
        lanes = dict.fromkeys(turn.lane for turn in found)
        each = [
            f"{lane} on {many(len(mine), 'host')} up to {_span(max(mine))}{' each' if len(mine) > 1 else ''}"
            for lane in lanes
            if (mine := [self.expects(turn, found[turn]) for turn in found if turn.lane == lane])
        ]
        ends = self.until.isoformat(" ", "minutes")
        begins = f"nothing begins that would not end by {ends}"
        return f"{begins}: {', '.join(each)}" if each else begins

    def expects(self, turn: Turn, limit: int) -> float:
        """Seconds that a turn takes: as long as others of its lane did, else what its limits allow."""
        return self.lasted.get(turn.lane, limit)


class Turns:
    """The turns of one walk: which have begun, and which may not any more."""

    def __init__(self, plan: Plan, window: Window) -> None:
        self._plan, self._window, self._limits = plan, window, expected(plan)
        self._keys: dict[Turn, list[Key]] = {}
        for key in plan.steps:
            self._keys.setdefault(turn_of(plan, key), []).append(key)
        self._lanes = frozenset(plan.turns.values())
        self._began: dict[Turn, float] = {}
        self._under_way: set[Turn] = set()
        self._needed: set[Key] = set()
        """What turns that have begun need of others: what has begun is finished."""

    def admit(self, schedule: Schedule) -> None:
        """Let the turns begin whose first steps are ready and that would end in time."""
        now = self._window.clock()
        for turn in [turn for turn in self._under_way if not any(key in schedule.open for key in self._keys[turn])]:
            self._under_way.remove(turn)
            self._window.lasted[turn.lane] = max(self._window.lasted.get(turn.lane, 0), now - self._began[turn])
        ready = (key for keys in schedule.ready.values() for key in keys if not self._is_free(key))
        for turn in dict.fromkeys(turn_of(self._plan, key) for key in ready):
            if turn in self._began:
                continue
            needs = _needed(schedule, self._keys[turn]) if turn in self._lanes else set()
            if self._may(turn, needs):
                self._began[turn] = now
                self._needed |= needs
                self._under_way |= {turn} & self._limits.keys()

    def hold(self, key: Key) -> bool:
        """Whether a step must not begin, be it ready."""
        return not (turn_of(self._plan, key) in self._began or key in self._needed or self._is_free(key))

    def names(self, keys: Iterable[Key]) -> list[str]:
        """Whose turns these are."""
        turns = dict.fromkeys(turn_of(self._plan, key) for key in keys)
        waiting = [turn for turn in turns if turn in self._limits] or list(turns)
        return [f"{turn.host} ({turn.lane})" for turn in sorted(waiting)]

    def _is_free(self, key: Key) -> bool:
        """Whether it follows what was begun, and takes nothing from anybody."""
        step = self._plan.steps[key]
        return not step.diff and (key not in self._plan.turns or isinstance(step.resource, Ready))

    def _may(self, turn: Turn, needs: Collection[Key]) -> bool:
        if turn not in self._lanes:
            return self._window.holds(max(alone(self._plan.steps[key]) for key in self._keys[turn]))
        if any(key in self._plan.turns for key in needs):
            # It would stop in its middle, and wait for others whose turn may not come today.
            return False
        return self._window.holds(sum(self._expects(each) for each in self._with(turn)))

    def _with(self, turn: Turn) -> Iterable[Turn]:
        """The turn; of control plane, members and balancers the first with all that are to come."""
        coming = {each for each in self._limits if each.strict}
        return coming if turn in coming and not coming & self._began.keys() else {turn}

    def _expects(self, turn: Turn) -> float:
        return self._window.expects(turn, self._limits[turn]) if turn in self._limits else 0


def _needed(schedule: Schedule, keys: Collection[Key]) -> set[Key]:
    """All that is to be done for these, but they themselves."""
    found, queue = set[Key](), list(keys)
    while queue:
        more = schedule.open.get(queue.pop(), set()) - found
        found |= more
        queue += more
    return found - set(keys)


def _span(seconds: float) -> str:
    """Rounded up: `45 s`, `12 min`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{timedelta(seconds=seconds + 59) // timedelta(minutes=1)} min"
