"""The command line as a whole, in this process, against hosts that are made up."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.cli import connect
from quorate.cli.main import run
from quorate.core import Blob, TransportError
from quorate.render.lock_script import REFUSED, SAYS
from quorate.spec.layout import LOCK
from quorate.spec.supply import Supply

CLUSTER = """\
name: tiny
versions: {kubernetes: "1.20.2"}
hosts:
  - {name: master01, address: 192.0.2.11, roles: [control-plane, etcd]}
  - {name: node01, address: 192.0.2.12, roles: [worker]}
"""

BINARIES = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    *("etcd", "etcdctl", "runc", "containerd", "containerd-shim-runc-v2", "ctr"),
    *("bridge", "host-local", "loopback", "portmap"),
)

FACTS = (
    "os_id=debian\nos_version=12\npackage_manager=apt\narch=x86_64\nkernel=6.1.0\ncgroup=v2\nmemory_kib=4000000\n"
    "resolver=10.0.0.53 /etc/resolv.conf\n"
)


class Hosts:
    """A transport to bare hosts: they tell facts, have nothing, and do nothing that they are told."""

    def __init__(self) -> None:
        self.lost: dict[str, str] = {}
        self.scripts: list[tuple[str, str]] = []
        self.acts: Callable[[str, str], str] = lambda _host, _script: ""
        self.facts: dict[str, str] = {}
        """What a host tells of itself besides FACTS, lines of `name=value`; one that is not here tells nothing."""
        self.closed = False
        self.holder = ""
        """Record of a run that holds the lock on every host."""
        self.took: list[str] = []
        """Hosts on which the lock was taken."""

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if host in self.lost:
            raise TransportError(self.lost[host], "look at the cable", host=host)
        fence, _, behind = script.rpartition(f"exit {REFUSED}; fi\n")
        if LOCK in script and not fence:
            return self._lock(host, script)
        script = behind or script
        self.scripts.append((host, script))
        if host in self.facts and ". /etc/os-release" in script:
            return FACTS + self.facts[host]
        return self.acts(host, script)

    def _lock(self, host: str, script: str) -> str:
        token = self.holder.partition(" ")[0]
        if token and f"  {token}) [" not in script:
            return f"{SAYS}held 3 75 {self.holder}\n"
        if "holder.new" not in script:
            return ""
        self.took.append(host)
        return f"{SAYS}taken\n"

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """The hosts that every verb reaches."""
    made = Hosts()
    made_up(monkeypatch, made)
    return made


def made_up(monkeypatch: pytest.MonkeyPatch, made: Hosts, blobs: Path = Path("/nonexistent")) -> None:
    """From now on every verb reaches these hosts, and what it sends them lies in the folder `blobs`."""
    monkeypatch.setattr(connect, "open_transport", lambda _cluster, *, asks: made)

    def blob(name: str) -> Blob:
        return Blob(blobs / name, hashlib.sha256(name.encode()).hexdigest(), len(name))

    async def resolve(*_args: object, **_more: object) -> Supply:
        return Supply(
            versions={"kubernetes": "1.20.2", "etcd": "3.4.23"},
            binaries={name: blob(name) for name in BINARIES},
            parts={
                "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
                "cni_plugins": ("bridge", "host-local", "loopback", "portmap"),
            },
        )

    monkeypatch.setattr("quorate.execute.prepare.resolve", resolve)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster file in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


Quorate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def quorate(file: Path, capsys: pytest.CaptureFixture[str]) -> Quorate:
    """Run a command line: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
