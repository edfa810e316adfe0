"""A file that comes back from a host: whole, by its digest, or not at all."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.core import CommandFailed, QuorateError, TransportError
from quorate.execute import fetch as module
from quorate.execute.fetch import fetch
from quorate.transport.local import LocalTransport

CONTENT = bytes(range(256)) * 40 + "ü\r\n\0\x1b".encode() + b"\xff\xfe\x80"


class Way(LocalTransport):
    """This machine as the host; lost after so many scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.scripts = 10**6, list[str]()
        self.before: Callable[[str], None] = lambda _script: None

    async def run(self, host: str, script: str, **more: Any) -> str:
        self._begin(host, script)
        return await super().run(host, script, **more)

    async def read(self, host: str, script: str) -> bytes:
        self._begin(host, script)
        return await super().read(host, script)

    def _begin(self, host: str, script: str) -> None:
        if not self.left:
            raise TransportError("lost", host=host)
        self.left -= 1
        self.before(script)
        self.scripts.append(script)

    @property
    def pieces(self) -> int:
        return sum(1 for script in self.scripts if script.startswith("tail"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 3000)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    path = tmp_path / "there" / "it's a file"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here" / "copy"


async def test_all_bytes_come_as_they_are_with_progress_and_digest(there: Path, here: Path) -> None:
    way, told = Way(), list[tuple[int, int]]()
    found = await fetch(way, "h", str(there), here, told=lambda done, size: told.append((done, size)))
    assert here.read_bytes() == CONTENT
    assert (found.size, found.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert stat.S_IMODE(here.stat().st_mode) == 0o600
    assert os.listdir(here.parent) == ["copy"]


async def test_an_empty_file_comes_too(there: Path, here: Path) -> None:
    there.write_bytes(b"")
    await fetch(Way(), "h", str(there), here)
    assert here.read_bytes() == b""


async def test_after_a_lost_connection_it_goes_on_where_it_was(there: Path, here: Path) -> None:
    way = Way()
    way.left = 3
    with pytest.raises(TransportError):
        await fetch(way, "h", str(there), here)
    assert not here.exists()
    again = Way()
    await fetch(again, "h", str(there), here)
    assert here.read_bytes() == CONTENT
    assert again.pieces == way.pieces == 2


async def test_what_was_begun_of_another_content_is_thrown_away(there: Path, here: Path) -> None:
    way = Way()
    way.left = 3
    with pytest.raises(TransportError):
        await fetch(way, "h", str(there), here)
    there.write_bytes(CONTENT[::-1])
    await fetch(Way(), "h", str(there), here)
    assert here.read_bytes() == CONTENT[::-1]
    assert os.listdir(here.parent) == ["copy"]


@pytest.mark.parametrize("new", [CONTENT[:-1] + b"x", CONTENT[:5000], b""])
async def test_one_that_changes_meanwhile_is_told_and_nothing_of_ours_is_lost(
    there: Path, here: Path, new: bytes
) -> None:
    here.write_bytes(b"of before")
    way = Way()
    way.before = lambda script: there.write_bytes(new) if script.startswith("tail -c +3001") else None  # type: ignore[func-returns-value]
    with pytest.raises(QuorateError, match="became another file"):
        await fetch(way, "h", str(there), here)
    assert here.read_bytes() == b"of before"
    assert os.listdir(here.parent) == ["copy"]


async def test_one_that_is_not_there_is_told(there: Path, here: Path) -> None:
    with pytest.raises(CommandFailed) as refused:
        await fetch(Way(), "h", f"{there}.not", here)
    assert "No such file" in refused.value.stderr
    assert os.listdir(here.parent) == []


async def test_a_disk_without_room_is_told_before_anything_comes(
    there: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.atomic.free", lambda _place: 5000)
    way = Way()
    with pytest.raises(QuorateError, match="bytes are needed, 5000 are free"):
        await fetch(way, "h", str(there), here)
    assert way.pieces == 0
