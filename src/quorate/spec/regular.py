"""Files that end: what is no file of a disk, as a FIFO, may keep a reader waiting for ever."""

import errno
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def opened(path: Path) -> BinaryIO:
    """The file, for reading. Raises OSError, also for a FIFO, a device or a socket.

    What a shell made for us (`<(...)`, /dev/stdin) is another matter: somebody writes there.
    """
    demand(path)
    return path.open("rb")


def content(path: Path) -> bytes:
    """All that is in the file. Raises OSError as `opened` does."""
    with opened(path) as file:
        return file.read()


def demand(path: Path) -> None:
    """Raise OSError when there is something that is no file and no folder; nothing at all is no matter."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return
    if kind in _KINDS and path.parts[:2] not in (("/", "dev"), ("/", "proc")):
        raise OSError(errno.EINVAL, f"it is {_KINDS[kind]}, no file", str(path))
