"""Interruptions: the first lets running steps end, the second cuts them off, the third ends the program.

SIGTERM counts as Ctrl-C. SIGHUP counts once, however often it comes: a terminal that closes may send two.
"""

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from quorate.execute.protocol import Wishes
from quorate.report.event import Emit, Event

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def graceful_stop() -> Iterator[Wishes]:
    """While the block runs, an interruption is a wish; what does not await anything is never interrupted.

    Raises KeyboardInterrupt after the third.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    wishes, received = Wishes(), list[int]()
    # `nohup` wants the run to outlive its terminal.
    handlers = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}

    def on_signal(number: int) -> None:
        if number == signal.SIGHUP:
            drop_closed_outputs()
            if received:
                return
        received.append(number)
        if len(received) == 1:
            wishes.stop()
        elif len(received) == 2:
            wishes.abort()
        elif task is not None:
            task.cancel()

    for number in handlers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield wishes
    except asyncio.CancelledError:
        if len(received) > 2:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def drop_closed_outputs() -> None:
    """Where nobody listens any more, words go nowhere: writing to a closed terminal or pipe would be an error."""
    for output in (1, 2):
        poll = select.poll()
        poll.register(output, 0)
        if poll.poll(0):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, output)
            os.close(devnull)


def ignoring_closed_outputs(emit: Emit) -> Emit:
    """The same, but words that can't be told do not end what they tell of; the journal has it all."""

    def emit_if_heard(event: Event) -> None:
        try:
            emit(event)
        except (OSError, SystemExit):  # rich leaves by the latter when a pipe is closed
            drop_closed_outputs()

    return emit_if_heard
