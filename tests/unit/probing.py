"""A probe in the process of its test, at a pace that makes faults short."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_in_memory import Api, Pki

from quorate.drill.probe_config import Pace, ProbeConfig
from quorate.drill.record import Result
from quorate.drill.recorder import Recorder
from quorate.drill.session import session

PACE = Pace(new=0.02, kept=0.02, writes=0.02, watch=0.02, timeout=5, patience=5)
FAULT = 0.2
"""Seconds that a fault lasts at least."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def api(pki: Pki) -> AsyncIterator[Api]:
    async with Api(pki) as api:
        yield api


class Probing:
    """A probe in this process."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.fault = 0.0
        self._news = asyncio.Event()

    def say(self, *line: Any) -> None:
        self.recorder.take(*line)
        self._news.set()

    @property
    def result(self) -> Result:
        return self.recorder.result()

    @asynccontextmanager
    async def during(self) -> AsyncIterator[None]:
        """A fault that lasts for a while; how long it really was is noted."""
        begin = time.monotonic()
        yield
        await asyncio.sleep(FAULT)
        self.fault = time.monotonic() - begin

    async def writes(self, more: int) -> None:
        """Wait until some more writes are acknowledged."""
        wanted = self.result.acknowledged + more
        await self.until(lambda: self.result.acknowledged >= wanted)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def probing(api: Api, pace: Pace = PACE) -> AsyncIterator[Probing]:
    """Probe as long as the block runs, with some writes before it."""
    found, stop = Probing(), asyncio.Event()
    task = asyncio.create_task(session(ProbeConfig(api.target(), pace), found.say, stop))
    try:
        await asyncio.wait_for(found.writes(3), 5)
        yield found
    finally:
        stop.set()
        await task
