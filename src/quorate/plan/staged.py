"""The plan of a stage, and what later stages change: all of it known before anything runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.core import Key, State
from quorate.plan.compile import Compiled
from quorate.plan.graph import Part
from quorate.plan.step import Plan, Step, difference
from quorate.resource.file import Binary, File
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
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
    before = {resource.key: resource.desired for resource in now.resources}
    found = []
    for stage in stages:
        parts = tuple(filter(None, (_differing(part, before) for part in stage.parts)))
        before |= {resource.key: resource.desired for part in parts for resource in part.resources}
        found.append(Compiled(stage.stage, parts, stage.context, stage.answering))
    return tuple(found)


def _differing(part: Part, before: Mapping[Key, State]) -> Part | None:
    """What differs in a part, and the services that load it."""
    changed = [resource for resource in part.resources if before.get(resource.key) != resource.desired]
    paths = {resource.path for resource in changed if isinstance(resource, File | Binary)}
    loads = [resource for resource in part.resources if isinstance(resource, Unit) and paths & set(resource.loads)]
    resources = {resource.key: resource for resource in (*changed, *loads)}
    return Part(part.component, part.host, tuple(resources.values())) if resources else None


def foreseen(
    now: Compiled, rest: Sequence[Compiled], states: Mapping[Key, State | None]
) -> tuple[Plan, tuple[Later, ...]]:
    """The plan of a stage whose things were found in these states, and of those in `rest`, which name what differs.

    What is found as a later stage wants it is not taken back: it counts as it is.
    """
    ahead = _Ahead(rest)
    steps, expected = {}, dict(states)
    texts: dict[Key, str] = {}
    for resource in now.resources:
        actual = states.get(resource.key)
        early = actual is not None and bool(difference(resource.desired, actual)) and ahead.wants(resource.key, actual)
        steps[resource.key] = Step(resource, resource.desired if early else actual)
        expected[resource.key] = actual if early else resource.desired
        _read(resource, texts)
    for resource in now.resources:
        if resource.watches:
            steps[resource.key] = Step(resource, _occasioned(resource, steps, states.get(resource.key)))
    if any(step.diff for step in steps.values()):
        # Only now somebody asks for the order.
        steps = {resource.key: steps[resource.key] for resource in now.ordered}
        plan = Plan(steps, now.needs, component_of=now.component_of, gates=now.gates, turns=now.turns)
    else:
        plan = Plan(steps, {}, component_of=now.component_of)
    found = []
    for stage in rest:
        coming = {resource.key: Step(resource, expected.get(resource.key)) for resource in stage.resources}
        found.append(Later(stage.stage, Plan(coming, {}, component_of=stage.component_of), dict(texts)))
        for resource in stage.resources:
            expected[resource.key] = resource.desired
            _read(resource, texts)
    return plan, tuple(found)


def _occasioned(resource: Resource, steps: Mapping[Key, Step], actual: State | None) -> State | None:
    """The state of what watches others: as if nothing of it were there when one of those changes, else as wanted."""
    if any(steps[key].diff for key in resource.watches if key in steps):
        return {name: value for name, value in (actual or {}).items() if name not in resource.desired}
    return actual if resource.recalls else {**(actual or {}), **resource.desired}


def _read(resource: Resource, texts: dict[Key, str]) -> None:
    if isinstance(resource, File) and not resource.secret:
        texts[resource.key] = resource.content


class _Ahead:
    """What later stages want: states of things, and things that are gone."""

    def __init__(self, rest: Sequence[Compiled]) -> None:
        self._states: dict[Key, list[State]] = {}
        self._gone: set[Key] = set()
        for resource in (resource for stage in rest for resource in stage.resources):
            self._states.setdefault(resource.key, []).append(resource.desired)
            if isinstance(resource, Removal):
                self._gone |= {each.key for each in resource.resources}

    def wants(self, key: Key, actual: State) -> bool:
        """Whether a later stage wants it so."""
        if not actual and key in self._gone:
            return True
        return any(not difference(desired, actual) for desired in self._states.get(key, ()))
