"""The probe: measures from this machine how long the API behind an endpoint is away, and what is lost."""

import asyncio
import json
import sys
from typing import Self

from quorate.core import QuorateError
from quorate.drill.probe_config import Pace, ProbeConfig, Target
from quorate.drill.record import Result
from quorate.drill.recorder import Recorder

END_WITHIN_S = 30.0
"""Seconds for the process to end, beyond the patience that it has for the API."""
LONGEST_LINE = 1 << 16
"""The longest line of the process."""


class Probe:
    """Four streams of requests while the block runs, in a process of their own; then `result`.

    `new` asks by a new TLS connection each time, `kept` by one that stays open, `writes` writes numbers into
    ConfigMaps, `watch` waits for them. They run in `namespace`, which is made, and deleted unless `keep`.
    `path` is what the readers ask for: not /readyz, because a stopping API server says that it is not ready,
    but still serves. /api is answered without etcd; how that is shows in `writes`.

    Entering raises QuorateError when the API does not answer or the namespace exists; leaving it raises that
    when the process died.
    """

    def __init__(
        self,
        target: Target,
        pace: Pace | None = None,
        *,
        namespace: str = "quorate-probe",
        path: str = "/api",
        keep: bool = False,
    ) -> None:
        self.result: Result | None = None
        """What it saw; there after the block."""
        self._config = ProbeConfig(target, pace or Pace(), namespace, path, keep)
        self._recorder = Recorder()
        self._begun = asyncio.Event()
        self._error: QuorateError | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            # -P: what lies in the current folder is no module of ours.
            *(sys.executable, "-P", "-m", "quorate.drill.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            # Ctrl-C is for us: the process ends when its stdin does, and deletes what it made.
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read())
        try:
            assert self._process.stdin
            self._process.stdin.write(self._config.text().encode() + b"\n")
            await self._begun.wait()
        except BaseException:
            await self._end()
            raise
        if self._error or self._recorder.begin is None:
            await self._end()
            raise self._error or QuorateError("the probe did not begin")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._end()
        self.result = self._recorder.result()
        if self._error and kind is None:
            raise self._error

    @property
    def began(self) -> float:
        """When it began, by the monotonic clock: that is 0 in what it saw."""
        assert self._recorder.begin is not None
        return self._recorder.begin

    def mark(self, name: str) -> None:
        """Note this moment, for `Result.marks`."""
        self._recorder.mark(name)

    def so_far(self) -> Result:
        """What it saw until now; writes are not read back yet."""
        return self._recorder.result()

    def window(self, first: float, last: float) -> Result:
        """What it saw between two moments of the monotonic clock; at no more cost than what it saw then."""
        return self._recorder.window(first, last)

    async def _read(self) -> None:
        """Note what the process reports, until it ends."""
        assert self._process.stdout
        assert self._process.stderr
        stderr = asyncio.create_task(self._process.stderr.read())
        try:
            async for line in self._process.stdout:
                kind, *values = json.loads(line)
                if kind == "error":
                    self._error = QuorateError(*values)
                    continue
                self._recorder.take(kind, *values)
                if kind == "begin":
                    self._begun.set()
            said = (await stderr).decode(errors="replace").strip()
            code = await self._process.wait()
            if code and not self._error:
                last = said.splitlines()[-1] if said else "it said nothing"
                self._error = QuorateError(f"the probe's process ended with {code}: {last}")
        finally:
            stderr.cancel()
            self._begun.set()

    async def _end(self) -> None:
        """Let the process end, and wait for it; kill it when it does not."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(self._config.pace.patience + END_WITHIN_S):
                await self._reading
        except TimeoutError:
            self._error = QuorateError("the probe's process does not end")
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
