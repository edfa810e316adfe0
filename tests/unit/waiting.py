"""Wait for what comes by itself."""

import time
from collections.abc import Callable


def within(seconds: float, condition: Callable[[], bool], pause: float = 0.05) -> bool:
    """Whether it holds before so many seconds are over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
