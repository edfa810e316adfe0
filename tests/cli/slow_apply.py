"""`quorate apply` as a process of its own, against hosts on which every step succeeds and takes its time.

Arguments: a folder with the cluster file, the seconds that a script takes, further words for apply. What the hosts
are told is noted in the folder: a line in `hosts.log` when a script begins, ends, or is cut off. A file `hold`
in it keeps everything waiting.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import fake_hosts
import pytest

from quorate.cli import main
from quorate.core import Blob, Key, State, Transport
from quorate.execute import apply, batch
from quorate.execute.batch import Result
from quorate.plan.step import Step
from quorate.resource.resource import Resource

FOLDER, SECONDS = Path(sys.argv[1]), float(sys.argv[2])
STEP = batch.BEGIN


class Slow(fake_hosts.Hosts):
    """Hosts whose steps take their time."""

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if (FOLDER / "hold").exists():
            self.note("held")
            await asyncio.sleep(SECONDS)
        if STEP not in script and blob is None:
            return await super().run(host, script, blob=blob, on_line=on_line, timeout=timeout)
        self.note(f"begin {host}")
        try:
            for number in range(script.count(STEP)):
                if on_line:
                    on_line(f"{STEP}{number}")
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            self.note(f"cut {host}")
            raise
        self.note(f"end {host}")
        return ""

    async def close(self) -> None:
        self.note("closed")

    @staticmethod
    def note(text: str) -> None:
        with (FOLDER / "hosts.log").open("a") as log:
            log.write(f"{text}\n")


def read(steps: Sequence[Step], _output: str) -> Result:
    """Every step of a script is done."""
    states: dict[Key, State | None] = {step.key: step.resource.desired for step in steps}
    return Result(ended=dict.fromkeys(range(len(steps)), 0), states=states)


async def look(resources: Iterable[Resource], _via: Transport) -> tuple[dict[Key, State | None], dict[str, str]]:
    """All is as wanted after an upload."""
    return {resource.key: resource.desired for resource in resources}, {}


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    for name in fake_hosts.BINARIES:
        (FOLDER / name).touch()
    fake_hosts.made_up(patch, Slow(), FOLDER)
    patch.setattr(batch, "read", read)
    patch.setattr(apply, "look", look)
    sys.argv = ["quorate", "apply", "-f", str(FOLDER / "cluster.yaml"), *sys.argv[3:]]
    main.main()
