"""One connection of HTTP/2, as kubectl, the kubelets and the control loops keep them, with one request at a time."""

import asyncio
from typing import cast

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from quorate.drill.answer import Broken, Reply, Unprocessed
from quorate.drill.frames import split


class Connection(asyncio.Protocol):
    """One TLS connection. `Door` opens it.

    GOAWAY is followed as Go's client does: no further request, and the one under way goes on to its end, unless its
    stream is above those that the server takes: then it was not processed. So is one that was refused (RFC 9113,
    8.7). PING, SETTINGS and the windows of flow control are answered by `h2`.
    """

    def __init__(self, authority: str) -> None:
        self.status = 0
        """Of the answer under way, 0 until it is there."""
        self.closed = False
        self.leaving = False
        """The server has announced that it takes no more requests here."""
        self._put_off = False
        self._authority = authority
        self._speech = H2Connection()
        self._rest = b""
        self._stream = 0
        self._under_way = False
        self._whole = False
        self._body: list[bytes] = []
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it is good for another request."""
        return not (self._under_way or self.closed or self.leaving)

    @property
    def http2(self) -> bool:
        """Whether the server agreed to speak HTTP/2."""
        return bool(self._transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2")

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "") -> None:
        """Send a request, in one write. Raises Broken when its body does not fit into one frame, or in the window."""
        self.status, self._under_way, self._whole = 0, True, False
        if self.closed:
            return  # Who waits for the answer is told why.
        self._error = None
        headers = [
            (":method", method),
            (":scheme", "https"),
            (":authority", self._authority),
            (":path", path),
            ("user-agent", "quorate-probe"),
            ("accept", "application/json"),
        ]
        if body:
            headers += [("content-type", kind), ("content-length", str(len(body)))]
        try:
            self._stream = self._speech.get_next_available_stream_id()
            self._speech.send_headers(self._stream, headers, end_stream=not body)
            if body:
                self._speech.send_data(self._stream, body, end_stream=True)
        except ProtocolError:
            raise Broken("protocol") from None
        self._flush()

    async def begun(self) -> None:
        """Wait until the answer has begun. Raises OSError or Broken, Unprocessed among them."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """What came of the answer's body; empty at its end. Raises OSError or Broken."""
        while not self._body and not self._whole:
            await self._more()
        return self._taken()

    async def reply(self) -> Reply:
        """The whole answer. Raises OSError or Broken."""
        while not self._whole:
            await self._more()
        return Reply(self.status, self._taken(), self._put_off)

    def close(self) -> None:
        """Close it without waiting for the other side to agree."""
        self.closed = True
        self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands. What HTTP/2 begins with leaves together with the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._speech.initiate_connection()

    def data_received(self, data: bytes) -> None:
        """Take what came, answer what is to be answered, and wake who waits."""
        try:
            parts, self._rest = split(self._rest + data if self._rest else data)
            for part in parts:
                if isinstance(part, int):
                    self._go_away(part)
                else:
                    for event in self._speech.receive_data(part):
                        self._take(event)
        except (ProtocolError, Broken, ValueError):
            self._fail(Broken("protocol"))
            self.close()
        if not self.closed:
            self._flush()
            if self.leaving and not self._under_way:
                self.close()
        self._wake()

    def eof_received(self) -> None:
        """The other side has closed it."""
        self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It is no more; a request under way has failed."""
        self.closed = True
        self._fail(error or Broken("cut" if self.status else "closed"))
        self._wake()

    def _go_away(self, last: int) -> None:
        self.leaving = True
        if not self._under_way or self._stream > last:
            self._fail(Unprocessed("goaway"))
            self._under_way = False

    def _take(self, event: Event) -> None:
        # The others need nothing, or belong to an answer that was whole before.
        match event:
            case ResponseReceived(stream_id=self._stream, headers=headers):
                self.status = int(dict(headers)[b":status"])
                self._put_off = b"retry-after" in dict(headers)
            case DataReceived(data=data, flow_controlled_length=int(size), stream_id=self._stream):
                if data:
                    self._body.append(data)
                self._speech.acknowledge_received_data(size, self._stream)
            case StreamEnded(stream_id=self._stream):
                self._under_way, self._whole = False, True
            case StreamReset(stream_id=self._stream) if not self._whole:
                refused = event.error_code == ErrorCodes.REFUSED_STREAM
                self._fail(Unprocessed("refused-stream") if refused else Broken("cut" if self.status else "aborted"))
                self._under_way = False

    def _fail(self, error: Exception) -> None:
        """Note why; what comes after the first reason follows from it."""
        self._error = self._error or error

    async def _more(self) -> None:
        """Wait for what comes next. Raises what went wrong."""
        if self._error:
            raise self._error
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _wake(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    def _flush(self) -> None:
        if data := self._speech.data_to_send():
            self._transport.write(data)

    def _taken(self) -> bytes:
        found = b"".join(self._body)
        self._body.clear()
        return found
