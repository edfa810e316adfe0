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
class Sent(Event):
    """A large file went to a host."""

    host: str
    name: str
    bytes_: int
    """Bytes on the wire before encryption (compressed)."""


Emit = Callable[[Event], None]
"""Where events go."""
