"""The cache: content-addressed, exact, the same bytes each time."""

import asyncio
import gzip
import os
from pathlib import Path

import pytest

from quorate.artifact.cache import Cache, Entry, intact


async def test_the_same_content_is_packed_once_and_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content" * 1000)
    (tmp_path / "b").write_bytes(b"content" * 1000)
    first = await Cache(tmp_path / "one").add({"a": tmp_path / "a", "b": tmp_path / "b"})
    second = await Cache(tmp_path / "two").add({"a": tmp_path / "a"})
    assert first["a"] == first["b"]
    assert len(list((tmp_path / "one/blobs").iterdir())) == 1
    assert first["a"].path.read_bytes() == second["a"].path.read_bytes()
    assert gzip.decompress(first["a"].path.read_bytes()) == b"content" * 1000
    assert intact(first["a"])


async def test_an_entry_without_its_blob_is_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    entry = Entry(await cache.add({"a": tmp_path / "a"}), {"n": 1})
    cache.keep("key", entry)
    assert cache.find("key") == entry
    assert cache.find("other") is None
    entry.blobs["a"].path.unlink()
    assert cache.find("key") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "key"}', '{"key": "key", "blobs": {"a": 1}}'])
async def test_a_damaged_index_is_none(tmp_path: Path, text: str) -> None:
    cache = Cache(tmp_path)
    cache.keep("key", Entry({}))
    [path] = cache.index.iterdir()
    path.write_text(text)
    assert cache.find("key") is None


async def test_a_truncated_blob_is_not_intact(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    blobs = await cache.add({"a": tmp_path / "a"})
    cache.keep("key", Entry(blobs))
    path = blobs["a"].path
    path.write_bytes(path.read_bytes()[:50_000])
    assert cache.find("key") is None
    assert not path.exists()


async def test_a_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    inside, most, waited = 0, 0, []

    async def enter() -> None:
        nonlocal inside, most
        async with Cache(tmp_path).lock("x", lambda: waited.append(1)):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(3)))
    assert most == 1
    assert waited


def test_scratch_of_killed_runs_is_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    left = cache.partial / "scratch-999999999-abc"
    left.mkdir()
    with cache.scratch() as folder:
        assert folder.is_dir()
        assert not left.exists()
    assert not folder.exists()
