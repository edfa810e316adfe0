"""An answer of HTTP/1.1, parsed as it comes in, and why there was none in a word."""

import errno
import json
import socket
import ssl
from typing import Any, NamedTuple


class Broken(Exception):
    """A try failed otherwise than by an error of the system; its reason in a word."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def reason(error: Exception) -> str:
    """Why a try failed, in a word."""
    match error:
        case Broken():
            return error.word
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError():
            return "refused"
        case ConnectionError():
            return "reset"
        case ssl.SSLCertVerificationError():
            return "certificate"
        case ssl.SSLError():
            return "tls"
        case socket.gaierror():
            return "name"
        case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
            return "unreachable"
        case OSError(errno=int(number)):
            return errno.errorcode.get(number, "error").lower()
    return "error"


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes

    def object(self) -> dict[str, Any]:
        """The JSON object that it is. Raises Broken when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Broken("answer")
        return found

    def items(self) -> list[dict[str, Any]]:
        """The objects in a list of the API's. Raises Broken when it is none, or another answer than 200."""
        if self.status != 200:
            raise Broken(f"http-{self.status}")
        found = self.object()
        if "items" not in found:
            raise Broken("answer")
        return found["items"] or []


class Answer:
    """One answer as it comes in. `done` when it is whole, `stays` when the connection is good for another."""

    def __init__(self) -> None:
        self.status = 0
        self.done = False
        self.stays = True
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
        self.stays = first.startswith("HTTP/1.1 ") and fields.get("connection") != "close"
        self._chunked = fields.get("transfer-encoding") == "chunked"
        # Without either, the body would end with the connection, and a cut could not be seen.
        self._left = 0 if self._chunked else int(fields.get("content-length", "none"))
        self._buffer = rest
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
