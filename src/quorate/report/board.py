"""The state of a run, from its events: what each host does now, how far it is, what failed. No drawing here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quorate.core import Key
from quorate.plan.show import Shown, Sort
from quorate.plan.words import line
from quorate.report.event import Event, PartDone, Said, Sent, StepDone, StepFailed, StepSkipped, StepStarted

_DOING: Mapping[str, str] = {
    "binary": "sending",
    "image": "loading image",
    "packages": "installing",
    "unit": "starting",
    "ready": "waiting for",
    "manifest": "applying",
    "file": "writing",
    "directory": "making",
    "setting": "setting",
    "user": "adding user",
}


def doing(key: Key) -> str:
    """A step as an activity: `starting etcd.service`."""
    what = key.name.rpartition("/")[2] if key.kind in ("binary", "image") else key.name
    return line(f"{_DOING.get(key.kind, key.kind)} {what.removesuffix('.service')}")


@dataclass
class Row:
    """One host."""

    name: str
    total: int = 0
    """Changes planned."""
    send: int = 0
    """Bytes planned to be sent."""
    done: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    running: dict[Key, str] = field(default_factory=dict)
    """What is under way, the latest last, each with its component."""
    said: str = ""
    whole: bool = False
    """All steps are done, also those that only followed others and were not counted."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do here."""
        return self.whole or not (self.total or self.running or self.failed)

    @property
    def now(self) -> tuple[str, str]:
        """Component and activity of the step to show: the latest that is not a mere upload; or what is said."""
        if self.said:
            return ("", self.said)
        steps = [key for key in self.running if key.kind not in ("binary", "image")] or list(self.running)
        if not steps:
            return ("", "")
        return (self.running[steps[-1]], doing(steps[-1]))


@dataclass
class Board:
    """All hosts and the run as a whole."""

    rows: dict[str, Row]
    failures: list[StepFailed] = field(default_factory=list)
    note: str = ""

    @classmethod
    def of(cls, shown: Shown) -> "Board":
        """The board before anything has happened."""
        board = cls({host: Row(host) for host in shown.hosts})
        for each in shown.lines:
            if each.sort in (Sort.RESTART, Sort.RELOAD):
                continue
            row = board.rows[each.key.host]
            row.total += 1
            row.send += each.send
        return board

    def take(self, event: Event) -> None:
        """Let an event change the board."""
        match event:
            case Said(text, host):
                if host in self.rows:
                    self.rows[host].said = line(text)
                else:
                    self.note = line(text)
            case Sent(host, _, count):
                self.rows[host].sent += count
            case StepStarted(key, component):
                self.rows[key.host].running[key] = component
            case PartDone(host, ""):
                self.rows[host].whole = True
            case StepDone(key):
                row = self.rows[key.host]
                row.running.pop(key, None)
                row.done += 1
                # A service that follows a changed file, or what waits for it, was not counted before.
                row.total = max(row.total, row.done)
            case StepFailed(key):
                row = self.rows[key.host]
                row.running.pop(key, None)
                row.failed += 1
                self.failures.append(event)
            case StepSkipped(key):
                self.rows[key.host].skipped += 1
