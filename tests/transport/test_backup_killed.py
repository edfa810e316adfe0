"""SIGKILL at every group of system calls by which a backup gets to its folders: it is whole there or absent."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import backup_sets
import backup_taker
import pytest
from tracing import CALLS, Call, durable, groups, kind, synced, traced

from quorate.backup import archive, proof, ssh_place
from quorate.backup.catalog import catalog
from quorate.backup.places import FolderPlace
from quorate.core import QuorateError
from quorate.render import backup_places
from quorate.spec.layout import BACKUP
from quorate.spec.sections import Place, SshPlace
from quorate.spec.ssh import ResolvedSsh


@dataclass(frozen=True)
class Taker:
    """A process that takes backups, each in a child of its own."""

    home: Path
    process: "subprocess.Popen[str]"

    @property
    def places(self) -> tuple[FolderPlace, ...]:
        return backup_taker.folders(self.home)

    def run(self, thread: str, *strace: str) -> int:
        """One backup from the beginning, looked at by strace from there on where a thread begins; its exit code."""
        for place in ("backups", "far"):
            shutil.rmtree(self.home / place, ignore_errors=True)
        id = self._answer(f"{thread}\n")
        argv = ["strace", "-p", str(id), "-y", "-ttt", "-s0", "-o", str(self.home / "trace"), *strace]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as looking:
            assert looking.stderr is not None
            assert "attached" in looking.stderr.readline()
            code = self._answer("go\n")
            looking.stderr.read()
        return code

    def _answer(self, words: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(words)
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def whole(self) -> list[list[str]]:
        """What is listed at each place, all of it whole."""
        return [asyncio.run(backup_taker.whole(place, self.home)) for place in self.places]

    def hidden(self) -> list[str]:
        return [str(path) for place in self.places for path in place.folder.glob(".*")]


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taker]:
    home = backup_taker.home(tmp_path_factory.mktemp("home"))
    # The number of the state folder's copy is written once.
    asyncio.run(backup_taker.taken(home))
    argv = [sys.executable, str(Path(backup_taker.__file__)), str(home)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Taker(home, process)


@pytest.fixture(scope="module")
def calls(taker: Taker) -> list[Call]:
    """One run that nobody disturbs."""
    assert taker.run("main", "-ff", f"-etrace={CALLS}") == 0
    return traced(taker.home / "trace")


@pytest.fixture(scope="module")
def ours(taker: Taker, calls: Sequence[Call]) -> list[Call]:
    """Its calls on files and folders of the places, and of the folder in which these are made."""
    above = {str(taker.home), str(taker.home / "far")}
    below = tuple(f"{place.folder}" for place in taker.places)
    return [call for call in calls if any(path in above or path.startswith(below) for path in call.paths)]


def test_written_synced_renamed_and_the_folder_synced(taker: Taker, ours: Sequence[Call]) -> None:
    """For the set and its proof, at both places; nobody writes to a file that has its name."""
    ends = []
    for place in taker.places:
        for suffix in (archive.SUFFIX, proof.SUFFIX):
            (to,) = (str(path) for path in place.folder.glob(f"*{suffix}"))
            ends.append(durable(ours, to))
    assert ends == sorted(ends), "a proof, or a copy, is there before the set is"
    for folder in (taker.places[0].folder, taker.places[1].folder.parent, taker.places[1].folder):
        (made,) = [n for n, call in enumerate(ours) if kind(call) == "mkdir" and call.paths[-1] == str(folder)]
        kept = synced(ours, folder.parent, made)
        assert kept < min(n for n, call in enumerate(ours) if call.creates and call.paths[-1].startswith(f"{folder}/"))


def test_killed_at_every_group_of_calls_it_is_whole_or_absent(
    taker: Taker, calls: Sequence[Call], ours: Sequence[Call]
) -> None:
    main = next(call.thread for call in calls)
    points = list(groups(ours))
    assert len(points) > 25
    seen = Counter[tuple[int, ...]]()
    for point in points:
        thread = "main" if point.thread == main else "set"
        code = taker.run(thread, f"-etrace={point.name}", f"-einject={point.name}:signal=KILL:when={point.number}")
        assert code == -signal.SIGKILL, point
        there = taker.whole()
        seen[*map(len, there)] += 1
        asyncio.run(backup_taker.taken(taker.home))
        assert taker.hidden() == [], point
        for before, now in zip(there, taker.whole(), strict=True):
            assert set(before) < set(now)
    # Before the set was there, before its proof, before the copy, before the copy's proof.
    assert all(seen[stage] for stage in ((0, 0), (1, 0), (2, 0), (2, 1)))


@dataclass(frozen=True)
class Far:
    """A folder that is reached by SFTP, the sshd before it, and what a host needs to come there."""

    home: Path
    sshd: ResolvedSsh

    @property
    def where(self) -> SshPlace:
        return SshPlace.model_validate(
            {
                "host": "127.0.0.1",
                "port": self.sshd.port,
                "path": str(self.home / "there"),
                "key": self.home / "key-0",
                "known_hosts": self.home / "known-hosts-0",
            }
        )

    @property
    def place(self) -> ssh_place.SshPlace:
        return ssh_place.SshPlace(self.where, "backup.places[0].ssh")

    def by_operator(self, path: Path) -> bool:
        """Whether a file came there as `quorate backup` brings it."""
        try:
            asyncio.run(self.place.put(path))
        except QuorateError:
            return False
        return True

    def by_host(self, path: Path) -> bool:
        """The same as hosts bring it."""
        text = backup_places.functions([Place(ssh=self.where)]).replace(BACKUP, str(self.home))
        script = f"set -eu\nwork={self.home}\n{text}\nput_0 {path} {path.name}"
        return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False).returncode == 0

    @contextmanager
    def traced(self, *more: str) -> Iterator[Path]:
        """The log of what sshd and its children do while the block runs."""
        assert self.sshd.known_hosts is not None
        pid = (self.sshd.known_hosts.parent / "pid").read_text().strip()
        log = self.home / "trace"
        argv = ["strace", "-ff", "-p", pid, "-y", "-ttt", "-s0", "-o", str(log), *more]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as looking:
            assert looking.stderr is not None
            assert "attached" in looking.stderr.readline()
            try:
                yield log
            finally:
                looking.send_signal(signal.SIGINT)
                looking.stderr.read()

    def listed(self) -> list[str]:
        return [item.name for item in asyncio.run(self.place.listing())]


@pytest.fixture
def far(tmp_path: Path, sshd: ResolvedSsh) -> Far:
    (tmp_path / "there").mkdir()
    for name, brought in (("key-0", sshd.key), ("known-hosts-0", sshd.known_hosts)):
        assert brought is not None
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(brought.read_bytes())
    return Far(tmp_path, sshd)


WAYS = {"operator": Far.by_operator, "host": Far.by_host}


@pytest.mark.parametrize("way", WAYS)
def test_at_a_host_it_is_written_synced_and_renamed(far: Far, way: str) -> None:
    """SFTP can't sync the folder: what is renamed is whole, but may have its former name after a power cut."""
    path = backup_sets.backup(far.home)
    with far.traced(f"-etrace={CALLS}") as log:
        assert WAYS[way](far, path)
    of = [call for call in traced(log) if any(name.startswith(f"{far.home}/there/") for name in call.paths)]
    order = [kind for kind, _ in groupby(map(kind, of)) if kind != "lseek"]
    assert order[0] == "create"
    assert order[-3:] == ["write", "sync", "move"]
    assert of[-1].paths[-1] == f"{far.home}/there/{path.name}"


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("way", WAYS)
def test_a_far_end_that_is_killed_has_it_whole_or_not_at_all(far: Far, way: str, call: str) -> None:
    path = backup_sets.backup(far.home)
    left = far.home / "there/.c-20200101T000000Z-0123abcd.backup.part"
    left.touch()
    part = far.home / f"there/.{path.name}.part"
    # To the network it writes as well.
    which = 3 if call == "write" else 1
    with far.traced("-P", str(part), f"-etrace={call}", f"-einject={call}:signal=KILL:when={which}"):
        assert not WAYS[way](far, path)
    assert 0 < part.stat().st_size < path.stat().st_size or call != "write"
    assert far.listed() == []
    assert WAYS[way](far, path)
    assert far.listed() == [path.name]
    assert (far.home / "there" / path.name).read_bytes() == path.read_bytes()
    assert asyncio.run(catalog([far.place], "c"))[0][0].manifest is not None
    if way == "operator":
        assert sorted(each.name for each in (far.home / "there").iterdir()) == [path.name]
