"""Ctrl-C in two steps: the first stops gently, the second aborts."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def gently(stop: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first SIGINT or SIGTERM calls `stop`, and the next one cancels the task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    said: list[int] = []

    def on_signal() -> None:
        said.append(1)
        if len(said) == 1:
            stop()
        elif task is not None:
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    except asyncio.CancelledError:
        if len(said) > 1:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
