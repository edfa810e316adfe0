"""The script of etcd hosts that takes backups by itself: on real members of etcd, sealed with the real age."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster_programs import NEWEST, built
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
        return f"ETCDCTL_API=3 {self.root}/bin/etcdctl --endpoints={self.client}"

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
        assert within(60, lambda: healthy(hosts))
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


def test_a_host_that_was_away_at_the_time_takes_none_and_the_next_time_does(hosts: list[Host]) -> None:
    assert hosts[0].run()[0] == 0
    code, said = hosts[1].run()
    assert (code, len(sets(hosts))) == (0, 1), said
    hosts[0].ctl(f"put {backup.UNTIL} {int(time.time()) - 1}")
    assert hosts[1].run()[0] == 0
    assert [len(host.sets()) for host in hosts] == [1, 1, 0]
    until = int(hosts[0].ctl(f"get --print-value-only {backup.UNTIL}"))
    assert 0 < until - time.time() <= 24 * 3600
    assert time.gmtime(until)[3:6] == (3, 0, 0)


def test_a_silent_holder_is_replaced_and_leaves_nothing_for_long(hosts: list[Host]) -> None:
    first, second = hosts[0], hosts[1]
    holder = first.begin()
    try:
        assert within(20, lambda: (first.folder / ".scheduled/set").exists())
        subprocess.run(["pkill", "-STOP", "-s", str(holder.pid)], check=True)
        code, said = second.run()
        assert code == 0, said
        assert [len(host.sets()) for host in hosts] == [0, 1, 0]
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(holder.pid)], check=True)
        holder.communicate()
    (first.folder / ".scheduled").mkdir(exist_ok=True)
    (first.folder / ".prod-x.backup.scheduled").touch()
    assert first.run()[0] == 0
    assert list(first.folder.iterdir()) == []


def test_without_the_sealed_state_there_is_no_set(hosts: list[Host]) -> None:
    (hosts[0].root / "copy/state.age").unlink()
    code, said = hosts[0].run()
    assert code == 1
    assert "no sealed copy of the state folder lies here" in said
    assert list(hosts[0].folder.iterdir()) == []
    assert hosts[0].ctl(f"get {backup.UNTIL}") == ""
    # Another one may act then.
    assert hosts[1].run()[0] == 0
    assert len(hosts[1].sets()) == 1


def test_a_copy_that_an_apply_is_writing_is_waited_for(hosts: list[Host]) -> None:
    """state.age is new, its mark is still the old one: a set of both would not open."""
    host, copy = hosts[0], hosts[0].root / "copy"
    newer = Bundle("prod", "cluster.yaml", {"cluster.yaml": Entry(b"name: prod # changed\n", 0o600)})
    (copy / "state.age").write_bytes(age.seal(newer.pack(8), [age.public(KEY)]))
    os.utime(copy / "last", (1, 1))
    process = host.begin()
    assert within(20, lambda: (host.folder / ".scheduled/set/state.age").exists())
    (copy / "last").write_text(f"{Mark('prod', 8, newer.digest)}\n")
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    opened = archive.open_set(host.sets()[0], Opener(age.identities(KEY.encode(), "", lambda: "")))
    assert (opened.bundle, opened.sequence) == (newer, 8)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a disk of its own")
def test_a_full_disk_keeps_what_is_there_and_nothing_half(hosts: list[Host]) -> None:
    host = hosts[0]
    script = f"""
    mount -t tmpfs -o size=8m none {host.folder} && echo old >{host.folder}/prod-20200101T000000Z-00000001.backup
    /bin/sh {host.root}/etc/scheduled; echo code=$?
    ls -A {host.folder}"""
    said = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert "no room for a backup" in said.stderr
    assert said.stdout.split() == ["code=1", "prod-20200101T000000Z-00000001.backup"]


def test_a_run_that_is_ended_in_the_middle_leaves_nothing(hosts: list[Host]) -> None:
    host = hosts[0]
    process = host.begin()
    assert within(20, lambda: (host.folder / ".scheduled/set").exists())
    subprocess.run(["pkill", "-TERM", "-s", str(process.pid)], check=True)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert within(10, lambda: list(host.folder.iterdir()) == [])


def test_what_need_not_stay_goes_and_the_last_proved_never(hosts: list[Host]) -> None:
    host = hosts[0]
    host.prepare(keep={"count": 1, "days": 1})
    old = [f"prod-202001{day:02}T000000Z-0000000{day}" for day in range(1, 4)]
    other = "prod-other-20200101T000000Z-00000001"
    for name in (*old, other):
        (host.folder / f"{name}.backup").write_text("x")
    (host.folder / f"{old[0]}.proof.json").write_text("{}")
    assert host.run()[0] == 0
    left = {path.name.removesuffix(".backup") for path in host.sets()}
    # The newest of the time, the last proved one of the time, another cluster's, and the new one.
    assert left - {path.name.removesuffix(".backup") for path in host.sets() if "-2020" not in path.name} == {
        *(old[0], old[2], other)
    }
    assert host.run()[0] == 0
    # By now a new one is proved and the newest.
    assert {path.name.removesuffix(".backup") for path in host.sets()} >= {other}
    assert len(host.sets()) == 2
