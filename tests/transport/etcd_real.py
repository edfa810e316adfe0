"""A member of etcd on this machine's loopback, as real as on a host, and an API server that fills it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.spec.versions import restorers


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Member:
    """One that runs."""

    bin: Path
    port: int
    version: str

    @property
    def ask(self) -> str:
        """etcdctl with its endpoint, as a piece of sh."""
        return f"{self.bin}/etcdctl --endpoints=http://127.0.0.1:{self.port}"

    def ctl(self, *words: str, stdin: str = "") -> str:
        """What etcdctl answers."""
        return subprocess.run(
            [self.bin / "etcdctl", f"--endpoints=http://127.0.0.1:{self.port}", *words],
            check=True,
            capture_output=True,
            text=True,
            input=stdin,
        ).stdout

    @property
    def restorers(self) -> tuple[str, ...]:
        """What restores its snapshots."""
        return restorers(self.version)


@contextmanager
def member(bin: Path, folder: Path) -> Iterator[Member]:
    """One member that is a cluster, while the block runs."""
    folder.mkdir()
    port, peer = free_port(), free_port()
    version = subprocess.run([bin / "etcd", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(bin / "etcd", "--name=m1", f"--data-dir={folder}/data", "--logger=zap"),
                *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
                *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
                f"--initial-cluster=m1={peers}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        made = Member(bin, port, version)
        for _ in range(150):
            try:
                made.ctl("get", "x")
                break
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        yield made
    finally:
        process.kill()
        process.wait()
