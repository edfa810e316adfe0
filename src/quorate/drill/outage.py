"""What is broken right now. Each host has a timer that heals it, whatever becomes of us, before anything is done."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.core import CommandFailed, QuorateError, Transport
from quorate.drill.breaks import DID, FOUND, Break
from quorate.drill.packets import CANNOT
from quorate.drill.scene import Skip
from quorate.render.sh import quote, sh

GUARD = 30
"""Seconds that a host waits beyond a fault's own before it heals itself."""
SETUP = 60.0
"""Seconds for a script that breaks or heals; it takes far less than one."""
TRIES = 3
"""Attempts to heal a host before its own timer is relied on."""
NOW = "quorate-drill-now"
"""The line that a host prints right before it breaks something."""


@dataclass(frozen=True)
class Outage:
    """One thing that is broken, and the timer that would heal it."""

    what: Break
    guard: str
    late: float
    """When the timer fires, by our monotonic clock."""


def break_script(what: Break, guard: str, seconds: int) -> str:
    """sh that sets the timer, which heals after so many seconds, and then breaks it."""
    timer = sh(
        *("systemd-run", "--quiet", f"--on-active={seconds}", "--timer-property=AccuracySec=1s"),
        *(f"--unit={guard}", "/bin/sh", "-c", what.heal),
    )
    return f"set -e\n{timer}\n{what.prepare}\necho {NOW}\n{what.begin}"


def heal_script(what: Break, guard: str) -> str:
    """sh that heals, and puts the timer away only then."""
    units = f"{quote(f'{guard}.timer')} {quote(f'{guard}.service')}"
    return (
        f"(\n{what.heal}\n) || exit 1\n"
        f"systemctl stop {quote(f'{guard}.timer')} 2>/dev/null\nsystemctl reset-failed {units} 2>/dev/null\n:"
    )


class Outages:
    """Breaks and heals."""

    def __init__(self, via: Transport) -> None:
        self.open: list[Outage] = []
        """What is broken, or may be."""
        self.did: list[str] = []
        """What hosts said that they do, since the last beginning."""
        self.found: list[str] = []
        """What hosts said, when they were healed, that should not have happened; since then, too."""
        self._via = via

    async def begin(self, breaks: Sequence[Break], seconds: float) -> float:
        """Break all at once; the moment of the first, by the monotonic clock.

        `seconds`: how long it is going to stay so. Raises Skip when a host can't do that, and what the transport
        raises; then something may be broken all the same: `heal` is due in any case.
        """
        moments: list[float] = []
        self.did, self.found = [], []
        guard = int(seconds) + GUARD

        async def one(what: Break) -> None:
            outage = Outage(what, f"quorate-drill-{uuid.uuid4().hex[:8]}", time.monotonic() + guard)
            # Before anything is done: what is cut off half way is healed, too.
            self.open.append(outage)
            await self._via.run(what.host.name, break_script(what, outage.guard, guard), on_line=note, timeout=SETUP)

        def note(line: str) -> None:
            if line == NOW:
                moments.append(time.monotonic())
            elif line.startswith(DID):
                self.did.append(line.removeprefix(DID).strip())

        try:
            await _all(one, breaks)
        except CommandFailed as error:
            if error.code == CANNOT:
                raise Skip(f"{error.host}: {' '.join(error.stderr.split())}") from error
            raise
        return min(moments, default=time.monotonic())

    async def heal(self) -> list[str]:
        """Heal everything; hosts where that failed, whose timers will do it."""
        failed: list[str] = []

        async def one(outage: Outage) -> None:
            def note(line: str) -> None:
                if line.startswith(FOUND):
                    self.found.append(f"{outage.what.label}: {line.removeprefix(FOUND).strip()}")

            for left in reversed(range(TRIES)):
                try:
                    script = heal_script(outage.what, outage.guard)
                    await self._via.run(outage.what.host.name, script, on_line=note, timeout=SETUP)
                except QuorateError as error:
                    if not left:
                        wait = max(0, round(outage.late - time.monotonic()))
                        failed.append(f"{outage.what.label}: {error}; its own timer heals it within {wait} s")
                    continue
                break
            self.open.remove(outage)

        await asyncio.gather(*(one(outage) for outage in list(self.open)))
        return failed


async def _all(one: Callable[[Break], Coroutine[Any, Any, None]], breaks: Sequence[Break]) -> None:
    """All of them at once; raises when all have ended, so that nothing begins behind a healing's back."""
    found = await asyncio.gather(*(one(what) for what in breaks), return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
