"""The file of pinned host keys (known_hosts), read strictly and written whole."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import asyncssh

from quorate.core import LocalError, QuorateError
from quorate.spec.regular import content


def label(address: str, port: int) -> str:
    """How known_hosts names a server."""
    return address if port == 22 else f"[{address}]:{port}"


def read(path: Path | None) -> asyncssh.SSHKnownHosts:
    """The pinned keys; none when there is no file. Raises LocalError for a file that can't be read."""
    if path is None:
        return asyncssh.import_known_hosts("")
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        return asyncssh.import_known_hosts("")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "Repair the file, or remove it and run `quorate trust`."
        raise LocalError(f"{path}: {why}", hint) from error


@lru_cache(maxsize=8)
def _read(path: Path, mtime: int, size: int) -> asyncssh.SSHKnownHosts:
    """Parsed once per version of the file, not once per host."""
    return asyncssh.import_known_hosts(content(path).decode("utf-8"))


def pinned(known: asyncssh.SSHKnownHosts, address: str, port: int) -> tuple[asyncssh.SSHKey, ...]:
    """The keys pinned for exactly this server."""
    return tuple(known.match(address, "", None if port == 22 else port)[0])


def write(path: Path, replaced: Iterable[str], lines: Iterable[str]) -> None:
    """Put `lines` in the place of all lines for the names `replaced`; other lines stay.

    The file is replaced whole or not at all, and has mode 0600. Raises QuorateError where it can't be written.
    """
    try:
        _write(path, replaced, lines)
    except OSError as error:
        place = error.filename or path
        raise QuorateError(
            f"{path}: can't be written: {place}: {error.strerror}",
            "name a place for it in ssh.known_hosts, or run as the user who may write there; no key was pinned",
        ) from None


def _write(path: Path, replaced: Iterable[str], lines: Iterable[str]) -> None:
    names = set(replaced)
    old = content(path).decode().splitlines() if path.exists() else []
    kept = [line for line in old if not names & set(line.split(" ", 1)[0].split(","))]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name as `atomic` gives it, which sweeps the state folder.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{os.getpid()}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in [*kept, *lines]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
