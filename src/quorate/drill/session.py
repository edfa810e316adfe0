"""One probe from its namespace to the reading back; `child` runs it in a process of its own."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from quorate.core import QuorateError
from quorate.drill.answer import Broken, reason
from quorate.drill.client import NO_HTTP2, Client, Dialer
from quorate.drill.probe_config import ProbeConfig
from quorate.drill.reads import kept, new
from quorate.drill.recorder import Say
from quorate.drill.watch import Watch
from quorate.drill.writes import Writes

REQUEST_WITHIN_S = 10.0
"""Seconds for one request that is not measured; the list of 30000 numbers is some MB."""
REQUEST_AT_LEAST_S = 1.0
"""Seconds that such a request has in any case."""
BETWEEN_TRIES_S = 0.2
"""Seconds between two of them."""


async def session(config: ProbeConfig, say: Say, stop: asyncio.Event) -> None:
    """Probe until `stop`, then read back what was written, and delete the namespace unless it is to be kept.

    Raises QuorateError when the probe can't begin; what goes wrong at the end is reported as `problem`.
    """
    try:
        dialer = Dialer(config.target)
    except (OSError, ValueError) as error:
        raise QuorateError(f"the certificates for {config.target.authority} can't be used: {error}") from None
    await _make_namespace(dialer, config)
    writes = Writes(dialer, config, say)
    watch = Watch(dialer, config, say, writes)
    watching = asyncio.create_task(watch.run())

    async def end() -> None:
        await stop.wait()
        say("end", time.monotonic())

    say("begin", time.monotonic())
    try:
        await asyncio.gather(new(dialer, config, say, stop), kept(dialer, config, say, stop), writes.run(stop), end())
        await watch.catch_up(config.pace.timeout)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    finally:
        problem = await _finish(dialer, config, writes)
        if problem:
            say("problem", problem)


async def _make_namespace(dialer: Dialer, config: ProbeConfig) -> None:
    """Make the namespace; one of that name that is just being deleted is waited for."""
    where, path = config.target.authority, _path(config)
    # So that it is known again when the answer to the first request was lost.
    labels = {"quorate-probe": secrets.token_hex(8)}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": config.namespace, "labels": labels}}

    async def once(client: Client) -> None:
        reply = await client.ask("POST", "/api/v1/namespaces", body)
        if reply.status == 409:
            reply = await client.ask("GET", path)
            found = reply.object() if reply.status == 200 else {}
            if found.get("metadata", {}).get("labels", {}).get("quorate-probe") == labels["quorate-probe"]:
                return
            if found and found.get("status", {}).get("phase") != "Terminating":
                raise QuorateError(
                    f"{where}: the namespace {config.namespace} exists already",
                    "another probe runs, or one was killed: then delete the namespace",
                )
            raise Broken("being-deleted")
        if reply.status in (400, 401, 403, 422):
            raise QuorateError(f"{where}: refuses to make the namespace {config.namespace}: HTTP {reply.status}")
        if reply.status != 201:
            raise Broken(reply.word)

    word = await _persist(dialer, time.monotonic() + config.pace.patience, once)
    if word:
        raise QuorateError(
            f"{where}: the namespace {config.namespace} could not be made: {word}",
            "a probe begins at an API that answers; see `quorate status`",
        )


async def _finish(dialer: Dialer, config: ProbeConfig, writes: Writes) -> str:
    """Read back and delete; what went wrong."""

    async def delete(client: Client) -> None:
        reply = await client.ask("DELETE", _path(config))
        if reply.status not in (200, 202, 404, 409):
            raise Broken(reply.word)

    problems, late = [], time.monotonic() + config.pace.patience
    if word := await _persist(dialer, late, writes.check):
        problems.append(f"the writes could not be read back: {word}")
    if not config.keep and (word := await _persist(dialer, late, delete)):
        problems.append(f"the namespace {config.namespace} is still there: {word}")
    return "; ".join(problems)


async def _persist(dialer: Dialer, late: float, once: Callable[[Client], Awaitable[None]]) -> str:
    """Try until it succeeds or it is `late` by the monotonic clock; why it failed in a word, empty after a success.

    One try is made in any case. A certificate that does not fit stays as it is, a server without HTTP/2 too.
    """
    client = Client(dialer)
    try:
        while True:
            left = late - time.monotonic()
            try:
                async with asyncio.timeout(min(max(left, REQUEST_AT_LEAST_S), REQUEST_WITHIN_S)):
                    await once(client)
            except (OSError, Broken) as error:
                word = reason(error)
            else:
                return ""
            if left <= BETWEEN_TRIES_S or word in ("certificate", NO_HTTP2):
                return word
            await asyncio.sleep(BETWEEN_TRIES_S)
    finally:
        client.close()


def _path(config: ProbeConfig) -> str:
    return f"/api/v1/namespaces/{quote(config.namespace, safe='')}"
