"""Clients of the API, with nothing between them and their connections.

An HTTP library would pool them, and open a lost one again in silence: that is what is to be measured.
"""

import asyncio
import contextlib
import json

from quorate.drill.answer import Broken, Reply, Unprocessed
from quorate.drill.connection import Connection
from quorate.drill.probe_config import Target
from quorate.drill.visit import visit

NEXT_ATTEMPT_S = 0.1
"""Seconds until another attempt to connect is made beside one that has no end: rarely enough for a slow server."""
NO_HTTP2 = "no-http2"
"""The word for a server that does not speak HTTP/2: no API server, or something between that ends TLS."""


class Dialer:
    """Opens connections to a target. Raises what `Target.context` does.

    asyncio sets TCP_NODELAY on all of them, as Go does.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._name = target.server_name or target.host
        self._http1 = target.context("http/1.1")
        self._http2 = target.context("h2")

    async def visit(self, path: str) -> Reply:
        """The whole answer to a GET on a connection that is opened for it and closed. Raises OSError or Broken.

        In HTTP/1.1: what counts here is the handshakes of TCP and TLS, and HTTP/2 would add an exchange of settings.
        """
        target = self._target
        reader, writer = await asyncio.open_connection(
            target.host, target.port, ssl=self._http1, server_hostname=self._name
        )
        try:
            return await visit(target.authority, path, reader, writer)
        finally:
            writer.transport.abort()

    async def open(self) -> Connection:
        """A new connection of HTTP/2. Raises OSError or Broken."""
        target = self._target
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(target.authority),
            *(target.host, target.port),
            ssl=self._http2,
            server_hostname=self._name,
        )
        if not connection.http2:
            connection.close()
            raise Broken(NO_HTTP2)
        return connection

    async def open_soon(self) -> Connection:
        """A new connection, by another attempt every `AGAIN` seconds until one of them has come to an end.

        The kernel repeats an attempt whose packet was lost after 1 s, then 2 s: with a single one, an outage of
        0.2 s would be measured as 1 s.
        """
        attempts: set[asyncio.Task[Connection]] = set()
        try:
            while True:
                attempts.add(asyncio.create_task(self.open()))
                ended, _ = await asyncio.wait(attempts, timeout=NEXT_ATTEMPT_S, return_when=asyncio.FIRST_COMPLETED)
                if ended:
                    first = ended.pop()
                    attempts.remove(first)
                    return first.result()
        finally:
            for attempt in attempts:
                attempt.cancel()
            for late in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(late, Connection):
                    late.close()


class Client:
    """One connection at a time, opened anew when the last one is gone, or its server wants no more requests on it."""

    def __init__(self, dialer: Dialer) -> None:
        self.sent = False
        """Whether the last request has left: then the API may have done it, whatever became of the answer."""
        self._dialer = dialer
        self._connection: Connection | None = None

    @property
    def lost(self) -> bool:
        """Whether a connection is there that the other side has closed without a word."""
        return self._connection is not None and self._connection.closed and not self._connection.leaving

    async def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Reply:
        """The whole answer to a request. Raises OSError or Broken."""
        try:
            connection = await self.begin(method, path, body, kind)
            return await connection.reply()
        except BaseException:
            # A later request must not wait for the rest of this one, nor find a loss that was counted already.
            self.close()
            raise

    async def begin(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Connection:
        """A connection on which the answer has begun. Raises OSError or Broken.

        A request that the server did not process is sent again once. Go's client does that at once too, and further
        times after 1 s, 2 s and so on, which is an outage.
        """
        text = b"" if body is None else json.dumps(body).encode()
        with contextlib.suppress(Unprocessed):
            return await self._send(method, path, text, kind)
        return await self._send(method, path, text, kind)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _send(self, method: str, path: str, text: bytes, kind: str) -> Connection:
        self.sent = False
        if self._connection is None or not self._connection.ready:
            self.close()
            self._connection = await self._dialer.open_soon()
        connection, self.sent = self._connection, True
        try:
            connection.send(method, path, text, kind)
            await connection.begun()
        except Unprocessed:
            self.sent = False
            raise
        return connection
