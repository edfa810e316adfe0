"""Hosts as folders of this machine: the real scripts of the lock, run by real shells."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from quorate.core import Blob, TransportError
from quorate.execute.lock import Locked, hold
from quorate.report.event import Event, Said
from quorate.spec.layout import LOCK, WRITER
from quorate.transport.local import LocalTransport

BASH = ("bash", "-c", 'shift; exec bash --posix "$@"', "bash")
"""Before `/bin/sh -c ...`: the sh of other systems."""


class LockHosts:
    """The hosts a, b and c; b has bash for a sh. Each has its lock, and a log that scripts may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dead: set[str] = set()
        self.scripts: Counter[str] = Counter()
        self.said: list[str] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        """Scripts at once on one host."""
        self.takes: list[str] = []
        """When the lock was asked for on which host, and when there was an answer."""
        self._local = LocalTransport({"b": BASH})

    def emit(self, event: Event) -> None:
        assert isinstance(event, Said)
        self.said.append(event.text)

    def taken(self, *broken: str, verb: str = "apply") -> AbstractAsyncContextManager[Locked]:
        """The lock of all hosts, taken."""
        return hold(["c", "b", "a"], self, verb, self.emit, broken=broken)

    def lock(self, host: str) -> Path:
        return self.folder / host / "lock"

    def writer(self, host: str) -> Path:
        return self.folder / host / "writer"

    def log(self, host: str) -> str:
        path = self.folder / host / "log"
        return path.read_text() if path.exists() else ""

    def holder(self, host: str) -> str:
        """The token in the lock, empty when it is free."""
        path = self.lock(host) / "holder"
        return path.read_text().split(" ")[0] if path.exists() else ""

    def ages(self, seconds: int, *hosts: str) -> None:
        """The holder gave its last sign of life so many seconds earlier than it did."""
        for host in hosts or ("a", "b", "c"):
            path = self.lock(host) / "holder"
            record, *uptimes = path.read_text().splitlines()
            path.write_text("\n".join([record, *(str(int(uptime) - seconds) for uptime in uptimes), ""]))

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        self.scripts[host] += 1
        takes = "holder.new" in script
        if takes:
            self.takes.append(f"{host}?")
        if host in self.dead:
            raise TransportError("no route", host=host)
        (self.folder / host).mkdir(exist_ok=True)
        script = (
            script.replace(LOCK, str(self.lock(host)))
            .replace(WRITER, str(self.writer(host)))
            .replace("@log", str(self.folder / host / "log"))
        )
        self.running[host] += 1
        self.most = max(self.most, self.running[host])
        try:
            return await self._local.run(host, script, blob=blob, on_line=on_line, timeout=timeout)
        finally:
            self.running[host] -= 1
            if takes:
                self.takes.append(f"{host}!")

    async def close(self) -> None:
        pass

    def reboots(self, host: str) -> None:
        """It forgets who held the lock."""
        shutil.rmtree(self.lock(host))
        self.writer(host).unlink()

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until something is so."""
        for _ in range(500):
            if reached():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("not within 10 s")

    async def begins(self, host: str) -> None:
        """Wait until the log of a host has something."""
        await self.until(lambda: self.log(host))
