"""A backup that is taken and brought to a second folder, of hosts in memory: what is done to files, this process does.

With a home as its argument it is a program that does so for each line it is given, for a test to trace and to kill.
"""

import asyncio
import gzip
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import backup_sets as sets
import pytest
from state_folders import TEXT, cluster

from quorate.backup import archive, take
from quorate.backup.places import FolderPlace
from quorate.backup.proof import SUFFIX
from quorate.cli import backup
from quorate.core import Blob
from quorate.spec.secrets import Secrets
from quorate.state import age, seal
from quorate.state.opener import Opener
from quorate.state.store import Store

SNAPSHOT = sets.SNAPSHOT[:150_000]
PLACE = "/var/lib/quorate-backup/.taking-x"
STATUS = '[{"Status": {"header": {"member_id": 1}, "leader": 1, "raftAppliedIndex": 9}}]'


class Hosts:
    """Hosts that have taken a snapshot already."""

    def __init__(self) -> None:
        told = sets.manifest(sets.bundle())
        etcd = replace(told.etcd, size=len(SNAPSHOT), sha256=hashlib.sha256(SNAPSHOT).hexdigest())
        text = replace(told, etcd=etcd).to_json()
        names = gzip.compress(b"/registry/pods/shop/web\n")
        self.files = {"snapshot.db": SNAPSHOT, "config.tar": b"a tar", "names.gz": names, "manifest.json": text}

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if "endpoint status" in script:
            return STATUS
        if script == "take":
            assert on_line is not None
            on_line(f"folder={PLACE}")
            return ""
        if script.startswith(("rm ", "gzip ")):
            return ""  # no volumes among the names
        content = self.files[re.findall(rf"{PLACE}/([a-z.]+)", script)[0]]
        if script.startswith("stat "):
            return f"{len(content)}\n{hashlib.sha256(content).hexdigest()}  -\n"
        if piece := re.match(r"tail -c \+(\d+) .* head -c (\d+)", script):
            content = content[int(piece[1]) - 1 :][: int(piece[2])]
        return content.decode("utf-8", "surrogateescape")

    async def close(self) -> None:
        pass


def home(folder: Path) -> Path:
    """A cluster file, and a state folder with a key for copies that is locked."""
    (folder / "cluster.yaml").write_text(TEXT)
    store = Store.beside(folder / "cluster.yaml", "c")
    seal.identity(store)
    store.keep()
    store.write(store.path / "copy/identity.age", b"locked")
    return folder


def folders(home: Path) -> tuple[FolderPlace, ...]:
    """Where it is made, and where it is brought to."""
    return FolderPlace(home / "backups"), FolderPlace(home / "far/there")


async def taken(home: Path) -> take.Taken:
    """Take one, and bring it everywhere, as the verb does."""
    file = home / "cluster.yaml"
    store = Store.beside(file, "c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take, "taking", lambda *_: None)
        patch.setattr(take.snapshot, "asked", lambda *_: "take")
        done = await take.take(cluster(), store, Secrets({}, {}), Hosts(), (file, TEXT), home / "backups")
    assert await backup._everywhere(done, folders(home)[1:]) == {}
    return done


def opener(home: Path) -> Opener:
    """Opens what was taken."""
    key = Store.beside(home / "cluster.yaml", "c").path / "copy/identity"
    return Opener(age.identities(key.read_bytes(), "key", lambda: ""))


async def whole(place: FolderPlace, home: Path) -> list[str]:
    """The files that are listed there, each of which is whole and fits the others."""
    names = [item.name for item in await place.listing()]
    for name in names:
        base = name.removesuffix(SUFFIX).removesuffix(archive.SUFFIX)
        assert name in (f"{base}{archive.SUFFIX}", f"{base}{SUFFIX}")
        assert archive.NAME.fullmatch(base)
        found = archive.open_set(place.folder / f"{base}{archive.SUFFIX}", opener(home))
        plain = found.snapshot_in(home)
        assert plain.read_bytes() == SNAPSHOT
        plain.unlink()
        proof = place.folder / f"{base}{SUFFIX}"
        assert not proof.exists() or found.whole.digest in proof.read_text()
    return names


def held() -> None:
    """Say which thread this is, and wait for a word."""
    print(threading.get_native_id(), flush=True)
    sys.stdin.readline()


def written(path: Path, parts: Sequence[archive.Part], write: Callable[..., str] = archive.write) -> str:
    """A set is written by a thread of its own."""
    held()
    return write(path, parts)


def serve(home: Path) -> None:
    """Take one in a child for each line on stdin: `main` or `set`, the thread to hold before it touches a folder."""
    for thread in iter(sys.stdin.readline, ""):
        if not (child := os.fork()):
            if thread.strip() == "set":
                archive.write = written
            else:
                held()
            asyncio.run(taken(home))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
