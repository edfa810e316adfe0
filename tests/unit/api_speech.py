"""How an API in memory speaks to one connection: HTTP/1.1 or HTTP/2, with the faults that it is to have."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, PingAckReceived, RequestReceived, StreamEnded, WindowUpdated
from hyperframe.frame import GoAwayFrame


class Faulty(Protocol):
    """What is asked, and how the answer goes wrong."""

    answering: asyncio.Event
    cut: bool
    refuse_streams: int
    turn_away: int

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]: ...

    def events(self, since: int) -> AsyncIterator[Any]: ...


def since(path: str) -> int | None:
    """From which version a watch is asked for; None: it is no watch."""
    return int(path.split("resourceVersion=")[1].split("&")[0]) if "watch=1" in path else None


async def http1(api: Faulty, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, as the probe sends no other."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path, _ = head.split(" ", 2)
    assert re.search("(?i)connection: close", head)
    await api.answering.wait()
    status, found = api.answer(method, path, {})
    text = json.dumps(found).encode()
    later = "Retry-After: 1\r\n" if api.put_off else ""
    answer = f"HTTP/1.1 {status} X\r\n{later}Content-Length: {len(text)}\r\n\r\n".encode() + text
    writer.write(answer[: len(answer) // 2] if api.cut else answer)
    await writer.drain()


class Http2:
    """One connection of HTTP/2."""

    def __init__(self, api: Faulty, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.api = api
        self.requests = 0
        self.asked = asyncio.Event()
        self.ponged = asyncio.Event()
        self.ended = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._speech = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._answers: dict[int, asyncio.Task[None]] = {}
        self._wider = asyncio.Event()
        self._highest = 0

    async def serve(self) -> None:
        self._speech.initiate_connection()
        self._flush()
        try:
            while data := await self._reader.read(1 << 16):
                for event in self._speech.receive_data(data):
                    self._take(event)
                self._flush()
        finally:
            self.ended.set()
            for task in self._answers.values():
                task.cancel()
            await asyncio.gather(*self._answers.values(), return_exceptions=True)

    def ping(self) -> None:
        self._speech.ping(b"12345678")
        self._flush()

    def go_away(self, last: int | None = None) -> None:
        """Announce the end, and leave it to the client. Written by hand: `h2` would say nothing more."""
        for each in (0x7FFFFFFF, self._highest) if last is None else (last,):
            self._writer.write(GoAwayFrame(0, last_stream_id=each).serialize())

    def _take(self, event: object) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers):
                self._requests[stream] = ({str(name): str(value) for name, value in headers}, bytearray())
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=size):
                self._requests[stream][1].extend(data)
                self._speech.acknowledge_received_data(size, stream)
            case PingAckReceived():
                self.ponged.set()
            case WindowUpdated():
                self._wider.set()
            case StreamEnded(stream_id=stream):
                self._begin(stream)

    def _begin(self, stream: int) -> None:
        headers, body = self._requests.pop(stream)
        self.requests += 1
        self.asked.set()
        if self.api.turn_away:
            self.api.turn_away -= 1
            self.go_away(stream - 1)
        elif self.api.refuse_streams:
            self.api.refuse_streams -= 1
            self._speech.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
        else:
            self._highest = stream
            asked = json.loads(bytes(body)) if body else {}
            self._answers[stream] = asyncio.create_task(
                self._answer(stream, headers[":method"], headers[":path"], asked)
            )

    async def _answer(self, stream: int, method: str, path: str, body: Any) -> None:
        try:
            await self.api.answering.wait()
            begin = since(path)
            if begin is None:
                status, found = self.api.answer(method, path, body)
                text = json.dumps(found).encode()
                self._head(stream, status, len(text))
                await self._send(stream, text[: len(text) // 2] if self.api.cut else text, end=not self.api.cut)
                if self.api.cut:
                    self._writer.transport.abort()
            else:
                self._head(stream, 200)
                async for event in self.api.events(begin):
                    await self._send(stream, json.dumps(event).encode() + b"\n")
                await self._send(stream, b"", end=True)
        finally:
            del self._answers[stream]

    def _head(self, stream: int, status: int, length: int | None = None) -> None:
        headers = [(":status", str(status)), ("content-type", "application/json")]
        if self.api.put_off:
            headers.append(("retry-after", "1"))
        self._speech.send_headers(stream, headers + ([] if length is None else [("content-length", str(length))]))
        self._flush()

    async def _send(self, stream: int, data: bytes, end: bool = False) -> None:
        """As much at a time as the other side has room for."""
        while data:
            self._wider.clear()
            room = min(self._speech.local_flow_control_window(stream), self._speech.max_outbound_frame_size)
            if room <= 0:
                await self._wider.wait()
                continue
            self._speech.send_data(stream, data[:room])
            data = data[room:]
            self._flush()
        if end:
            self._speech.end_stream(stream)
            self._flush()

    def _flush(self) -> None:
        self._writer.write(self._speech.data_to_send())
