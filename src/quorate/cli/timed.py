"""A transport that notes when hosts are asked: how long each part of a look at them takes."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from quorate.core import Blob, Transport, read

Phase = tuple[str, float, float]


class TimedTransport:
    """Another transport, timed. `prepare` asks each host once for facts, then once for its state."""

    def __init__(self, inner: Transport, *, on_phase: Callable[[str], None] = lambda _text: None) -> None:
        self._inner, self._on_phase = inner, on_phase
        self._zero = time.monotonic()
        self._asked: dict[str, int] = {}
        self._spans: dict[int, list[float]] = {}

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run it, and note from when to when."""
        turn = self._asked[host] = self._asked.get(host, 0) + 1
        span = self._spans.setdefault(turn, [self._now(), 0.0])
        if turn <= 2:
            self._on_phase("asking hosts for facts" if turn == 1 else "looking at everything on the hosts")
        try:
            return await self._inner.run(host, script, blob=blob, on_line=on_line, timeout=timeout)
        finally:
            span[1] = self._now()

    async def read(self, host: str, script: str) -> bytes:
        """See `core.ReadsBytes`."""
        return await read(self._inner, host, script)

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """See `core.Transport`."""
        return self._inner.forward(host, port)

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def phases(self) -> list[Phase]:
        """From when to when, in seconds: artifacts; connect and facts; compile; look."""
        end = self._now()
        first, second = self._spans.get(1, [end, end]), self._spans.get(2, [end, end])
        return [
            ("artifacts", 0.0, first[0]),
            ("connect, facts", first[0], first[1]),
            ("compile", first[1], max(first[1], second[0])),
            ("look", max(first[1], second[0]), max(first[1], second[1])),
        ]
