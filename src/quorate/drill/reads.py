"""The two streams that read: by a new connection each time, and by one that is kept open."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from quorate.drill.answer import Broken, Reply, reason
from quorate.drill.client import Client, Dialer
from quorate.drill.probe_config import ProbeConfig
from quorate.drill.recorder import Say


async def beats(interval: float, stop: asyncio.Event) -> AsyncIterator[None]:
    """A beat every `interval` seconds by the clock, until `stop`. Beats that were missed are left out."""
    due = time.monotonic()
    while not stop.is_set():
        yield
        now = time.monotonic()
        due += interval * max(1, -(-(now - due) // interval))
        await asyncio.sleep(due - now)


async def attempt(say: Say, stream: str, limit: float, ask: Callable[[], Awaitable[Reply]]) -> None:
    """Ask once, for at most `limit` seconds, and report what became of it."""
    start, word = time.monotonic(), ""
    try:
        async with asyncio.timeout(limit):
            reply = await ask()
        if reply.status != 200:
            word = reply.word
    except (OSError, Broken) as error:
        word = reason(error)
    say("try", stream, start, time.monotonic() - start, word)


async def new(dialer: Dialer, config: ProbeConfig, say: Say, stop: asyncio.Event) -> None:
    """A connection for every request. A try begins at each beat, whatever became of those before.

    So a silent server makes as many failures as there were beats, not one. As every try ends in time, no more
    than timeout / interval of them are under way.
    """

    under_way: set[asyncio.Task[None]] = set()
    async for _ in beats(config.pace.new, stop):
        task = asyncio.create_task(attempt(say, "new", config.pace.timeout, lambda: dialer.visit(config.path)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def kept(dialer: Dialer, config: ProbeConfig, say: Say, stop: asyncio.Event) -> None:
    """Requests on one connection, one at a time. That it was lost counts as a failure; then it is opened anew.

    The connection is one of HTTP/2, as kubectl, the kubelets and the control loops have. An API server that stops
    announces it by GOAWAY, which is followed and no failure; what is closed unannounced is one.
    """
    client = Client(dialer)

    async def ask() -> Reply:
        if client.lost:
            client.close()
            raise Broken("closed")
        return await client.ask("GET", config.path)

    async for _ in beats(config.pace.kept, stop):
        await attempt(say, "kept", config.pace.timeout, ask)
    client.close()
