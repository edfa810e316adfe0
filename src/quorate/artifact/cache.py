"""The cache of verified files: each content once, as gzip, under its SHA-256; an index says what is where.

An index entry is trusted while each of its blobs has the size and the modification time that it had when it
was verified; otherwise the blob is hashed again. Writers make a temporary file and rename it.
"""

import asyncio
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from quorate.core import Blob

LEVEL = 5
"""gzip level: a 110 MB Go binary takes about 3 s on one core and shrinks to a third."""
_CHUNK = 1 << 20
_INCOMPRESSIBLE = (".deb", ".rpm", ".gz", ".tgz", ".xz", ".zst")


@dataclass(frozen=True)
class Entry:
    """What the cache knows under one key: files by name, and facts about them as plain JSON."""

    blobs: Mapping[str, Blob]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Cache:
    """A cache folder; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.index = root / "index"
        self.partial = root / "partial"
        for folder in (self.blobs, self.index, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        self._packers = asyncio.Semaphore(os.cpu_count() or 1)

    def find(self, key: str) -> Entry | None:
        """The entry of a key; None when there is none or one of its blobs is gone or damaged."""
        path = self._entry(key)
        try:
            text = json.loads(path.read_text())
            if text["key"] != key:
                return None
            blobs, stale = {}, False
            for name, (digest, size, packed, mtime) in text["blobs"].items():
                blob = Blob(self.blobs / f"{digest}.gz", digest, size)
                stat = blob.path.stat()
                if (stat.st_size, stat.st_mtime_ns) != (packed, mtime):
                    if not intact(blob):
                        blob.path.unlink()
                        return None
                    stale = True
                blobs[name] = blob
        except (OSError, ValueError, KeyError, TypeError):
            return None
        entry = Entry(blobs, text["facts"])
        if stale:
            self.keep(key, entry)
        return entry

    def keep(self, key: str, entry: Entry) -> None:
        """Remember an entry under a key."""
        blobs = {}
        for name, blob in entry.blobs.items():
            stat = blob.path.stat()
            blobs[name] = [blob.sha256, blob.size, stat.st_size, stat.st_mtime_ns]
        text = json.dumps({"key": key, "facts": dict(entry.facts), "blobs": blobs}, indent=1, sort_keys=True)
        self._replace(self._entry(key), lambda file: file.write(text.encode()))

    async def add(self, files: Mapping[str, Path]) -> dict[str, Blob]:
        """Put files into the cache, several at a time, and return their blobs by name."""
        names = sorted(files, key=lambda name: -files[name].stat().st_size)
        blobs = await asyncio.gather(*(self._add(files[name]) for name in names))
        return dict(zip(names, blobs, strict=True))

    async def _add(self, source: Path) -> Blob:
        async with self._packers:
            return await asyncio.to_thread(self.pack, source)

    def pack(self, source: Path) -> Blob:
        """Put one file into the cache; zlib and hashlib let other threads run meanwhile."""
        digest = file_digest(source)
        blob = Blob(self.blobs / f"{digest}.gz", digest, source.stat().st_size)
        if not (blob.path.exists() and intact(blob)):
            level = 1 if source.name.endswith(_INCOMPRESSIBLE) else LEVEL
            with source.open("rb") as content:
                self._replace(blob.path, lambda file: _gzip(content, file, level))
        return blob

    @asynccontextmanager
    async def lock(self, name: str, waiting: Callable[[], None] | None = None) -> AsyncIterator[None]:
        """Hold a lock against other processes and tasks; `waiting` is called once if that takes time."""
        with (self.partial / f"{name}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if waiting is not None:
                        waiting()
                        waiting = None
                    await asyncio.sleep(0.2)
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the cache's file system, gone afterwards; so are those of runs that were killed."""
        for left in self.partial.glob("scratch-*"):
            if Path("/proc", left.name.split("-")[1]).exists():
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.partial, prefix=f"scratch-{os.getpid()}-"))
        try:
            yield folder
        finally:
            # A thread of a sibling that was given up may still write into it for a moment.
            for _ in range(40):
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    break
                time.sleep(0.05)

    def _replace(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        """Write a file under a temporary name and rename it."""
        handle, name = tempfile.mkstemp(dir=self.partial, prefix=f"scratch-{os.getpid()}-")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _entry(self, key: str) -> Path:
        return self.index / f"{short(key)}.json"


def short(text: str) -> str:
    """A file name for any text: 24 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpacked(blob: Blob) -> Iterator[bytes]:
    """The content of a blob, piece by piece."""
    inflate = zlib.decompressobj(wbits=31)
    with blob.path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield inflate.decompress(piece)
    yield inflate.flush()


def copy_unzipped(source: Path, target: Path) -> None:
    """Copy a file; one that is gzipped is unpacked on the way."""
    with source.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(source) if zipped else source.open("rb") as content, target.open("wb") as copy:
        shutil.copyfileobj(content, copy, _CHUNK)


def intact(blob: Blob) -> bool:
    """Whether the gzip file holds what the blob says."""
    found, size = hashlib.sha256(), 0
    try:
        for piece in unpacked(blob):
            found.update(piece)
            size += len(piece)
    except (OSError, zlib.error):
        return False
    return found.hexdigest() == blob.sha256 and size == blob.size


def _gzip(source: BinaryIO, target: BinaryIO, level: int) -> None:
    """Compress without name and time in the header, so that equal content gives equal files."""
    deflate = zlib.compressobj(level, wbits=31)
    while piece := source.read(_CHUNK):
        target.write(deflate.compress(piece))
    target.write(deflate.flush())
