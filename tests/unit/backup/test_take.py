"""A backup on its way here: whom it is asked of, what a lost host leaves, and that nothing is half there."""

import asyncio
import errno
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import backup_sets as sets
import pytest
from state_folders import NOW, SECRET, TEXT, cluster

from quorate.backup import archive, incoming, take
from quorate.backup.take import Standing, choose, recipients
from quorate.core import Blob, QuorateError, TransportError
from quorate.execute import fetch
from quorate.spec.cluster import Cluster, StateFolder
from quorate.state import age, seal
from quorate.state.opener import Opener
from quorate.state.store import Store
from quorate.transport.local import LocalTransport

pytestmark = pytest.mark.usefixtures("cheap")
PIECE = 100_000


class Hosts(LocalTransport):
    """Hosts of which the one that is asked has a snapshot already; `fails` says when a script's connection is lost."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place
        self.status: dict[str, dict[str, object]] = {}
        self.asked: list[str] = []
        self.pieces = 0
        self.fails: Callable[[int], bool] = lambda _piece: False
        self.hangs = 0
        self.hung = asyncio.Event()

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if "endpoint status -w json" in script and "q_take" not in script:
            if host not in self.status:
                raise TransportError("is away", host=host)
            return json.dumps([{"Status": self.status[host]}])
        if "q_take" in script:
            self.asked.append(host)
            assert on_line is not None
            on_line("progress saving")
            on_line(f"folder={self.place}")
            return ""
        return await super().run(host, script, on_line=on_line, timeout=timeout)

    async def read(self, host: str, script: str) -> bytes:
        self.pieces += 1
        if self.pieces == self.hangs:
            self.hung.set()
            await asyncio.sleep(3600)
        if self.fails(self.pieces):
            raise TransportError("connection lost", host=host)
        return await super().read(host, script)


def standing(member: int, leader: int, applied: int) -> dict[str, object]:
    return {"header": {"member_id": member}, "leader": leader, "raftAppliedIndex": applied}


class Site:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.there = home / "host/.taking-x"
        self.there.mkdir(parents=True)
        told = sets.manifest(sets.bundle())
        (self.there / "snapshot.db").write_bytes(sets.SNAPSHOT)
        (self.there / "config.tar").write_bytes(b"a tar")
        (self.there / "names.gz").write_bytes(gzip.compress(b"/registry/pods/a/b\n/registry/persistentvolumes/pv1\n"))
        (self.there / "manifest.json").write_bytes(told.to_json())
        self.hosts = Hosts(self.there)
        self.hosts.status = {"m1": standing(1, 1, 90), "m2": standing(2, 1, 88), "m3": standing(3, 1, 89)}
        self.file = home / "cluster.yaml"
        self.file.write_text(TEXT)
        self.store = Store.beside(self.file, "c")
        self.cluster: Cluster = cluster()
        backup = self.cluster.backup.model_copy(update={"folder": str(home / "host")})
        self.cluster = self.cluster.model_copy(update={"backup": backup})
        self.secrets = self.store.secrets(self.cluster, NOW, persist=True)
        seal.set_passphrase(self.store, SECRET)
        self.said: list[str] = []

    @property
    def backups(self) -> list[str]:
        folder = self.home / "backups"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    async def take(self) -> take.Taken:
        words = (self.cluster, self.store, self.secrets, self.hosts, (self.file, TEXT), self.home / "backups")
        async with asyncio.timeout(60):
            return await take.take(*words, self.said.append)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(fetch, "PIECE", PIECE)
    monkeypatch.setattr(incoming, "PAUSE_S", 0.0)
    return Site(tmp_path)


def test_whom_it_is_asked_of() -> None:
    def of(*found: tuple[str, int, bool, bool]) -> str:
        return choose([Standing(*each) for each in found]).host

    assert of(("a", 90, True, True), ("b", 88, False, True), ("c", 89, False, True)) == "c"
    assert of(("a", 90, True, True)) == "a"
    # Whoever has no leader is behind, or cut off; without a quorum that is everybody.
    assert of(("a", 99, False, False), ("b", 88, False, True), ("c", 90, True, True)) == "b"
    assert of(("a", 70, False, False), ("b", 88, False, False)) == "b"
    with pytest.raises(QuorateError, match="no member of etcd answers"):
        choose([])


async def test_it_comes_whole_and_the_host_keeps_nothing(site: Site) -> None:
    taken = await site.take()
    assert site.hosts.asked == ["m3"]
    assert site.hosts.pieces == 2 + -(-len(sets.SNAPSHOT) // PIECE)
    assert not site.there.exists()
    assert site.backups == [taken.path.name, f"{taken.path.stem}.proof.json"]
    assert archive.NAME.fullmatch(taken.path.stem)
    found = archive.open_set(taken.path, Opener(passphrase=SECRET))
    assert found.snapshot_in(site.home).read_bytes() == sets.SNAPSHOT
    assert found.sequence == seal.last(site.store, "c").sequence == 1
    proof = json.loads((taken.path.with_suffix(".proof.json")).read_text())
    assert (proof["set"], proof["level"], proof["where"]) == (archive.check(taken.path).digest, 1, "m1")
    assert any("are here" in text for text in site.said)


async def test_a_lost_connection_is_gone_on_with(site: Site) -> None:
    site.hosts.fails = lambda piece: piece in (3, 4, 7)
    taken = await site.take()
    assert archive.open_set(taken.path, Opener(passphrase=SECRET)).snapshot_in(site.home).read_bytes() == sets.SNAPSHOT


@pytest.mark.parametrize("first", [1, 4])
async def test_a_host_that_stays_away_leaves_nothing(site: Site, first: int) -> None:
    site.hosts.fails = lambda piece: piece >= first
    with pytest.raises(TransportError, match="connection lost"):
        await site.take()
    assert site.backups == []
    assert not site.there.exists()


async def test_what_is_another_file_by_then_is_refused(site: Site) -> None:
    (site.there / "snapshot.db").write_bytes(sets.SNAPSHOT[:-1] + b"x")
    with pytest.raises(QuorateError, match="became another file"):
        await site.take()
    assert site.backups == []


@pytest.mark.parametrize("written", [1, 700_000])
async def test_a_disk_that_fills_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    """Before the host's files come, and in the middle of them; nobody waits for anybody."""
    write = archive._Summed.write
    done = 0

    def full(self: archive._Summed, data: bytes) -> int:
        nonlocal done
        done += len(data)
        if done > written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere")
        return write(self, data)

    monkeypatch.setattr(archive._Summed, "write", full)
    with pytest.raises(QuorateError, match="/somewhere: No space left"):
        await site.take()
    assert site.backups == []


async def test_an_end_in_the_middle_leaves_nothing(site: Site) -> None:
    site.hosts.hangs = 5
    task = asyncio.create_task(site.take())
    await site.hosts.hung.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.backups == []
    assert not site.there.exists()


async def test_members_that_are_away_are_told(site: Site) -> None:
    del site.hosts.status["m1"]
    taken = await site.take()
    assert taken.manifest.degraded == "m1 did not answer"
    assert dict(taken.lost) == {"m1": "is away"}


async def test_nobody_who_could_open_it_no_backup(site: Site) -> None:
    (site.store.path / "copy/identity.age").unlink()
    with pytest.raises(QuorateError, match="nobody could open a backup"):
        await site.take()
    assert site.hosts.asked == []
    key = age.public(age.make_identity())
    by_state = site.cluster.model_copy(update={"state": StateFolder(recipients=(key,))})
    assert recipients(by_state, site.store)[1:] == (key,)
    other = age.public(age.make_identity())
    own = replace_backup(by_state, recipients=(other,))
    assert recipients(own, site.store)[1:] == (other,)


def replace_backup(of: Cluster, **changes: object) -> Cluster:
    return of.model_copy(update={"backup": of.backup.model_copy(update=changes)})
