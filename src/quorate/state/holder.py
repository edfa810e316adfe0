"""Who holds a cluster's lock: what a run writes of itself on every host, and what others make of it."""

import getpass
import json
import os
import platform
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """One run of one verb, as it tells of itself."""

    token: str
    """Random; what a host compares."""
    who: str = "somebody"
    """user@machine."""
    pid: int = 0
    verb: str = "a run"
    since: str = ""
    """When it took the lock, UTC, by its own clock."""
    place: str = ""
    """The boot and the namespace in which `pid` means something; empty where there is no /proc."""
    started: str = ""
    """When the process began, as its kernel counts: pids come again."""

    @classmethod
    def here(cls, verb: str) -> "Holder":
        """This process."""
        pid = os.getpid()
        return cls(
            token=secrets.token_hex(16),
            who=f"{_user()}@{platform.node()}",
            pid=pid,
            verb=verb,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            place=_place(),
            started=_started(pid),
        )

    @classmethod
    def of(cls, token: str, text: str) -> "Holder":
        """The holder in a record; of one that can't be read, only the token is known."""
        try:
            told = json.loads(text)
            words = {name: str(told[name]) for name in ("who", "verb", "since", "place", "started")}
            return cls(token, pid=int(told["pid"]), **words)
        except (ValueError, LookupError, TypeError):
            return cls(token)

    @property
    def record(self) -> str:
        """The record: one line, the token first."""
        told = {name: value for name, value in asdict(self).items() if name != "token"}
        return f"{self.token} {json.dumps(told)}"

    @property
    def dead(self) -> bool:
        """Whether it ran here and has ended for certain; False for one that runs, or ran elsewhere."""
        return bool(self.place) and self.place == _place() and self.started != _started(self.pid)

    def __str__(self) -> str:
        return f"{self.who}, pid {self.pid}, {self.verb}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); empty for a process that has ended, or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, LookupError):
        return ""
