"""`python -m quorate.drill.child`: the probe as a process of its own, so that nothing else delays it.

Reads one line, an `ProbeConfig`, from stdin; probes until stdin ends, which it also does when the parent dies. Writes
a JSON array per line to stdout, as `Recorder.take` wants them.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys

from quorate.core import QuorateError
from quorate.drill.probe_config import ProbeConfig
from quorate.drill.session import session

LONGEST_ORDER = 1 << 20
"""Bytes of an order."""


class Output(asyncio.BaseProtocol):
    """Stdout; a parent that does not read delays nothing."""

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """All is written, or nobody reads any more."""
        self.closed.set_result(None)


async def main() -> int:
    """Do as told on stdin; the exit code."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_ORDER)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out, output = await loop.connect_write_pipe(Output, sys.stdout)
    stop, code = asyncio.Event(), 0

    def say(*line: object) -> None:
        out.write(json.dumps(line).encode() + b"\n")

    async def until_end() -> None:
        await reader.read()
        stop.set()

    config = ProbeConfig.read((await reader.readline()).decode())
    waiting = asyncio.create_task(until_end())
    # A probe that waits for a CPU measures its own machine. Root alone may ask for that, and `nice` would not do: it
    # weighs a process only against those of its own session.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    # What was imported stays: the collector need not look at it again and again.
    gc.freeze()
    try:
        await session(config, say, stop)
    except QuorateError as error:
        say("error", error.message, error.hint)
        code = 1
    waiting.cancel()
    out.close()
    await output.closed
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
