"""A backup of a real etcd: taken by the script that hosts run, sealed on the way, opened, proved; what is refused."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cluster_programs import of_line
from etcd_real import Member, member
from state_folders import NOW, SECRET, TEXT, cheap, cluster

from quorate.backup import archive, prove, take
from quorate.backup.proof import Proof
from quorate.core import CommandFailed, QuorateError, VerifyFailed
from quorate.render import snapshot
from quorate.spec.cluster import Backup, StateFolder
from quorate.spec.supply import Supply
from quorate.state import age, seal
from quorate.state.opener import Opener
from quorate.state.store import Store
from quorate.transport.local import LocalTransport

__all__ = ["cheap"]
VOLUMES = "/registry/persistentvolumes"
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture(scope="module", params=["3.5", "3.6", "3.7"])
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    work = tmp_path_factory.mktemp("etcd")
    with member(of_line("etcd", request.param), work / "member") as made:
        fill(made)
        yield made


def fill(made: Member) -> None:
    for number in range(20):
        made.ctl("put", f"/registry/pods/ns/p{number}", f"value {number}")
    made.ctl("del", "/registry/pods/ns/p3")
    for key in ("/registry/secrets/ns/s", "compact_rev_key"):
        made.ctl("put", key, "x")
    made.ctl("put", f"{VOLUMES}/pv-one", '{"spec": {"nfs": {"server": "10.0.0.9", "path": "/srv"}}}')
    made.ctl("put", f"{VOLUMES}/pv-two", "nobody can read this")
    made.ctl("compaction", "5")


def taking(made: Member) -> snapshot.Taking:
    return snapshot.Taking(
        programs=str(made.bin),
        ask=made.ask,
        version=f"curl -sf http://127.0.0.1:{made.port}/version",
        restorers=made.restorers,
        quota=2**31,
        told={
            "cluster": "c",
            "host": "m1",
            "kubernetes": "1.37.2",
            "versions": {"etcd": made.version},
            "encryption_keys": ["key1"],
            "ca": {"ca": "a" * 64},
        },
        config=("/etc/hostname", "/etc/no-such-file"),
        mark="/nonexistent",
    )


class Site:
    """A cluster whose only member is this machine's etcd, and its state folder."""

    def __init__(self, made: Member, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.etcd, self.home = made, home
        self.hosts = home / "host"
        self.file = home / "cluster.yaml"
        self.file.write_text(TEXT)
        self.store = Store.beside(self.file, "c")
        self.cluster = cluster().model_copy(update={"backup": Backup(folder=str(self.hosts))})
        self.secrets = self.store.secrets(self.cluster, NOW, persist=True)
        seal.set_passphrase(self.store, SECRET)
        self.via = LocalTransport()
        self.said: list[str] = []
        monkeypatch.setattr(take, "taking", lambda *_: self.taking)
        monkeypatch.setattr(take, "etcdctl", lambda _host: made.ask)
        self.taking = taking(made)

    def take(self) -> take.Taken:
        return asyncio.run(
            take.take(
                self.cluster,
                self.store,
                self.secrets,
                self.via,
                (self.file, TEXT),
                self.home / "backups",
                self.said.append,
            )
        )

    def open(self, path: Path) -> archive.OpenedSet:
        key = (self.store.path / "copy/identity").read_bytes()
        return archive.open_set(path, Opener(age.identities(key, "key", lambda: "")))

    def prove(self, found: archive.OpenedSet) -> Proof:
        return asyncio.run(self._prove(found))

    async def _prove(self, found: archive.OpenedSet) -> Proof:
        with prove.private(self.home / "backups") as scratch:
            (scratch / "bin").symlink_to(self.etcd.bin)
            return await prove.prove(found, self.cluster, Supply(), scratch, level=1)


@pytest.fixture
def site(etcd: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(prove, "_unpack", lambda *_: None)
    return Site(etcd, tmp_path, monkeypatch)


def left(site: Site) -> list[str]:
    return sorted(str(path.relative_to(site.hosts)) for path in site.hosts.rglob("*"))


def test_taken_sealed_opened_and_proved(site: Site) -> None:
    taken = site.take()
    told = taken.manifest
    assert (told.degraded, told.host, told.cluster) == ("", told.host, "c")
    assert told.etcd.keys == {
        "/registry/pods": 19,
        "/registry/secrets": 1,
        VOLUMES: 2,
        "compact_rev_key": 1,
    }
    assert told.etcd.version == site.etcd.version
    assert told.etcd.cluster_version == f"{site.etcd.version.rpartition('.')[0]}.0"
    assert [each.name for each in told.etcd.members] == ["m1"]
    assert told.etcd.compact_revision == 5
    assert "persistent volumes: 2" in told.not_in_it
    assert taken.volumes == ("pv-one (nfs 10.0.0.9:/srv)", "pv-two")
    assert b"pv-one" not in taken.path.read_bytes(), "names are sealed"
    assert set(told.binaries) == {"etcd", "etcdctl", "etcdutl"}
    assert taken.proof is not None
    assert taken.proof.level == 1
    assert left(site) == []
    assert sorted(each.name for each in taken.path.parent.iterdir()) == [
        taken.path.name,
        f"{taken.path.stem}.proof.json",
    ]
    found = site.open(taken.path)
    names = found.names()
    assert {kind: len(each) for kind, each in names.kinds.items()} == {"pods": 19, "secrets": 1, "persistentvolumes": 2}
    assert names.told_volumes == taken.volumes
    assert archive.open_set(taken.path, Opener(passphrase=SECRET)).bundle == found.bundle
    assert found.bundle.entries["state/random/encryption-key"].content
    files = subprocess.run(["tar", "-tf", found.config_in(site.home)], check=True, capture_output=True, text=True)
    assert files.stdout.split() == ["etc/hostname"]
    again = site.prove(found)
    assert again.evidence == {"revision": told.etcd.revision, "keys": 23, "hash": told.etcd.hash}
    assert [each for each in taken.path.parent.iterdir() if each.is_dir()] == []


def test_nothing_secret_is_where_others_read(site: Site) -> None:
    # The passphrase locks nothing in these tests.
    (site.store.path / "copy/identity.age").unlink()
    other = age.public(age.make_identity())
    site.cluster = site.cluster.model_copy(update={"state": StateFolder(recipients=(other,))})
    taken = site.take()
    assert archive.IDENTITY not in archive.check(taken.path).members
    secrets = [text.encode() for text in site.store.confidential()]
    content = taken.path.read_bytes()
    said = "\n".join(site.said).encode()
    assert not [text for text in secrets if text in content or text in said]
    assert b"value 7" not in content
    assert {path.stat().st_mode & 0o777 for path in taken.path.parent.iterdir()} == {0o600}
    assert not site.hosts.exists(), "who takes one by hand leaves nothing on the host"
    scheduled = site.cluster.backup.model_copy(update={"schedule": "daily"})
    site.cluster = site.cluster.model_copy(update={"backup": scheduled})
    site.take()
    assert site.hosts.stat().st_mode & 0o777 == 0o700
    assert left(site) == [], "the folder of one who takes them by itself stays"


def test_a_compaction_in_between_does_not_hide_a_difference(site: Site, tmp_path: Path) -> None:
    """The member forgets more after the save: the throw-away forgets as much, and the two are compared."""
    later = int(json.loads(site.etcd.ctl("get", "x", "-w", "json"))["header"]["revision"]) - 1
    script = tmp_path / "ctl"
    script.write_text(
        f'#!/bin/sh\n{site.etcd.ask} "$@"; c=$?\n'
        f'case "$*" in *"snapshot save"*) {site.etcd.ask} compaction {later} >/dev/null 2>&1;; esac\nexit $c\n'
    )
    script.chmod(0o755)
    site.taking = replace(site.taking, ask=str(script))
    told = site.take().manifest
    assert told.proved is not None
    assert told.etcd.compact_revision == later


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncate -s -600 snapshot.db", "can't be restored"),
        ("printf x | dd of=snapshot.db bs=1 seek=9000 conv=notrunc 2>/dev/null", "can't be (restored|read)"),
        (": >snapshot.db", "the snapshot can't be read"),
    ],
)
def test_a_snapshot_that_is_damaged_on_the_disk_is_no_backup(
    site: Site, tmp_path: Path, damage: str, words: str
) -> None:
    script = tmp_path / "ctl"
    script.write_text(
        f'#!/bin/sh\n{site.etcd.ask} "$@"; c=$?\ncase "$*" in *"snapshot save"*) {damage};; esac\nexit $c\n'
    )
    script.chmod(0o755)
    site.taking = replace(site.taking, ask=str(script))
    with pytest.raises(CommandFailed, match=words):
        site.take()
    assert left(site) == []
    assert not (site.home / "backups").exists()


