"""What the watchers have seen, by the monotonic clock: each change, with who told it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

VIP, ETCD, LEASE, UNIT, LEFT_OUT = "vip", "etcd", "lease", "unit", "left out"
"""What is watched: `yes` or `no` of a balancer; the member that a host's member takes for the leader; the holder's
identity of a component; a service's state; the API servers that a balancer does not use."""


class Topic(NamedTuple):
    """One thing that changes."""

    kind: str
    host: str = ""
    """Who tells it; none for what the API tells."""
    name: str = ""
    """Service or component."""


class Change(NamedTuple):
    """From when on it was so."""

    at: float
    value: str


@dataclass(frozen=True)
class Stretch:
    """A time in which it was so."""

    begin: float
    end: float
    value: str


class Board:
    """Changes by topic, in order of time."""

    def __init__(self) -> None:
        self._changes: dict[Topic, list[Change]] = defaultdict(list)
        self.members: dict[str, str] = {}
        """Host by id of its etcd member."""
        self.hostnames: dict[str, str] = {}
        """Host by the machine's own name."""
        self.renewed: dict[str, float] = {}
        """When a component's lease was last seen to be renewed."""
        self._heard: dict[str, list[float]] = defaultdict(list)
        self._ahead: dict[str, float] = {}

    def clock(self, host: str, now: float, at: float) -> None:
        """Note a host's own clock at a moment of ours: the quickest of its lines tells how far they are apart."""
        self._ahead[host] = min(at - now, self._ahead.get(host, at - now))

    def hear(self, host: str, heard: float) -> None:
        """Note when the API was last heard by a host's kubelet, by the host's clock: it may be told late."""
        self._heard[host].append(heard)

    @property
    def kubelets(self) -> list[str]:
        """Hosts whose kubelets were heard of."""
        return sorted(self._heard.keys() & self._ahead.keys())

    def heard(self, host: str) -> list[float]:
        """When the API was heard by a host's kubelet, by our clock."""
        return [each + self._ahead[host] for each in self._heard.get(host, [])]

    def note(self, topic: Topic, at: float, value: str) -> None:
        """Note how it is now; nothing happens when it was so before."""
        changes = self._changes[topic]
        if not changes or changes[-1].value != value:
            changes.append(Change(at, value))

    def now(self, topic: Topic) -> str:
        """How it was seen last; empty when it never was."""
        changes = self._changes.get(topic)
        return changes[-1].value if changes else ""

    def ever(self, topic: Topic, begins: str) -> bool:
        """Whether it was ever seen as something that begins so."""
        return any(change.value.startswith(begins) for change in self._changes.get(topic, []))

    def topics(self, kind: str) -> list[Topic]:
        """What of a kind was seen."""
        return [topic for topic in self._changes if topic.kind == kind]

    def stretches(self, topic: Topic, begin: float, end: float) -> Iterator[Stretch]:
        """How it was between two moments."""
        changes = self._changes.get(topic, [])
        first = max(0, bisect_right(changes, begin, key=lambda change: change.at) - 1)
        for number in range(first, len(changes)):
            at, value = changes[number]
            until = changes[number + 1].at if number + 1 < len(changes) else end
            if max(at, begin) < min(until, end):
                yield Stretch(max(at, begin), min(until, end), value)
