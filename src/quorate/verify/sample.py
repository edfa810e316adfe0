"""What users of the API notice meanwhile: requests through the endpoint, some 10 a second, from a host."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from quorate.core import QuorateError
from quorate.spec.cluster import Host
from quorate.verify.env import Env

ASKING_ENDS_S = 120
"""Seconds after which the host stops asking by itself."""


@dataclass(frozen=True)
class Sample:
    """The requests of a while: time by the host's clock in seconds, and whether the answer was 200."""

    asked: tuple[tuple[float, bool], ...] = ()
    error: str = ""
    """Why the host stopped asking, if it did."""

    @property
    def failed(self) -> int:
        """How many got no answer."""
        return sum(1 for _, good in self.asked if not good)

    @property
    def gap(self) -> float:
        """The longest time without an answer, in seconds, also before the first and after the last."""
        if not self.asked:
            return float(ASKING_ENDS_S)
        stamps = [self.asked[0][0], *(stamp for stamp, good in self.asked if good), self.asked[-1][0]]
        return max(after - before for before, after in pairwise(stamps))

    def __str__(self) -> str:
        lost = f"{self.failed} of {len(self.asked)} requests lost, longest gap {self.gap:.1f} s"
        return f"{lost} ({self.error})" if self.error else lost


NOT_SAMPLED = Sample()
"""Of an experiment that ended early."""


@asynccontextmanager
async def sampling(env: Env, host: Host) -> AsyncIterator[Callable[[], Sample]]:
    """Ask through the endpoint as long as the block runs; the first request was made before it.

    Gives the sample so far. /version and not /readyz: a stopping API server is not ready, but still serves.
    """
    asked: list[tuple[float, bool]] = []
    errors: list[str] = []
    begun = asyncio.Event()
    script = (
        f'end=$(( $(date +%s) + {ASKING_ENDS_S} )); while [ "$(date +%s)" -lt $end ]; do\n'
        "c=$(curl -gsk --noproxy '*' -o /dev/null --max-time 2 -w '%{http_code}' "
        f"{env.cluster.node_url}/version)\n"
        'echo "$(date +%s%N) $c"; sleep 0.05; done'
    )

    def on_line(line: str) -> None:
        begun.set()
        stamp, _, code = line.partition(" ")
        if stamp.isdigit():
            asked.append((int(stamp) / 1e9, code == "200"))

    async def ask() -> None:
        try:
            await env.via.run(host.name, script, on_line=on_line, timeout=ASKING_ENDS_S + 20)
        except QuorateError as error:
            errors.append(str(error))
        finally:
            begun.set()

    task = asyncio.create_task(ask())
    try:
        await begun.wait()
        yield lambda: Sample(tuple(asked), "".join(errors))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
