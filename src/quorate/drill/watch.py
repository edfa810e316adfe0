"""The stream that watches: when each write is seen by somebody who waits for it."""

import asyncio
import contextlib
import json
import time

from quorate.drill.answer import Broken, reason
from quorate.drill.client import Client, Dialer
from quorate.drill.connection import Connection
from quorate.drill.probe_config import ProbeConfig
from quorate.drill.recorder import Say
from quorate.drill.writes import Writes, last_in, numbers_in, version_of

GONE = "gone"
"""The API no longer has the version from which to go on (410): then a list says what was missed."""


class Watch:
    """A watch on the ConfigMaps that `Writes` makes. It is opened again where it broke off."""

    def __init__(self, dialer: Dialer, config: ProbeConfig, say: Say, writes: Writes) -> None:
        self._dialer = dialer
        self._pace = config.pace
        self._say = say
        self._writes = writes
        self._seen: set[int] = set()
        self._last = 0
        self._version = 0
        """From where to go on; 0: not known."""
        self._opened = False
        self._noted = asyncio.Event()

    @property
    def waiting(self) -> list[float]:
        """When those numbers were acknowledged whose event is still to come: those above the last one seen."""
        return [at for number, at in self._writes.acknowledged.items() if number > self._last]

    async def run(self) -> None:
        """Watch until cancelled. That the API ends a watch in good order is no failure."""
        while True:
            start = time.monotonic()
            try:
                if self._version == 0:
                    await self._list()
                await self._follow()
            except (OSError, Broken) as error:
                word = reason(error)
                if word == GONE:
                    self._version = 0
                self._say("try", "watch", start, time.monotonic() - start, word)
            await asyncio.sleep(self._pace.watch)

    async def catch_up(self, limit: float) -> None:
        """Wait until the last write was shown, for at most `limit` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self.waiting:
                    self._noted.clear()
                    await self._noted.wait()

    async def _list(self) -> None:
        """Where to begin, and what was missed until there."""
        client = Client(self._dialer)
        try:
            async with asyncio.timeout(self._pace.timeout):
                reply = await client.ask("GET", self._writes.folder)
        finally:
            client.close()
        there = {number for each in self._writes.ours(reply) for number in numbers_in(each)}
        now = time.monotonic()
        for number in sorted(there - self._seen):
            self._note(number, now, 0)
        self._version = version_of(reply.object())

    async def _follow(self) -> None:
        """Watch until the watch ends."""
        client = Client(self._dialer)
        try:
            async with asyncio.timeout(self._pace.timeout):
                version = f"resourceVersion={self._version}&allowWatchBookmarks=true"
                connection = await client.begin("GET", f"{self._writes.folder}?watch=1&{version}")
            if connection.status != 200:
                raise Broken(GONE if connection.status == 410 else f"http-{connection.status}")
            if self._opened:
                self._say("reopened", time.monotonic())
            self._opened = True
            text = b""
            while more := await self._more(connection):
                *lines, text = (text + more).split(b"\n")
                for line in lines:
                    self._take(line)
        finally:
            client.close()

    async def _more(self, connection: Connection) -> bytes:
        """What comes next. Raises Broken when nothing comes though it should: a lost peer says nothing either."""
        while True:
            try:
                async with asyncio.timeout(self._pace.timeout / 4):
                    return await connection.read()
            except TimeoutError:
                if min(self.waiting, default=time.monotonic()) < time.monotonic() - self._pace.timeout:
                    raise Broken("silent") from None

    def _take(self, line: bytes) -> None:
        """Read one event. Raises Broken for an error that the API reports."""
        now = time.monotonic()
        try:
            event = json.loads(line)
            kind, found = event["type"], event["object"]
            name = found.get("metadata", {}).get("name", "")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise Broken("answer") from None
        if kind == "ERROR":
            raise Broken(GONE if found.get("code") == 410 else f"http-{found.get('code')}")
        self._version = version_of(found)
        if kind in ("ADDED", "MODIFIED") and name.startswith(self._writes.prefix):
            self._note(last_in(found), now, self._version)

    def _note(self, number: int, at: float, version: int) -> None:
        self._seen.add(number)
        self._last = max(self._last, number)
        self._noted.set()
        self._say("event", number, at, version)
