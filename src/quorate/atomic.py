"""Files written whole or not at all: a temporary name in the same folder, synced, renamed."""

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from quorate.core import QuorateError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a disk without room answers."""
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[^.]+\.tmp")
"""A temporary name, with the pid of who writes it: .NAME.PID-RANDOM.tmp."""


def write(path: Path, content: bytes, *, mode: int = 0o600, new: bool = False, sync_folder: bool = True) -> None:
    """Write a file; a reader sees the old content or the new one, also after a power cut.

    `new`: the file must not exist. `sync_folder` False leaves the folder's sync to the caller, who has
    more to write. Raises OSError; FileExistsError for `new`. The folder must exist.
    """
    with replacing(path, mode=mode, new=new, sync_folder=sync_folder) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, new: bool = False, sync_folder: bool = True) -> Iterator[BinaryIO]:
    """The same for a file that is written piece by piece: it has its name when the block ends, without an error."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.{os.getpid()}-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    if sync_folder:
        sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, with those above it; it is there after a power cut, too. Raises OSError."""
    new = [each for each in (folder, *folder.absolute().parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in reversed(new):
        sync(each.parent)


def sync(folder: Path) -> None:
    """Make the folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what runs that were killed have left under temporary names, in the folder and below."""
    _sweep(folder.rglob(".*.tmp"))


def sweep_beside(path: Path) -> None:
    """Remove what runs that were killed have left of one file, in a folder that is not ours."""
    sweep_named(path.parent, re.compile(re.escape(path.name)))


def sweep_named(folder: Path, named: re.Pattern[str]) -> None:
    """The same for all files of such names."""
    _sweep(folder.glob(".*.tmp"), named)


def _sweep(found: Iterable[Path], named: re.Pattern[str] = re.compile(".+")) -> None:
    for path in found:
        left = _TEMPORARY.fullmatch(path.name)
        if left and named.fullmatch(left["name"]) and not Path("/proc", left["pid"]).exists():
            path.unlink(missing_ok=True)


def free(place: Path) -> int:
    """Bytes that this process may still write where the place is, or will be."""
    room = os.statvfs(_existing(place))
    return room.f_frsize * (room.f_bfree if os.geteuid() == 0 else room.f_bavail)


def _existing(place: Path) -> Path:
    return next(each for each in (place, *place.absolute().parents) if each.exists())


def demand(place: Path, sizes: Iterable[int]) -> None:
    """Refuse to begin when files of these sizes do not fit. Raises QuorateError."""
    block = 4096
    needed = sum(-(-size // block) * block for size in sizes)
    room = os.statvfs(_existing(place))
    if room.f_blocks and free(place) < needed:  # some file systems do not count
        raise no_room(place, needed)


def unreadable(path: Path, error: OSError) -> QuorateError:
    """The error for a file of the state folder that is there and can't be read."""
    foreign = error.errno in (errno.EACCES, errno.EPERM)
    fix = "run as the user who owns the state folder" if foreign else "move away what is there, or put back a backup"
    return QuorateError(f"{path}: can't be read: {error.strerror}", fix)


def no_room(place: Path, needed: int) -> QuorateError:
    """The error for a disk that is full."""
    return QuorateError(
        f"{place}: {os.strerror(errno.ENOSPC)}: {needed} bytes are needed, {free(place)} are free",
        "make room there, then run the same command again",
    )
