"""What may run when: steps whose needs are met, the runs of steps that fit one script, and why one never ran."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from quorate.core import Key
from quorate.plan.step import Plan, Step
from quorate.resource.brick import Brick
from quorate.resource.unit import Ready, Unit


class Waiting(NamedTuple):
    """A ready step: it waits for something by itself, it carries a large file, or neither."""

    key: Key
    waits: bool
    large: bool


class Order:
    """The steps of a plan that are still to be done. No IO, and no clock."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.open: dict[Key, set[Key]] = {key: set(plan.needs.get(key, ())) for key in plan.steps}
        """What is not done, and what of its needs is not."""
        self.ready: dict[str, dict[Key, None]] = {}
        """What may begin, by host, in order."""
        self.left = Counter(place for key in plan.steps for place in self.places(key))
        """How much is open of each part of each host, and of each host: what only follows others counts too."""
        self.untouched = 0
        """Steps for which nothing had to be done, not even a look."""
        self._dependants: dict[Key, set[Key]] = {key: set() for key in plan.steps}
        for key, needs in self.open.items():
            for need in needs:
                self._dependants[need].add(key)
        self._touched: set[Key] = set()
        self._flying: set[Key] = set()
        self._large: dict[Key, bool] = {}
        self._rank = {key: rank for rank, key in enumerate(plan.urgency())}
        for key in [key for key, needs in self.open.items() if not needs]:
            self._free(key)

    def places(self, key: Key) -> tuple[tuple[str, str], ...]:
        """What a step is a piece of: a part of a host, and all of the host (its part is empty)."""
        return ((key.host, self._plan.part(key)), (key.host, ""))

    def waiting(self, host: str) -> Iterator[Waiting]:
        """The host's ready steps."""
        for key in list(self.ready[host]):
            resource = self._plan.steps[key].resource
            yield Waiting(key, isinstance(resource, Brick) and resource.waits, self.large(key))

    def uploads(self) -> list[Key]:
        """The ready steps with large files, what others wait for first."""
        found = [key for ready in self.ready.values() for key in ready if self.large(key)]
        return sorted(found, key=lambda key: self._rank[key])

    def large(self, key: Key) -> bool:
        """Whether a file is streamed for the step."""
        if key not in self._large:
            step = self._plan.steps[key]
            self._large[key] = any(action.blob for action in step.resource.converge(step.actual or {}))
        return self._large[key]

    def start(self, *keys: Key) -> list[Step]:
        """These begin."""
        for key in keys:
            self.ready.get(key.host, {}).pop(key, None)
        self._flying.update(keys)
        return [self._plan.steps[key] for key in keys]

    def again(self, key: Key) -> None:
        """Not done, and perhaps not tried: it runs later, unless it needs what failed."""
        self._flying.discard(key)
        if key in self.open and not self.open[key]:
            self.ready.setdefault(key.host, {})[key] = None

    def fail(self, key: Key) -> None:
        """It failed, and stays open: nothing that needs it begins."""
        self._flying.discard(key)

    def close(self, key: Key, *, changed: bool) -> None:
        """It is done; what follows a change by itself follows this one."""
        if changed:
            self._touched.add(key)
        self._flying.discard(key)
        del self.open[key]
        self.left.subtract(self.places(key))
        for dependant in sorted(self._dependants[key]):
            if dependant in self.open:
                self.open[dependant].discard(key)
                if not self.open[dependant]:
                    self._free(dependant)

    def _free(self, key: Key) -> None:
        """All needs of the step are met: it is done already, or it is ready to run."""
        if key in self._flying:
            return
        step = self._plan.steps[key]
        follows = isinstance(step.resource, Unit | Ready) and self._plan.needs.get(key, frozenset()) & self._touched
        if step.diff or follows:
            self.ready.setdefault(key.host, {})[key] = None
        else:
            self.untouched += 1
            self.close(key, changed=False)

    def grow(self, host: str, ready: list[Key]) -> list[Key]:
        """The ready steps and all that become ready by them, as far as they can run in one script."""
        chosen = dict.fromkeys(ready)
        queue = list(ready)
        while queue:
            for dependant in sorted(self._dependants[queue.pop(0)]):
                if dependant in chosen or dependant not in self.open or dependant.host != host:
                    continue
                resource = self._plan.steps[dependant].resource
                waits = isinstance(resource, Brick) and resource.waits
                if waits or self.large(dependant) or not self.open[dependant] <= chosen.keys():
                    continue
                if not self._plan.steps[dependant].diff and not isinstance(resource, Unit | Ready):
                    continue
                chosen[dependant] = None
                queue.append(dependant)
        return list(chosen)

    def cause(self, key: Key, failed: Container[Key], gone: Mapping[str, Key]) -> Key:
        """The failed step that this one would have come after, or with which its host was lost."""
        seen = {key}
        while key not in failed:
            behind = [need for need in sorted(self.open[key]) if need not in seen]
            if not behind:
                return gone.get(key.host, key)
            key = behind[0]
            seen.add(key)
        return key
