"""What happens, as frozen values: the console, JSON lines and the journal all read these."""

from collections.abc import Callable
from dataclasses import dataclass

from quorate.core import Key


@dataclass(frozen=True)
class Event:
    """Root of events."""


@dataclass(frozen=True)
class Said(Event):
    """A line for the reader: a download, a build, a lab host that boots."""

    text: str
    host: str = ""


@dataclass(frozen=True)
class Phase(Event):
    """A stretch of work begins or ends; `seconds` is 0 at its beginning."""

    name: str
    ended: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class StepStarted(Event):
    """A step is under way."""

    key: Key
    component: str


@dataclass(frozen=True)
class StepDone(Event):
    """A step is done; `changed` tells whether anything had to be."""

    key: Key
    component: str
    changed: bool
    seconds: float


@dataclass(frozen=True)
class StepFailed(Event):
    """A step failed."""

    key: Key
    component: str
    error: str
    seconds: float


@dataclass(frozen=True)
class StepSkipped(Event):
    """A step was not tried, because something it needs failed."""

    key: Key
    component: str
    because: Key


@dataclass(frozen=True)
class PartDone(Event):
    """All of a component on a host is done and well, also what only followed others; without a component, all there."""

    host: str
    component: str = ""


@dataclass(frozen=True)
class Sent(Event):
    """A large file went to a host."""

    host: str
    name: str
    bytes_: int
    """Bytes on the wire before encryption (compressed)."""


@dataclass(frozen=True)
class Checked(Event):
    """A check of the preflight ended; `status` is passed, warned, failed, waived or not checked."""

    id: str
    title: str
    status: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Planned(Event):
    """What is about to be applied: how many lines of each sort, and the bytes to send."""

    cluster: str
    create: int
    change: int
    remove: int
    restart: int
    send_bytes: int


@dataclass(frozen=True)
class Foretold(Event):
    """Something that a restore would do, said before it begins: a line, which names a few objects, and all of them."""

    text: str
    """Empty for a kind that is one of too many for a line of its own."""
    kind: str = ""
    """Of the objects, by its resource: `pods`, `deployments`, `widgets.example.org`."""
    back: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Persistent volumes whose content stays as it is."""


@dataclass(frozen=True)
class StageBegun(Event):
    """One of several stages begins."""

    name: str
    number: int
    """From 1."""
    of: int


@dataclass(frozen=True)
class Ended(Event):
    """The last word about an apply; `phases` are (name, from, to) in seconds from its beginning."""

    ok: bool
    changed: int
    unchanged: int
    failed: int
    skipped: int
    stopped: bool
    seconds: float
    phases: tuple[tuple[str, float, float], ...] = ()
    sent: tuple[tuple[str, int], ...] = ()
    """Bytes of large files sent, by host."""
    touched: int = 0
    """Hosts on which something changed."""
    hosts: int = 0
    left: int = 0
    """Steps that were not done because the run was stopped, or its time was over."""
    postponed: tuple[str, ...] = ()
    """Whose turn, or which stage, was not begun, for it would not have ended in time."""

    @property
    def word(self) -> str:
        """How it ended: done, stopped, postponed, failed."""
        if self.ok:
            return "done"
        return "stopped" if self.stopped else "postponed" if self.postponed and not self.failed else "failed"

    def then(self, other: "Ended") -> "Ended":
        """Both, the other one after this; of what was touched and is there, the most of both."""
        phases = ((name, first + self.seconds, last + self.seconds) for name, first, last in other.phases)
        sent = dict(self.sent)
        for host, count in other.sent:
            sent[host] = sent.get(host, 0) + count
        return Ended(
            ok=self.ok and other.ok,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            stopped=self.stopped or other.stopped,
            seconds=self.seconds + other.seconds,
            phases=(*self.phases, *phases),
            sent=tuple(sorted(sent.items())),
            touched=max(self.touched, other.touched),
            hosts=max(self.hosts, other.hosts),
            left=self.left + other.left,
            postponed=(*self.postponed, *other.postponed),
        )


Emit = Callable[[Event], None]
"""Where events go."""
