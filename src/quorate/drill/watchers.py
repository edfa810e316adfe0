"""Keeps every watch going as long as a drill lasts; one that breaks off is begun again, and never ends the drill."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from quorate.core import QuorateError, Transport
from quorate.drill import hostwatch
from quorate.drill.answer import Broken
from quorate.drill.api import LEASES, Api
from quorate.drill.board import LEASE, Board, Topic
from quorate.drill.probe_config import Target
from quorate.drill.scene import ELECTED
from quorate.spec.cluster import Cluster, Host

REWATCH_S = 0.5
"""Seconds until a watch that broke off is begun again."""
BETWEEN_LOOKS_S = 0.1
"""Seconds between two looks at the leases."""


@asynccontextmanager
async def watching(cluster: Cluster, via: Transport, target: Target) -> AsyncIterator[Board]:
    """What is seen as long as the block runs."""
    board = Board()
    tasks = [asyncio.create_task(_host(board, cluster, host, via)) for host in cluster.hosts]
    tasks.append(asyncio.create_task(_leases(board, target)))
    try:
        yield board
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _host(board: Board, cluster: Cluster, host: Host, via: Transport) -> None:
    script = hostwatch.script(cluster, host)

    def on_line(line: str) -> None:
        hostwatch.take(board, host.name, line, time.monotonic())

    while True:
        with suppress(QuorateError):
            await via.run(host.name, script, on_line=on_line)
        await asyncio.sleep(REWATCH_S)


async def _leases(board: Board, target: Target) -> None:
    api, renewals = Api(target), dict[str, str]()
    try:
        while True:
            # An answer that lacks something is no answer.
            with suppress(OSError, Broken, KeyError, TypeError):
                for item in await api.items(LEASES):
                    name, spec = item["metadata"]["name"], item["spec"]
                    if name in ELECTED:
                        now, renewal = time.monotonic(), str(spec.get("renewTime"))
                        board.note(Topic(LEASE, name=name), now, spec.get("holderIdentity") or "")
                        if renewals.get(name) not in (None, renewal):
                            board.renewed[name] = now
                        renewals[name] = renewal
            await asyncio.sleep(BETWEEN_LOOKS_S)
    finally:
        api.close()
