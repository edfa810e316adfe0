"""Files written whole or not at all: a temporary name in the same folder, synced, renamed."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes, *, mode: int = 0o600, new: bool = False, sync_folder: bool = True) -> None:
    """Write a file; a reader sees the old content or the new one, also after a power cut.

    `new`: the file must not exist. `sync_folder` False leaves the folder's sync to the caller, who has
    more to write. Raises OSError; FileExistsError for `new`. The folder must exist.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
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


def sync(folder: Path) -> None:
    """Make the folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
