"""The stream that writes: numbers into ConfigMaps, each number once, and at the end the question which are there.

A ConfigMap holds `CHUNK` numbers as keys (`n17`) and the last of them as `seq`. A write adds its key, on the
condition that the object is still at the resourceVersion last seen: so a write that was given up can't be done
later, over newer ones. Each key is written once: what is lost is not covered up by the next write.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from quorate.drill.answer import Broken, Reply, reason
from quorate.drill.client import Client, Dialer
from quorate.drill.probe_config import ProbeConfig
from quorate.drill.reads import beats
from quorate.drill.recorder import Say

CHUNK = 100
"""Numbers in one ConfigMap: answers and events carry it whole, some 4 kB with the server's own notes."""
ROUNDS = 3
"""Exchanges in one write, when the object is not at the version that was expected."""
MERGE = "application/merge-patch+json"


class Writes:
    """Writes numbers from 1 on, one at a time."""

    def __init__(self, dialer: Dialer, config: ProbeConfig, say: Say) -> None:
        self.folder = f"/api/v1/namespaces/{config.namespace}/configmaps"
        """Path of the ConfigMaps in the API."""
        self.prefix = f"probe-{secrets.token_hex(4)}-"
        """What their names begin with."""
        self.acknowledged: dict[int, float] = {}
        """When each number was acknowledged, by the monotonic clock."""
        self._client = Client(dialer)
        self._pace = config.pace
        self._say = say
        self._undone: set[int] = set()
        self._version: int | None = 0
        """resourceVersion of the current ConfigMap; 0: there is none yet; None: not known."""
        self._may_be_done = False

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop`."""
        number = 0
        async for _ in beats(self._pace.writes, stop):
            number += 1
            if number % CHUNK == 1:
                self._version = 0
            await self._attempt(number)
        self._client.close()

    async def _attempt(self, number: int) -> None:
        start, word = time.monotonic(), ""
        self._may_be_done = False
        try:
            async with asyncio.timeout(self._pace.timeout):
                await self._write(number)
        except (OSError, Broken) as error:
            word = reason(error)
            if self._may_be_done:
                self._version = None
                word = f"unknown-{word}"
        self._say("try", "writes", start, time.monotonic() - start, word)

    async def _write(self, number: int) -> None:
        for _ in range(ROUNDS):
            if self._version is None:
                self._version = await self._look(number)
            reply = await self._send(number)
            if reply.status in (200, 201):
                break
            # An error of the server (5xx) may come after the write, one of the client's (4xx) never does.
            self._may_be_done = reply.status >= 500
            if reply.status not in (404, 409):
                raise Broken(reply.word)
            self._version = None
        else:
            raise Broken("conflict")
        found = reply.object()
        self._compare(number, found)
        if last_in(found) != number:
            raise Broken("answer")
        self._version = version_of(found)
        now = time.monotonic()
        self.acknowledged[number] = now
        self._say("acknowledged", number, now, self._version)

    async def _send(self, number: int) -> Reply:
        data = {"seq": str(number), f"n{number}": ""}
        self._may_be_done = False
        try:
            if self._version == 0:
                metadata = {"name": self._name(number)}
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                return await self._client.ask("POST", self.folder, body)
            body = {"metadata": {"resourceVersion": str(self._version)}, "data": data}
            return await self._client.ask("PATCH", f"{self.folder}/{self._name(number)}", body, MERGE)
        finally:
            self._may_be_done = self._client.sent

    async def _look(self, number: int) -> int:
        """The version of a number's ConfigMap, 0 when there is none."""
        self._may_be_done = False
        reply = await self._client.ask("GET", f"{self.folder}/{self._name(number)}")
        if reply.status not in (200, 404):
            raise Broken(reply.word)
        found = reply.object() if reply.status == 200 else {}
        self._compare(number, found)
        return version_of(found) if found else 0

    def _name(self, number: int) -> str:
        return f"{self.prefix}{(number - 1) // CHUNK}"

    def _compare(self, number: int, found: Mapping[str, Any]) -> None:
        """Report the acknowledged numbers of this number's ConfigMap that are not in it."""
        first = (number - 1) // CHUNK * CHUNK + 1
        wanted = {each for each in range(first, number) if each in self.acknowledged}
        last, there = last_in(found), numbers_in(found)
        for each in sorted(wanted - self._undone):
            if each not in there or each > last:
                self._undone.add(each)
                self._say("undone", each)

    async def check(self, client: Client) -> None:
        """Report every acknowledged number that is not there, and those that are after the last number there.

        Raises OSError or Broken when it can't be read.
        """
        found = self.ours(await client.ask("GET", self.folder))
        there = {number for each in found for number in numbers_in(each)}
        last = max(map(last_in, found), default=0)
        for number in self.acknowledged:
            if number not in there:
                self._say("lost", number)
            elif number > last and number not in self._undone:
                self._say("undone", number)

    def ours(self, reply: Reply) -> list[dict[str, Any]]:
        """The ConfigMaps in a list that were made here. Raises Broken when it is no list."""
        return [each for each in reply.items() if each["metadata"]["name"].startswith(self.prefix)]


def numbers_in(found: Mapping[str, Any]) -> set[int]:
    """The numbers written into a ConfigMap."""
    return {int(key[1:]) for key in found.get("data") or {} if re.fullmatch("n[0-9]+", key)}


def last_in(found: Mapping[str, Any]) -> int:
    """The number written into a ConfigMap last, 0 when there is none."""
    try:
        return int(found["data"]["seq"])
    except (KeyError, TypeError, ValueError):
        return 0


def version_of(found: Mapping[str, Any]) -> int:
    """An object's resourceVersion, a number with etcd. Raises Broken when it is none."""
    try:
        return int(found["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError):
        raise Broken("answer") from None
