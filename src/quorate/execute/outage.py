"""What is broken on purpose right now, by `verify` or a drill. Before anything is done each host has a timer that heals
it, whatever becomes of us.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.core import QuorateError, Transport
from quorate.render.drill import DID, FOUND
from quorate.render.sh import quote, sh
from quorate.spec.cluster import Host

GUARD = 30
"""Seconds that a host waits beyond a fault's own before it heals itself."""
SETUP = 60.0
"""Seconds for a script that breaks or heals; unless it waits for something it takes far less than one."""
TRIES = 3
"""Attempts to heal a host before its own timer is relied on."""
NOW = "quorate-drill-now"
"""The line that a host prints right before it breaks something."""


@dataclass(frozen=True)
class Injection:
    """Something to break on one host."""

    host: Host
    begin: str
    """sh that breaks it."""
    heal: str
    """sh that heals it, harmless when repeated. Without `$`: a timer's command line holds it."""
    prepare: str = ""
    """sh that comes before: the moment of the fault is after it."""
    unit: str = ""
    """The service, if only that is hit."""
    cut: bool = False
    """Whether nobody reaches the host meanwhile."""

    def __post_init__(self) -> None:
        if "$" in self.heal:
            raise ValueError("systemd would expand what heals")

    @property
    def label(self) -> str:
        """Host, and service if only that is hit."""
        return f"{self.host.name} {self.unit.removesuffix('.service')}".rstrip()


@dataclass(frozen=True)
class Outage:
    """One thing that is broken, and the timer that would heal it."""

    what: Injection
    guard: str
    late: float
    """When the timer fires, by our monotonic clock."""


def break_script(what: Injection, guard: str, seconds: int) -> str:
    """sh that sets the timer, which heals after so many seconds, and then breaks it."""
    timer = sh(
        *("systemd-run", "--quiet", f"--on-active={seconds}", "--timer-property=AccuracySec=1s"),
        *(f"--unit={guard}", "/bin/sh", "-c", what.heal),
    )
    return f"set -e\n{timer}\n{what.prepare}\necho {NOW}\n{what.begin}"


def heal_script(what: Injection, guard: str) -> str:
    """sh that heals, and puts the timer away only then."""
    units = f"{quote(f'{guard}.timer')} {quote(f'{guard}.service')}"
    return (
        f"(\n{what.heal}\n) || exit 1\n"
        f"systemctl stop {quote(f'{guard}.timer')} 2>/dev/null\nsystemctl reset-failed {units} 2>/dev/null\n:"
    )


class Outages:
    """Breaks and heals."""

    def __init__(self, via: Transport, whose: str, patience: float = SETUP) -> None:
        """`whose` begins the names of the timers; `patience` are seconds for a script."""
        self.open: list[Outage] = []
        """What is broken, or may be."""
        self.did: list[str] = []
        """What hosts said that they do, since the last beginning."""
        self.found: list[str] = []
        """What hosts said, when they were healed, that should not have happened; since then, too."""
        self._via, self._whose, self._patience = via, whose, patience

    async def begin(self, breaks: Sequence[Injection], seconds: float) -> float:
        """Break all at once; the moment of the first, by the monotonic clock.

        `seconds`: how long it is going to stay so. Raises what the transport raises; then something may be broken all
        the same: `heal` is due in any case.
        """
        moments: list[float] = []
        self.did, self.found = [], []
        guard = int(seconds) + GUARD

        async def one(what: Injection) -> None:
            outage = Outage(what, f"{self._whose}-{uuid.uuid4().hex[:8]}", time.monotonic() + guard)
            # Before anything is done: what is cut off half way is healed, too.
            self.open.append(outage)
            script = break_script(what, outage.guard, guard)
            await self._via.run(what.host.name, script, on_line=note, timeout=self._patience)

        def note(line: str) -> None:
            if line == NOW:
                moments.append(time.monotonic())
            elif line.startswith(DID):
                self.did.append(line.removeprefix(DID).strip())

        await _all(one, breaks)
        return min(moments, default=time.monotonic())

    async def heal(self, on: Host | None = None) -> list[str]:
        """Heal everything, or what is broken on one host; where that failed, whose timers will do it."""
        failed: list[str] = []

        async def one(outage: Outage) -> None:
            def note(line: str) -> None:
                if line.startswith(FOUND):
                    self.found.append(f"{outage.what.label}: {line.removeprefix(FOUND).strip()}")

            for left in reversed(range(TRIES)):
                try:
                    script = heal_script(outage.what, outage.guard)
                    await self._via.run(outage.what.host.name, script, on_line=note, timeout=self._patience)
                except QuorateError as error:
                    if not left:
                        wait = max(0, round(outage.late - time.monotonic()))
                        failed.append(f"{outage.what.label}: {error}; its own timer heals it within {wait} s")
                    continue
                break
            self.open.remove(outage)

        await asyncio.gather(*(one(outage) for outage in list(self.open) if on in (None, outage.what.host)))
        return failed


async def _all(one: Callable[[Injection], Coroutine[Any, Any, None]], breaks: Sequence[Injection]) -> None:
    """All of them at once; raises when all have ended, so that nothing begins behind a healing's back."""
    found = await asyncio.gather(*(one(what) for what in breaks), return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
