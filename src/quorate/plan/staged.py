"""The plan of a stage, and what later stages change: all of it known before anything runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.core import Key, State
from quorate.plan.compile import Compiled
from quorate.plan.graph import Part
from quorate.plan.step import Plan, Step, difference
from quorate.resource.brick import Brick
from quorate.resource.file import Binary, File
from quorate.resource.removal import Removal
from quorate.resource.unit import Unit


@dataclass(frozen=True)
class Later:
    """A stage that is to come, and what it changes when those before have come to their ends."""

    name: str
    plan: Plan
    texts: Mapping[Key, str]
    """What its text files have in them before."""


def later(now: Compiled, stages: Iterable[Compiled]) -> tuple[Compiled, ...]:
    """The stages after one, each with only what it changes: memory does not grow with their number."""
    before = {brick.key: brick.desired for brick in now.bricks}
    found = []
    for stage in stages:
        parts = tuple(filter(None, (_differing(part, before) for part in stage.parts)))
        before |= {brick.key: brick.desired for part in parts for brick in part.resources}
        found.append(Compiled(stage.stage, parts, stage.context, stage.answering))
    return tuple(found)


def _differing(part: Part, before: Mapping[Key, State]) -> Part | None:
    """What differs in a part, and the services that load it."""
    changed = [brick for brick in part.resources if before.get(brick.key) != brick.desired]
    paths = {brick.path for brick in changed if isinstance(brick, File | Binary)}
    loads = [brick for brick in part.resources if isinstance(brick, Unit) and paths & set(brick.loads)]
    bricks = {brick.key: brick for brick in (*changed, *loads)}
    return Part(part.component, part.host, tuple(bricks.values())) if bricks else None


def foreseen(
    now: Compiled, rest: Sequence[Compiled], states: Mapping[Key, State | None]
) -> tuple[Plan, tuple[Later, ...]]:
    """The plan of a stage whose things were found in these states, and of those in `rest`, which name what differs.

    What is found as a later stage wants it is not taken back: it counts as it is.
    """
    ahead = _Ahead(rest)
    steps, expected = {}, dict(states)
    texts: dict[Key, str] = {}
    for brick in now.bricks:
        actual = states.get(brick.key)
        early = actual is not None and bool(difference(brick.desired, actual)) and ahead.wants(brick.key, actual)
        steps[brick.key] = Step(brick, brick.desired if early else actual)
        expected[brick.key] = actual if early else brick.desired
        _read(brick, texts)
    for brick in now.bricks:
        if brick.watches:
            steps[brick.key] = Step(brick, _occasioned(brick, steps, states.get(brick.key)))
    if any(step.diff for step in steps.values()):
        # Only now somebody asks for the order.
        steps = {brick.key: steps[brick.key] for brick in now.resources}
        plan = Plan(steps, now.needs, component_of=now.component_of, gates=now.gates)
    else:
        plan = Plan(steps, {}, component_of=now.component_of)
    found = []
    for stage in rest:
        coming = {brick.key: Step(brick, expected.get(brick.key)) for brick in stage.bricks}
        found.append(Later(stage.stage, Plan(coming, {}, component_of=stage.component_of), dict(texts)))
        for brick in stage.bricks:
            expected[brick.key] = brick.desired
            _read(brick, texts)
    return plan, tuple(found)


def _occasioned(brick: Brick, steps: Mapping[Key, Step], actual: State | None) -> State | None:
    """The state of what watches others: as if nothing of it were there when one of those changes, else as wanted."""
    if any(steps[key].diff for key in brick.watches if key in steps):
        return {name: value for name, value in (actual or {}).items() if name not in brick.desired}
    return actual if brick.recalls else {**(actual or {}), **brick.desired}


def _read(brick: Brick, texts: dict[Key, str]) -> None:
    if isinstance(brick, File) and not brick.secret:
        texts[brick.key] = brick.content


class _Ahead:
    """What later stages want: states of things, and things that are gone."""

    def __init__(self, rest: Sequence[Compiled]) -> None:
        self._states: dict[Key, list[State]] = {}
        self._gone: set[Key] = set()
        for brick in (brick for stage in rest for brick in stage.bricks):
            self._states.setdefault(brick.key, []).append(brick.desired)
            if isinstance(brick, Removal):
                self._gone |= {each.key for each in brick.bricks}

    def wants(self, key: Key, actual: State) -> bool:
        """Whether a later stage wants it so."""
        if not actual and key in self._gone:
            return True
        return any(not difference(desired, actual) for desired in self._states.get(key, ()))
