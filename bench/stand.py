"""A test stand: a cluster file brought up as a lab of its own, used, and taken down again."""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.core import QuorateError, Transport
from quorate.execute.lock import hold
from quorate.lab.record import LabError
from quorate.lab.up import down, limit, up
from quorate.procedure.kubeconfig import administrator
from quorate.report.event import Event, Said
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.spec.secrets import Secrets
from quorate.state.store import Store
from quorate.transport.ssh import SshTransport

ROOT = Path(__file__).parents[1]
EXAMPLES = (ROOT / "examples/described.yaml", ROOT / "examples/three-masters.yaml")
RESULTS = ROOT / "bench/results"
_BEGAN = time.monotonic()


def tell(text: str) -> None:
    """Print a line of progress, with the minutes since the beginning."""
    print(f"[{(time.monotonic() - _BEGAN) / 60:6.1f} min] {text}", flush=True)


def on_event(event: Event) -> None:
    """Print what is said; the rest is for screens that move."""
    if isinstance(event, Said) and event.text:
        tell(event.text)


@dataclass(frozen=True)
class Work:
    """What it takes to work on a cluster: the only writer's way to its hosts, and the administrator's keys."""

    cluster: Cluster
    secrets: Secrets
    via: Transport


@dataclass(frozen=True)
class Stand:
    """A lab, and the tool to drive it."""

    name: str
    """Of the cluster file from which it was made."""
    file: Path

    def quorate(self, *words: str, codes: Collection[int] = (0,)) -> str:
        """Run the command line on it; what it printed. Raises QuorateError when it ends with another code."""
        tell(f"quorate {' '.join(words)}")
        argv = [sys.executable, "-m", "quorate", *words, "-f", str(self.file)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode not in codes:
            raise QuorateError(f"quorate {' '.join(words)}: exit {done.returncode}\n{done.stdout[-8000:]}")
        return done.stdout

    @asynccontextmanager
    async def working(self, verb: str) -> AsyncIterator[Work]:
        """The cluster's lock, held for `verb` as long as the block runs."""
        cluster = load(self.file)
        via = SshTransport.of(cluster)
        try:
            async with hold([host.name for host in cluster.hosts], via, verb, on_event) as locked:
                yield Work(cluster, administrator(cluster, Store.beside(self.file, cluster.name)), locked)
        finally:
            await via.close()


def own(text: str) -> str:
    """A cluster file for a lab beside that of the example: by another name, in other networks."""
    text = re.sub(r"^name: ", "name: drill-", text, flags=re.M)
    return re.sub(r"192\.168\.1(09|10|11)\.", lambda net: f"192.168.{130 + int(net[1])}.", text)


def replaced(document: Path, begin: str, end: str, table: str) -> None:
    """Write a table anew between its two marks in a document."""
    before, _, rest = document.read_text().partition(begin)
    after = rest.partition(end)[2]
    document.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")


@contextmanager
def stand(example: Path, *, proven: bool = True) -> Iterator[Stand]:
    """Bring an example up, deployed and verified (`proven` False: bare hosts); take all of it away in the end."""
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as folder:
        file = Path(folder) / "cluster.yaml"
        file.write_text(own(example.read_text()))
        cluster = load(file)
        with contextlib.suppress(LabError):
            down(cluster.name, tell)  # what a killed run left
        made = Stand(example.stem, file)
        # The first time on a machine this builds Kubernetes, for as long as that takes.
        made.quorate("artifacts")
        try:
            up(cluster, file, tell)
            if proven:
                made.quorate("apply", "--yes")
                made.quorate("verify")
                limit(cluster.name)
            yield made
        finally:
            with contextlib.suppress(LabError):
                down(cluster.name, tell)
