"""Connections to the API with nothing between them and the caller.

An HTTP library would pool them, and open a lost one again in silence: that is what is to be measured.
"""

import asyncio
import json

from quorate.drill.answer import Answer, Reply
from quorate.drill.order import Target

READ = 1 << 16
"""Bytes to take from a connection at once."""
AGAIN = 0.1
"""Seconds until another attempt to connect is made beside one that has no end: rarely enough for a slow server."""


class Connection:
    """One TLS connection."""

    def __init__(self, authority: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._authority = authority
        self._reader = reader
        self._writer = writer

    @property
    def lost(self) -> bool:
        """Whether the other side has closed it."""
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    def send(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json", last: bool = False
    ) -> None:
        """Send a request; `last` asks the server to close the connection after its answer."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._authority}",
            "User-Agent: quorate-probe",
            "Accept: application/json",
            *([f"Content-Type: {kind}", f"Content-Length: {len(body)}"] if body else []),
            *(["Connection: close"] if last else []),
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)

    async def read(self) -> bytes:
        """What came; empty at the end."""
        return await self._reader.read(READ)

    async def reply(self) -> tuple[Reply, bool]:
        """The answer, and whether the connection is good for another request."""
        answer, body = Answer(), b""
        while not answer.done:
            body += answer.feed(await self.read())
        return Reply(answer.status, body), answer.stays

    def close(self) -> None:
        """Close it without waiting for the other side to agree."""
        self._writer.transport.abort()


class Door:
    """Opens connections to a target. Raises what `Target.context` does."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._context = target.context()

    async def open(self) -> Connection:
        """A new connection."""
        target = self._target
        reader, writer = await asyncio.open_connection(
            target.host, target.port, ssl=self._context, server_hostname=target.server_name or target.host
        )
        return Connection(target.authority, reader, writer)

    async def open_soon(self) -> Connection:
        """A new connection, by another attempt every `AGAIN` seconds until one of them has come to an end.

        The kernel repeats an attempt whose packet was lost after 1 s, then 2 s: with a single one, an outage of
        0.2 s would be measured as 1 s.
        """
        attempts: set[asyncio.Task[Connection]] = set()
        try:
            while True:
                attempts.add(asyncio.create_task(self.open()))
                ended, _ = await asyncio.wait(attempts, timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
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
    """One connection at a time, opened anew when the last one is gone."""

    def __init__(self, door: Door) -> None:
        self.sent = False
        """Whether the last request has left: then the API may have done it, whatever became of the answer."""
        self._door = door
        self._connection: Connection | None = None

    @property
    def lost(self) -> bool:
        """Whether a connection is there that the other side has closed."""
        return self._connection is not None and self._connection.lost

    async def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Reply:
        """The whole answer to a request. Raises OSError or Broken."""
        self.sent = False
        if self.lost:
            self.close()
        connection = self._connection or await self._door.open_soon()
        # It comes back when the answer is whole: a later request must not read the rest of this one's.
        self._connection = None
        stays = False
        try:
            self.sent = True
            connection.send(method, path, b"" if body is None else json.dumps(body).encode(), kind)
            reply, stays = await connection.reply()
        finally:
            if stays:
                self._connection = connection
            else:
                connection.close()
        return reply

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
