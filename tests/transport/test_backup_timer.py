"""The script of etcd hosts that takes backups by itself: on real members of etcd, sealed with the real age."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from built import NEWEST, built
from waiting import within

from quorate.backup import archive
from quorate.backup.proof import Proof
from quorate.render import backup
from quorate.render.snapshot import Taking
from quorate.spec.layout import BACKUP, BIN, COPY
from quorate.spec.sections import Backup
from quorate.spec.versions import restorers
from quorate.state import age
from quorate.state.bundle import Bundle, Entry
from quorate.state.opener import Opener
from quorate.state.seal import Mark

KEY = age.make_identity()
CONTENT = Bundle("prod", "cluster.yaml", {"cluster.yaml": Entry(b"name: prod\n", 0o600)})
LEASE_S = 2


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass(frozen=True)
class Host:
    """An etcd host as far as the script sees it: a folder, and a member."""

    name: str
    root: Path
    client: str
    peer: str

    @property
    def folder(self) -> Path:
        """Where its backups lie."""
        return self.root / "backups"

    @property
    def etcdctl(self) -> str:
        """etcdctl for its own member."""
        return f"{self.root}/bin/etcdctl --endpoints={self.client}"

    def prepare(self, **given: object) -> None:
        """What an apply brings."""
        for name in ("backups", "etc", "copy"):
            (self.root / name).mkdir(exist_ok=True)
        (self.root / "etc/recipients").write_text(f"{age.public(KEY)}\n")
        (self.root / "copy/state.age").write_bytes(age.seal(CONTENT.pack(7), [age.public(KEY)]))
        (self.root / "copy/last").write_text(f"{Mark('prod', 7, CONTENT.digest)}\n")
        spec = Backup.model_validate({"schedule": "*-*-* 03:00:00 UTC", "folder": str(self.folder), **given})
        (self.root / "etc/scheduled").write_text(self.script(spec))

    def script(self, spec: Backup) -> str:
        """The script, with this host's places for those of all hosts."""
        taking = Taking(
            programs=f"{self.root}/bin",
            ask=self.etcdctl,
            version=f"curl -sf {self.client}/version",
            restorers=restorers(NEWEST.etcd),
            quota=2**28,
            told={"cluster": "prod", "host": self.name, "kubernetes": "1.37.2", "versions": {"etcd": NEWEST.etcd}}
            | {"encryption_keys": ["key1"], "ca": {"ca": "a" * 64}},
            config=(str(self.root / "etc"),),
            mark=backup.mark(spec.folder),
        )
        text = backup.script("prod", self.name, spec, self.etcdctl, taking)
        for path, mine in ((BACKUP, "etc"), (COPY, "copy"), (BIN, "bin")):
            text = text.replace(path, f"{self.root}/{mine}")
        return text.replace(f"--ttl={backup.LEASE_S}", f"--ttl={LEASE_S}")

    def begin(self) -> subprocess.Popen[str]:
        """Its timer's service begins, in a group of its own as in a control group."""
        argv = ["/bin/sh", f"{self.root}/etc/scheduled"]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self) -> tuple[int, str]:
        """The exit code of a run, and what it said."""
        process = self.begin()
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    def sets(self) -> list[Path]:
        """The sets that lie there."""
        return sorted(self.folder.glob("*.backup"))

    def ctl(self, words: str) -> str:
        """What etcdctl says."""
        return subprocess.run(f"{self.etcdctl} {words}", shell=True, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Three members of one etcd, with some keys."""
    etcd, seals = built("etcd", NEWEST.etcd), built("age", NEWEST.age)
    place = tmp_path_factory.mktemp("etcd")
    hosts = [
        Host(f"m{n}", place / f"m{n}", f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
        for n in (1, 2, 3)
    ]
    all_ = ",".join(f"{host.name}={host.peer}" for host in hosts)
    running = []
    for host in hosts:
        (host.root / "bin").mkdir(parents=True)
        for program in (*etcd.iterdir(), *seals.iterdir()):
            (host.root / "bin" / program.name).symlink_to(program)
        words = {"name": host.name, "data-dir": f"{host.root}/data", "initial-cluster": all_}
        words |= {"listen-client-urls": host.client, "advertise-client-urls": host.client}
        words |= {"listen-peer-urls": host.peer, "initial-advertise-peer-urls": host.peer}
        argv = [f"{host.root}/bin/etcd", *(f"--{name}={value}" for name, value in words.items())]
        with (host.root / "log").open("w") as log:
            running.append(subprocess.Popen(argv, stdout=log, stderr=log))
    try:
        assert within(30, lambda: healthy(hosts))
        for n in range(20):
            hosts[0].ctl(f"put /registry/pods/default/p{n} x")
        yield hosts
    finally:
        for process in running:
            process.kill()
            process.wait()


def healthy(hosts: list[Host]) -> bool:
    ask = f"{hosts[0].root}/bin/etcdctl --endpoints={','.join(host.client for host in hosts)} endpoint health"
    return subprocess.run(ask, shell=True, capture_output=True, check=False).returncode == 0


@pytest.fixture
def hosts(members: list[Host]) -> Iterator[list[Host]]:
    """The same, with nothing of a backup yet."""
    for host in members:
        subprocess.run(["rm", "-rf", host.folder], check=True)
        host.prepare()
    members[0].ctl("del --prefix quorate/")
    yield members
    members[0].ctl("del --prefix quorate/")


def sets(hosts: list[Host]) -> list[Path]:
    return [path for host in hosts for path in host.sets()]


def test_one_of_all_acts_and_its_set_is_whole_proved_and_opens(hosts: list[Host], tmp_path: Path) -> None:
    running = [host.begin() for host in hosts]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    (path,) = sets(hosts)
    assert sum("another host has taken the backup" in each for each in said) == 2
    opened = archive.open_set(path, Opener(age.identities(KEY.encode(), "", lambda: "")))
    assert opened.manifest.etcd.keys["/registry/pods"] == 20
    assert opened.bundle == CONTENT
    opened.snapshot_in(tmp_path)
    (proof,) = path.parent.glob("*.proof.json")
    told = Proof.from_json(proof.read_bytes(), "the proof")
    assert (told.level, told.set) == (1, opened.whole.digest)
    assert told.evidence["revision"] == opened.manifest.etcd.revision
    left = {each.name for each in path.parent.iterdir()}
    assert left == {path.name, proof.name}
    assert oct(path.stat().st_mode) == oct(proof.stat().st_mode) == "0o100600"
