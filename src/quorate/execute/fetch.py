"""A file that comes back from a host: piece by piece, known by its digest, gone on with after a lost connection."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from quorate import atomic
from quorate.core import CommandFailed, QuorateError, Transport, read
from quorate.render.sh import quote

PIECE = 8 * 1024 * 1024
"""Bytes that are asked for at once; a connection that is lost costs no more."""


@dataclass(frozen=True)
class Fetched:
    """A file as it lies on the host."""

    size: int
    sha256: str


async def fetch(
    via: Transport, host: str, path: str, to: Path, *, told: Callable[[int, int], None] = lambda _done, _all: None
) -> Fetched:
    """Bring a file of a host to `to` here, readable by nobody else. `told` hears how many bytes of how many are here.

    What a run that was cut off brought of the same content is not fetched again. Raises CommandFailed when there is no
    such file, TransportError when the host is lost, QuorateError when there is no room here, or when the file on the
    host became another one meanwhile. `to` has the whole content in the end, or is as it was.
    """
    there = await look(via, host, path)
    part = to.with_name(f".{to.name}.{there.sha256[:16]}.part")
    for other in to.parent.glob(f".{to.name}.*.part"):
        if other != part:
            other.unlink()
    digest, done = _begun(part, there.size)
    atomic.demand(to.parent, [there.size - done])
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        told(done, there.size)
        async for piece in pieces(via, host, path, done, there.size):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            told(done, there.size)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != there.sha256:
        part.unlink()
        raise QuorateError(f"{host}: {path} became another file while it was fetched", "run it again")
    os.replace(part, to)
    atomic.sync(to.parent)
    return there


async def look(via: Transport, host: str, path: str, known: str = "") -> Fetched:
    """What a file on a host is; whose digest is known need not be read for it. Raises CommandFailed for no file."""
    digest = "" if known else f" && sha256sum <{quote(path)}"
    said = await via.run(host, f"stat -Lc %s -- {quote(path)}{digest}")
    try:
        size, *rest = said.split()
        return Fetched(int(size), known or rest[0])
    except (ValueError, IndexError):
        raise CommandFailed(f"{path} can't be read", host=host, stdout=said) from None


def _begun(part: Path, size: int) -> "tuple[hashlib._Hash, int]":
    """The digest and the length of what is here already."""
    digest, done = hashlib.sha256(), 0
    if part.exists():
        with part.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                done += len(piece)
    if done > size:
        part.unlink()
        return hashlib.sha256(), 0
    return digest, done


async def pieces(via: Transport, host: str, path: str, at: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a host's file from `at` on, up to `end` or its own end, whichever comes first."""
    while at < end:
        piece = await read(via, host, f"tail -c +{at + 1} -- {quote(path)} | head -c {min(PIECE, end - at)}")
        if not piece:
            return
        at += len(piece)
        yield piece
