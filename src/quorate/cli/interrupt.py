"""SIGTERM and SIGHUP mean what Ctrl-C means: the terminal is put in order, locks are given back, exit code 130."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_interrupt() -> Iterator[None]:
    """While the block runs, they do what SIGINT does now; one that is ignored stays so (nohup).

    A shell lets its jobs in the background ignore SIGINT: SIGTERM still ends them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    others = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    now = signal.getsignal(signal.SIGINT)
    meant = signal.default_int_handler if now == signal.SIG_IGN else now
    before = {number: signal.signal(number, meant) for number in others}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
