"""A cluster on simulated hosts, driven by the command line as a user would."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from booting import booted

from quorate.core import QuorateError
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.transport.ssh import SshTransport

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT = 600
"""Seconds after which a command of the tool counts as hung."""


@dataclass
class Deployed:
    """A cluster file, its hosts, and the tool to drive them."""

    file: Path

    @property
    def cluster(self) -> Cluster:
        return load(self.file)

    def quorate(self, *words: str, code: int | None = 0, limit: int = LIMIT) -> subprocess.CompletedProcess[str]:
        """Run the tool; fail with all it said when it ends otherwise than expected; None expects anything."""
        argv = [sys.executable, "-m", "quorate", *words, "-f", str(self.file)]
        done = subprocess.run(
            argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=limit, check=False
        )
        if code not in (done.returncode, None):
            why = self.moves() if words[0] == "verify" else ""
            raise AssertionError(
                f"{words}: exit {done.returncode}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}\n{why}"
            )
        return done

    def moves(self) -> str:
        """What balancers tell of the virtual IP's ways and of API servers, for whoever asks why the endpoint hung."""
        units = "-u keepalived -u quorate-pulse -u quorate-upstreams -u quorate-address"
        script = f"journalctl -o short-precise --since -5min --no-pager {units} | grep -v ratuitous | tail -n 60"
        try:
            told = self.run(script, *(host.name for host in self.cluster.balancers))
        except QuorateError as error:
            return str(error)
        return "\n".join(f"--- {name}\n{text}" for name, text in told.items())

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The tool at work; ended with the block when it has not ended by itself."""
        argv = [sys.executable, "-m", "quorate", *words, "-f", str(self.file)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def json(self, *words: str, code: int = 0) -> dict[str, object]:
        """The one JSON document that a verb prints."""
        document = json.loads(self.quorate(*words, "--json", code=code).stdout)
        assert isinstance(document, dict)
        return document

    def run(self, script: str, *hosts: str) -> dict[str, str]:
        """The output of a script on each host, without the tool's own resources."""

        async def all_() -> dict[str, str]:
            cluster = self.cluster
            via = SshTransport.of(cluster)
            names = hosts or tuple(host.name for host in cluster.hosts)
            try:
                found = await asyncio.gather(*(via.run(name, script) for name in names))
            finally:
                await via.close()
            return dict(zip(names, found, strict=True))

        return asyncio.run(all_())


def deploy(example: str, folder: Path) -> Iterator[Deployed]:
    """Boot the hosts of an example; take them away at the end."""
    file = folder / "cluster.yaml"
    text = (EXAMPLES / example).read_text()
    # A lab of its own beside one that a user may have made of the same example.
    text = re.sub(r"^name: ", "name: test-", text, flags=re.M)
    file.write_text(re.sub(r"192\.168\.1(09|10|11)\.", lambda net: f"192.168.{110 + int(net[1])}.", text))
    cluster = load(file)
    made = Deployed(file)
    # The first time on a machine this builds Kubernetes, for as long as that takes.
    made.quorate("artifacts", limit=3600)
    with booted(cluster, file):
        yield made


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The hosts of the described topology, bare."""
    yield from deploy("described.yaml", tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The hosts of three masters with today's Kubernetes, bare."""
    yield from deploy("modern.yaml", tmp_path_factory.mktemp("modern"))
