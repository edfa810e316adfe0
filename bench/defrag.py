"""How long a member of etcd answers nothing while its store is written anew: the rate behind what `defrag` shows.

    python bench/defrag.py MEGABYTES RUNS

One member of each version that was built here, on loopback, filled with objects of 0.6 to 8 kB; its defragmentation is
measured so many times. Results go to bench/results/defrag.json.
"""

import json
import os
import random
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "versions"))

from built import programs
from run import machine

RESULTS = Path(__file__).with_name("results")
SIZES = (600, 1500, 3000, 8000)
"""Bytes of an object: leases, pods, large ConfigMaps."""
AT_ONCE = 120
"""Objects in a transaction; etcd takes 128."""


class Member:
    """A member that runs."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self._program, self._env = folder / "etcdctl", {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": url}

    def ctl(self, *words: str, given: str = "") -> str:
        """What etcdctl says. Raises CalledProcessError."""
        argv = [str(self._program), "--command-timeout=600s", *words]
        return subprocess.run(argv, env=self._env, input=given, capture_output=True, text=True, check=True).stdout

    def fill(self, size: int) -> None:
        """Write about so many bytes."""
        text = "".join(random.choices(string.ascii_letters, k=1 << 20))
        for number in range(size // (AT_ONCE * sum(SIZES) // len(SIZES))):
            starts = (random.randrange(len(text) - max(SIZES)) for _ in range(AT_ONCE))
            values = (text[start : start + random.choice(SIZES)] for start in starts)
            puts = "".join(f"put /registry/pods/{number}/{key} {value}\n" for key, value in enumerate(values))
            self.ctl("txn", given=f"\n{puts}\n\n")

    def in_use(self) -> int:
        """Bytes."""
        return int(json.loads(self.ctl("endpoint", "status", "-w", "json"))[0]["Status"]["dbSizeInUse"])


@contextmanager
def member(folder: Path, work: Path) -> Iterator[Member]:
    """A member of its own cluster, gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        client, peer = (f"http://127.0.0.1:{each.getsockname()[1]}" for each in (one, other))
    argv = [folder / "etcd", f"--data-dir={work / 'data'}", f"--initial-cluster=default={peer}"]
    argv += [f"--{flag}-client-urls={client}" for flag in ("listen", "advertise")]
    argv += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--quota-backend-bytes={8 << 30}"]
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        time.sleep(3)
        yield Member(folder, client)
    finally:
        process.terminate()
        process.wait()


def measured(folder: Path, size: int, runs: int) -> dict[str, Any]:
    """Bytes in use, and the seconds of each run."""
    with TemporaryDirectory() as place, member(folder, Path(place)) as one:
        one.fill(size)
        time.sleep(1)
        found, in_use = list[float](), one.in_use()
        for _ in range(runs):
            began = time.monotonic()
            one.ctl("defrag")
            found.append(round(time.monotonic() - began, 2))
        return {"in_use": in_use, "seconds": found, "bytes_a_second": [round(in_use / each) for each in found]}


def main() -> None:
    """Measure, print and keep."""
    megabytes, runs = int(sys.argv[1]), int(sys.argv[2])
    with TemporaryDirectory() as work:
        folders = programs("etcd", Path(work))
        versions = {version: measured(folder, megabytes * 10**6, runs) for version, folder in folders.items()}
    found = {
        "command": f"python bench/defrag.py {megabytes} {runs}",
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": versions,
    }
    text = json.dumps(found, indent=1)
    print(text)
    (RESULTS / "defrag.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
