"""A few calls of the Kubernetes API behind TLS, in memory, with faults that a test switches on and off."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api_speech import Http2, http1

from quorate.drill.probe_config import Target
from quorate.pki.issue import issue_ca, issue_leaf, new_key
from quorate.pki.profiles import Wanted

Object = dict[str, Any]


class Pki:
    """A CA, a server's pair in a folder, and a client's pair."""

    def __init__(self, folder: Path) -> None:
        now, key = datetime.now(UTC), new_key("ecdsa-p256")
        self.ca = issue_ca("ca", "test", key, now=now, days=1, serial=1)

        def pair(serial: int, wanted: Wanted) -> tuple[bytes, bytes]:
            own = new_key("ecdsa-p256")
            return issue_leaf(wanted, own, self.ca, key, now=now, days=1, serial=serial), own

        self.client = pair(2, Wanted("admin", None, "ca", "admin", client=True))
        server = pair(3, Wanted("apiserver", None, "ca", "api", server=True, sans=("127.0.0.1", "api.test")))
        (folder / "server.pem").write_bytes(b"".join(server))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.ca.decode())
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.context.load_cert_chain(folder / "server.pem")


class Api:
    """Answers on 127.0.0.1, until the block ends. Faults are its fields and `refuse`, `accept`."""

    def __init__(self, pki: Pki) -> None:
        self.pki = pki
        self.port = 0
        self.namespaces: dict[str, Object] = {}
        self.objects: dict[str, Object] = {}
        self.connections = 0
        self.answering = asyncio.Event()
        """Cleared: requests wait, and are done later."""
        self.answering.set()
        self.cut = False
        """Requests are done, but answers end in their middle."""
        self.status = 0
        self.put_off = False
        """What is answered to everything."""
        self.lose: set[int] = set()
        """Writes that are acknowledged and not done."""
        self.backwards: set[int] = set()
        """Writes whose answers have an old version."""
        self.silent = False
        """Watches that are open say nothing any more."""
        self.oldest = 0
        """Watches from before this version are refused."""
        self.refuse_streams = 0
        """So many of the next requests are refused, and not done."""
        self.turn_away = 0
        """So many of the next requests get GOAWAY as the answer, and are not done."""
        self.http2: list[Http2] = []
        """All connections of HTTP/2 that were ever there."""
        self.endings = 0
        self._revision = 100
        self._history: list[tuple[int, Object]] = []
        self._changed = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Api":
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        # Those in the middle of their handshake end it, or lose their client.
        for _ in range(500):
            if len(self._handlers) == len(self._writers):
                break
            await asyncio.sleep(0.01)
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def target(self, **changes: Any) -> Target:
        cert, key = self.pki.client
        return Target(**{"host": "127.0.0.1", "port": self.port, "ca_pem": self.pki.ca, "cert_pem": cert,
                         "key_pem": key, **changes})  # fmt: skip

    async def accept(self) -> None:
        """Listen. Not by asyncio's server: closed between an accept and its first step, that leaks the connection."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def refuse(self) -> None:
        """Nobody listens, and every connection is reset."""
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        self.break_off()

    def break_off(self) -> None:
        """Every connection is reset."""
        for writer in self._writers:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            handler = asyncio.create_task(self._connected(client))
            self._handlers.add(handler)
            handler.add_done_callback(self._handlers.discard)

    async def _connected(self, client: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=self.pki.context)
        except OSError:
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._writers.add(writer)
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                    speech = Http2(self, reader, writer)
                    self.http2.append(speech)
                    await speech.serve()
                else:
                    await http1(self, reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    def answer(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        """What becomes of a request: status and object."""
        return (self.status, {}) if self.status else self._do(method, path, body)

    async def events(self, since: int) -> AsyncIterator[Object]:
        """What a watch shows, from after a version."""
        if since < self.oldest:
            yield {"type": "ERROR", "object": {"code": 410}}
            return
        quiet, ending = self.silent, self.endings
        while ending == self.endings:
            # The history grows by one at a time, from version 101 on.
            for revision, made in [] if quiet else self._history[max(0, since - 100) :]:
                yield {"type": "MODIFIED", "object": made}
                since = revision
            self._changed.clear()
            await self._changed.wait()
            quiet = quiet or self.silent

    def end_watches(self) -> None:
        """Every watch ends in good order."""
        self.endings += 1
        self._changed.set()

    def _do(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        name = path.rpartition("/")[2]
        match method, path.strip("/").split("/")[2:]:
            case "POST", ["namespaces"]:
                name = body["metadata"]["name"]
                if name in self.namespaces:
                    return 409, {}
                self.namespaces[name] = body
                return 201, body
            case "GET", ["namespaces", name]:
                return (200, self.namespaces[name]) if name in self.namespaces else (404, {})
            case "DELETE", ["namespaces", name]:
                return 200, self.namespaces.pop(name)
            case "GET", ["namespaces", _, "configmaps"]:
                return 200, {"metadata": {"resourceVersion": str(self._revision)}, "items": [*self.objects.values()]}
            case "GET", ["namespaces", _, "configmaps", name]:
                return (200, self.objects[name]) if name in self.objects else (404, {})
            case "POST", ["namespaces", _, "configmaps"]:
                if body["metadata"]["name"] in self.objects:
                    return 409, {}
                return 201, self._write(body["metadata"]["name"], body["data"])
            case "PATCH", ["namespaces", _, "configmaps", name]:
                if name not in self.objects:
                    return 404, {}
                if body["metadata"]["resourceVersion"] != self.objects[name]["metadata"]["resourceVersion"]:
                    return 409, {}
                return 200, self._write(name, {**self.objects[name]["data"], **body["data"]})
        return 200, {}

    def _write(self, name: str, data: Object) -> Object:
        self._revision += 1
        number = int(data["seq"])
        made = {"metadata": {"name": name, "resourceVersion": str(self._revision)}, "data": data}
        self._history.append((self._revision, made))
        self._changed.set()
        self.objects[name] = made
        if number in self.lose:
            kept = {key: value for key, value in data.items() if key != f"n{number}"}
            self.objects[name] = {**made, "data": kept}
        if number in self.backwards:
            return {**made, "metadata": {"name": name, "resourceVersion": "7"}}
        return made
