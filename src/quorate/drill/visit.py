"""A request on a connection of its own, in HTTP/1.1, which ends with its answer."""

import asyncio

from quorate.drill.answer import Broken, Reply

READ = 1 << 16
"""Bytes to take from a connection at once."""


async def visit(authority: str, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
    """Ask once on a new connection. Raises OSError or Broken."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {authority}",
        "User-Agent: quorate-probe",
        "Accept: application/json",
        "Connection: close",
    )
    writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    answer, body = Answer(), b""
    while not answer.done:
        body += answer.feed(await reader.read(READ))
    return Reply(answer.status, body, answer.put_off)


class Answer:
    """One answer as it comes in. `done` when it is whole."""

    def __init__(self) -> None:
        self.status = 0
        self.done = False
        self.put_off = False
        self._chunked = False
        self._left = 0
        self._buffer = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came, empty at the connection's end; give what of the body is ready by now. Raises Broken."""
        if not data:
            raise Broken("cut" if self.status or self._buffer else "closed")
        self._buffer += data
        try:
            if not self.status and not self._head():
                return b""
            return self._chunks() if self._chunked else self._plain()
        except (ValueError, IndexError):
            raise Broken("answer") from None

    def _head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip().lower() for name, _, value in (x.partition(":") for x in lines)}
        self._chunked = fields.get("transfer-encoding") == "chunked"
        # Without either, the body would end with the connection, and a cut could not be seen.
        self._left = 0 if self._chunked else int(fields.get("content-length", "none"))
        self._buffer = rest
        self.put_off = "retry-after" in fields
        self.status = int(first.split(" ")[1])
        return True

    def _plain(self) -> bytes:
        piece = self._buffer[: self._left]
        self._buffer = self._buffer[len(piece) :]
        self._left -= len(piece)
        self.done = self._left == 0
        return piece

    def _chunks(self) -> bytes:
        """What whole chunks are there; the last one is empty."""
        found = b""
        while not self.done:
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                break
            size = int(line.partition(b";")[0], 16)
            if len(rest) < size + 2:
                break
            found += rest[:size]
            self._buffer = rest[size + 2 :]
            self.done = size == 0
        return found
