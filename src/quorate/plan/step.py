"""A plan: one step per resource, with the difference between what is and what should be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from quorate.core import Key, State
from quorate.plan.gate import Gate, Turn
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready


@dataclass(frozen=True)
class Step:
    """One resource and its actual state; None when that can be known only after other steps."""

    resource: Resource
    actual: State | None

    @property
    def key(self) -> Key:
        """The resource's address."""
        return self.resource.key

    @property
    def diff(self) -> dict[str, tuple[str | None, str]]:
        """Field -> (now, wanted) for each field that differs."""
        return difference(self.resource.desired, self.actual)


def difference(desired: State, actual: State | None) -> dict[str, tuple[str | None, str]]:
    """Field -> (now, wanted); nothing wanted at all means that every field present must go."""
    now = actual or {}
    want = desired or dict.fromkeys(now, "")
    return {name: (now.get(name), value) for name, value in want.items() if now.get(name) != value}


@dataclass(frozen=True)
class Plan:
    """Every resource of the cluster as found, and the order in which they may be touched."""

    steps: Mapping[Key, Step]
    needs: Mapping[Key, frozenset[Key]]
    notes: tuple[str, ...] = ()
    """What a reader should know: certificates about to be issued, parts left out, and why."""
    unreachable: tuple[str, ...] = ()
    component_of: Mapping[Key, str] = field(default_factory=dict)
    gates: Mapping[Key, Gate] = field(default_factory=dict)
    """What of `needs` is no step."""
    turns: Mapping[Key, Turn] = field(default_factory=dict)
    """Whose turn it is, of what waits for that."""

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that would change something, in the order of the graph."""
        return tuple(step for step in self.steps.values() if step.diff)

    def part(self, key: Key) -> str:
        """The component that a step belongs to."""
        return self.component_of.get(key, key.kind)

    def late(self) -> tuple[Resource, ...]:
        """What does not answer though nothing that it needs would change: perhaps it did not just now."""
        there = {key: step for key, step in self.steps.items() if step.diff and key.host not in self.unreachable}
        silent = {key for key, step in there.items() if isinstance(step.resource, Ready)}
        behind = {step.key for step in self.changes} - silent
        for key in self._ordered():
            if self.needs.get(key, frozenset()) & behind:
                behind.add(key)
        return tuple(self.steps[key].resource for key in self.steps if key in silent - behind)

    def urgency(self) -> list[Key]:
        """All keys, those first that the longest chain of others waits for."""
        depth: dict[Key, int] = dict.fromkeys(self._ordered(), 0)
        for key in reversed(depth):
            for need in self.needs.get(key, frozenset()):
                depth[need] = max(depth.get(need, 0), depth[key] + 1)
        return sorted(self.steps, key=lambda key: (-depth[key], key))

    def _ordered(self) -> Iterable[Key]:
        """All steps and gates, each after what it needs."""
        return self.needs if self.gates else self.steps
