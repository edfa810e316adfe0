"""What killed runs leave on the operator's machine goes with the next one; what others are at stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quorate import atomic
from quorate.artifact.export import export
from quorate.lab.access import write_key
from quorate.spec.supply import Supply
from quorate.transport import known


@pytest.fixture
def dead() -> int:
    """The pid of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_beside_a_file(tmp_path: Path, dead: int) -> None:
    target = tmp_path / "admin.conf"
    gone, mine, other = (
        tmp_path / name
        for name in (f".admin.conf.{dead}-x1.tmp", f".admin.conf.{os.getpid()}-x1.tmp", f".b.conf.{dead}-x.tmp")
    )
    for path in (gone, mine, other):
        path.write_text("key")
    atomic.sweep_beside(target)
    assert [path.exists() for path in (gone, mine, other)] == [False, True, True]


async def test_an_export(tmp_path: Path, dead: int) -> None:
    for name in (f"out.part-{dead}", f"out.part-{os.getppid()}", f"other.part-{dead}"):
        (tmp_path / name).mkdir()
    await export(Supply(versions={}, binaries={}, parts={}), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"other.part-{dead}",
        "out",
        f"out.part-{os.getppid()}",
    ]


def test_pinned_keys_are_swept_with_the_state_folder(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their file is written by another room, under names that the sweep knows."""
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: dead)
        patch.setattr("os.replace", lambda *_: os._exit(9))
        if (child := os.fork()) == 0:
            known.write(tmp_path / "known_hosts", [], ["h ssh-ed25519 AAAA"])
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    atomic.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    known.write(tmp_path / "known_hosts", [], ["h ssh-ed25519 AAAA"])
    assert [path.name for path in tmp_path.iterdir()] == ["known_hosts"]


def test_a_key_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []
