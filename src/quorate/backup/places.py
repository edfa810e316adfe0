"""What a place that keeps backups can do, and the simplest of them, a folder."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quorate import atomic
from quorate.backup import archive, proof
from quorate.core import QuorateError
from quorate.spec.cluster import Cluster

_OURS = re.compile(f"{archive.NAME.pattern}({re.escape(archive.SUFFIX)}|{re.escape(proof.SUFFIX)})")
"""Names of sets and their proofs."""


@dataclass(frozen=True)
class Item:
    """A file at a place."""

    name: str
    size: int


class Place(Protocol):
    """Keeps files by name: sets and their proofs. Each is there whole or not at all.

    All of it raises QuorateError, which names the place and what to do.
    """

    @property
    def name(self) -> str:
        """For readers, such as `/srv/backups` or `s3://bucket/prefix`."""
        ...

    async def put(self, path: Path) -> None:
        """Keep a file of this machine under its name; one of that name is replaced."""
        ...

    async def listing(self) -> Sequence[Item]:
        """The files that are there."""
        ...

    async def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of a file, from the one at `at`: so many, or as many as there are."""
        ...

    async def get(self, name: str, to: Path) -> None:
        """Bring a file to this machine, to a path of which nobody else reads the folder."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


@dataclass(frozen=True)
class FolderPlace:
    """A folder of this machine."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folder)

    async def put(self, path: Path) -> None:
        """Copy it there; what lies there already stays."""
        to = self.folder / path.name
        try:
            ready(self.folder)
            if to.exists() and to.samefile(path):
                return
            atomic.demand(self.folder, [path.stat().st_size])
            with path.open("rb") as source, atomic.replacing(to) as target:
                shutil.copyfileobj(source, target, 2**20)
        except OSError as error:
            raise self._failed(error) from None

    async def listing(self) -> Sequence[Item]:
        """What lies there, temporary files left out; nothing where there is no folder yet."""
        try:
            found = [each for each in self.folder.iterdir() if each.is_file() and not each.name.startswith(".")]
            return [Item(each.name, each.stat().st_size) for each in sorted(found)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(error) from None

    async def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of it."""
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(at)
                return file.read(size)
        except OSError as error:
            raise self._failed(error) from None

    async def get(self, name: str, to: Path) -> None:
        """Copy it from there."""
        try:
            with (self.folder / name).open("rb") as source, atomic.replacing(to) as target:
                shutil.copyfileobj(source, target, 2**20)
        except OSError as error:
            raise self._failed(error) from None

    async def remove(self, name: str) -> None:
        """Remove it."""
        try:
            (self.folder / name).unlink(missing_ok=True)
            atomic.sync(self.folder)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> QuorateError:
        place = error.filename or self.folder
        return QuorateError(f"{place}: can't be used: {error.strerror or error}", "check the folder and the disk")


def ready(folder: Path) -> None:
    """Make a folder for backups, without what runs that were killed have left of them there. Raises OSError."""
    atomic.make_folder(folder)
    atomic.sweep_named(folder, _OURS)


def default_folder(file: Path) -> Path:
    """Where backups lie when nothing else is said: beside the cluster file."""
    return file.absolute().parent / "backups"


def local_folder(cluster: Cluster, file: Path, to: Path | None) -> Path:
    """Where a backup is made: the folder that was named, the first of the file's, or the default."""
    named = [place.folder for place in cluster.backup.places if place.folder is not None]
    return to.absolute() if to is not None else named[0] if named else default_folder(file)
