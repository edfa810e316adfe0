"""A whole answer, and why there was none in a word."""

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


class Unprocessed(Broken):
    """The server has said that it did nothing with the request: it may be sent again at once."""


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
    put_off: bool = False
    """It names a time after which to ask again (`Retry-After`)."""

    @property
    def word(self) -> str:
        """What it is as a failure.

        `put-off` is what an API server says that is about to end, to requests that come between its last one and the
        announcement that it takes no more. Go's clients wait as they are told and ask again, so users see a delay.
        """
        return "put-off" if self.put_off and self.status in (429, 503) else f"http-{self.status}"

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
            raise Broken(self.word)
        found = self.object()
        if "items" not in found:
            raise Broken("answer")
        return found["items"] or []
