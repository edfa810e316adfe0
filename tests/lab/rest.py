"""Rest before a measurement: what is still at work after a check or an apply is no part of what is measured."""

import time
from pathlib import Path

SHARE, LONGEST = 0.5, 60.0
"""Of all cores' time, what must have been idle for a second; seconds after which it is begun all the same."""


def _ticks() -> tuple[int, int]:
    """Hundredths of a second of all cores since the boot: those that are free to take, and all (proc(5), /proc/stat).

    What runs with a nice value gives way.
    """
    told = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return told[3] + told[1], sum(told)


def rested() -> None:
    """Wait until this machine has a core to spare."""
    began = time.monotonic()
    while time.monotonic() - began < LONGEST:
        idle, all_ = _ticks()
        time.sleep(1)
        now, then = _ticks()
        if now - idle >= SHARE * (then - all_):
            break