def test_what_the_member_has_besides_is_found(site: Site, tmp_path: Path) -> None:
    """A snapshot of something else than the member has: another hash, though it restores well."""
    script = tmp_path / "ctl"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *hashkv*) {site.etcd.ask} "$@" | sed \'s/"hash":[0-9]*/"hash":1/\';; '
        f'*) {site.etcd.ask} "$@";; esac\n'
    )
    script.chmod(0o755)
    site.taking = replace(site.taking, ask=str(script))
    with pytest.raises(CommandFailed, match="is not what etcd has"):
        site.take()


def test_another_snapshot_than_the_manifest_says_is_not_proved(site: Site) -> None:
    found = site.open(site.take().path)
    for changes, words in (
        ({"revision": 1}, "revision is 2[0-9], and should be 1"),
        ({"hash": 1}, "etcd's hash of all keys"),
        ({"keys": {**found.manifest.etcd.keys, "/registry/pods": 20}}, "the number of keys below /registry/pods is 19"),
    ):
        told = replace(found.manifest, etcd=replace(found.manifest.etcd, **changes))  # type: ignore[arg-type]
        with pytest.raises(VerifyFailed, match=words):
            site.prove(replace(found, whole=replace(found.whole, manifest=told)))


def test_no_etcd_no_backup(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take, "etcdctl", lambda _host: f"{site.etcd.bin}/etcdctl --endpoints=http://127.0.0.1:1")
    with pytest.raises(QuorateError, match="no member of etcd answers"):
        site.take()
    assert not (site.home / "backups").exists()


def test_no_room_on_the_host(site: Site) -> None:
    """Not enough for the snapshot: nothing is begun. The member, and what lies there, are as they were."""
    site.hosts.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", site.hosts], check=True)
    try:
        with pytest.raises(CommandFailed, match="no room for a backup"):
            site.take()
        assert left(site) == []
    finally:
        subprocess.run(["umount", site.hosts], check=True)


def test_ended_in_the_middle_nothing_is_left(site: Site) -> None:
    """The script is killed while its throw-away runs: the throw-away ends with it."""
    script = snapshot.asked(site.taking, str(site.hosts))
    started = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(["/bin/sh", "-c", script], **started) as process:  # type: ignore[call-overload]
        assert any("proving" in line for line in process.stdout)
        os.killpg(process.pid, 15)
        process.wait(timeout=20)
    deadline = time.monotonic() + 20
    # Its shells end one after the other.
    while left(site) or subprocess.run(["pgrep", "-f", f"{site.hosts}/.*proof"], capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, left(site)
        time.sleep(0.1)
