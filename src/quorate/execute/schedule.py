"""What may run when: steps whose needs are met, the runs of steps that fit one script, and why one never ran."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from quorate.core import Key
from quorate.plan.step import Plan, Step
from quorate.resource.system import Encounter
from quorate.resource.unit import Ready, Unit


class ReadyStep(NamedTuple):
    """A ready step: it waits for something by itself, it carries a large file, or neither."""

    key: Key
    waits: bool
    large: bool


class Schedule:
    """The steps of a plan that are still to be done, and the gates between them. No IO, and no clock."""

    def __init__(self, plan: Plan, held: Callable[[Key], bool] = lambda _key: False) -> None:
        """`held` says of what is ready that it must not begin now all the same."""
        self._plan, self._held = plan, held
        self.open: dict[Key, set[Key]] = {key: set(plan.needs.get(key, ())) for key in (*plan.steps, *plan.gates)}
        """What is not done, and what of its needs is not."""
        self.ready: dict[str, dict[Key, None]] = {}
        """What may begin, by host, in order."""
        self.left = Counter(place for key in plan.steps for place in self.places(key))
        """How much is open of each part of each host, and of each host: what only follows others counts too."""
        self.untouched = 0
        """Steps for which nothing had to be done, not even a look."""
        self._dependants: dict[Key, list[Key]] = {key: [] for key in self.open}
        for key in sorted(self.open):
            for need in self.open[key]:
                self._dependants[need].append(key)
        self._touched: set[Key] = set()
        self._flying: set[Key] = set()
        self._hopeless: dict[Key, Key] = {}
        """What never begins, and the failed step that it would have come after."""
        self._gone: dict[str, Key] = {}
        """Hosts that were given up, each with the step that was lost with it."""
        self._lost: Counter[Key] = Counter()
        """How many needs of a gate are hopeless."""
        self._meetings = {step.key.name for step in plan.changes if isinstance(step.resource, Encounter)}
        """What hosts are to do together: one that did its part before is met by nobody unless it does it again."""
        self._large: dict[Key, bool] = {}
        self._rank = {key: rank for rank, key in enumerate(plan.urgency())}
        self._free([key for key, needs in self.open.items() if not needs])

    @property
    def rest(self) -> list[Key]:
        """The steps that are not done."""
        return [key for key in self.open if key in self._plan.steps]

    def places(self, key: Key) -> tuple[tuple[str, str], ...]:
        """What a step is a piece of: a part of a host, and all of the host (its part is empty)."""
        return ((key.host, self._plan.part(key)), (key.host, ""))

    def waiting(self, host: str) -> Iterator[ReadyStep]:
        """The host's ready steps."""
        for key in [key for key in self.ready[host] if not self._held(key)]:
            resource = self._plan.steps[key].resource
            yield ReadyStep(key, resource.waits, self.large(key))

    def uploads(self) -> list[Key]:
        """The ready steps with large files, what others wait for first."""
        found = [key for ready in self.ready.values() for key in ready if self.large(key) and not self._held(key)]
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
        if key.host in self._gone:
            self._give_up([key], self._gone[key.host])
        elif key in self.open and not self.open[key]:
            self.ready.setdefault(key.host, {})[key] = None

    def fail(self, key: Key) -> None:
        """It failed, and stays open: nothing that needs it begins, and a gate that can do without it waits no more."""
        self._flying.discard(key)
        self._give_up([key], key)

    def lose(self, host: str, cause: Key) -> None:
        """The host was given up with that step: nothing more begins there."""
        self._gone.setdefault(host, cause)
        self._give_up([key for key in self.rest if key.host == host and key not in self._flying], cause)

    def close(self, key: Key, *, changed: bool) -> None:
        """It is done; what follows a change by itself follows this one."""
        if changed:
            self._touched.add(key)
        self._flying.discard(key)
        self._free(self._done(key))

    def cause(self, key: Key) -> Key:
        """The failed step that this one would have come after, or with which its host was lost."""
        return self._hopeless.get(key, key)

    def _done(self, key: Key) -> list[Key]:
        """Take it out; what that leaves without needs."""
        del self.open[key]
        if key in self._plan.steps:
            self.left.subtract(self.places(key))
        found = []
        for dependant in self._dependants[key]:
            if dependant in self.open:
                self.open[dependant].discard(key)
                if not self.open[dependant]:
                    found.append(dependant)
        return found

    def _free(self, keys: list[Key]) -> None:
        """All needs of these are met: each is done already, or ready to run."""
        queue = deque(keys)
        while queue:
            key = queue.popleft()
            if key in self._flying or key in self._hopeless or key not in self.open:
                continue
            if key in self._plan.gates:
                if not self._touched.isdisjoint(self._plan.needs[key]):
                    self._touched.add(key)
            elif self._plan.steps[key].diff or self._follows(key):
                self.ready.setdefault(key.host, {})[key] = None
                continue
            else:
                self.untouched += 1
            queue.extend(self._done(key))

    def _follows(self, key: Key) -> bool:
        """Whether something changed that it has loaded, or that its proof rests upon, or others are to meet it."""
        resource, gates = self._plan.steps[key].resource, self._plan.gates
        if isinstance(resource, Encounter):
            return key.name in self._meetings
        if not isinstance(resource, Unit | Ready):
            return False
        return any(
            need not in gates or (gates[need].followed and isinstance(resource, Ready))
            for need in self._plan.needs.get(key, frozenset()) & self._touched
        )

    def _give_up(self, keys: list[Key], cause: Key) -> None:
        """These never begin, nor does what needs them; a gate opens when the rest of its needs is enough."""
        queue, freed = deque(keys), list[Key]()
        while queue:
            key = queue.popleft()
            if key in self._hopeless or key not in self.open:
                continue
            self._hopeless[key] = cause
            self.ready.get(key.host, {}).pop(key, None)
            for dependant in self._dependants[key]:
                if self._can_do_without(dependant, key, cause):
                    self.open[dependant].discard(key)
                    if not self.open[dependant]:
                        freed.append(dependant)
                else:
                    queue.append(dependant)
        self._free(freed)

    def _can_do_without(self, key: Key, need: Key, cause: Key) -> bool:
        """Whether it is a gate that opens without this need, which is hopeless."""
        gate = self._plan.gates.get(key)
        if gate is None:
            return False
        if need not in gate.standing or need.host == cause.host:
            self._lost[key] += 1
        return len(self._plan.needs[key]) - self._lost[key] >= gate.enough

    def grow(self, host: str, ready: list[Key]) -> list[Key]:
        """The ready steps and all that become ready by them, as far as they can run in one script."""
        chosen = dict.fromkeys(ready)
        queue = deque(ready)
        while queue:
            for dependant in self._dependants[queue.popleft()]:
                if dependant not in chosen and self._fits(dependant, host) and self.open[dependant] <= chosen.keys():
                    chosen[dependant] = None
                    queue.append(dependant)
        return [key for key in chosen if key not in self._plan.gates]

    def _fits(self, key: Key, host: str) -> bool:
        """Whether it may run in a script of the host as soon as its needs are met; a gate opens by itself."""
        if key not in self.open or key in self._hopeless:
            return False
        if key in self._plan.gates:
            return True
        resource = self._plan.steps[key].resource
        if key.host != host or resource.waits or self.large(key) or self._held(key):
            return False
        return bool(self._plan.steps[key].diff) or isinstance(resource, Unit | Ready)
