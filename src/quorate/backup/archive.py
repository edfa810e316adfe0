"""A backup as one file: a plain tar of sealed members, written whole or not at all, and read back with every digest.

```
manifest.json   in clear
identity.age    the private key, locked with the passphrase; not in every set
state.age       the sealed state folder, as the copies on etcd hosts
config.age      a sealed tar of the host's configuration
names.age       a sealed list of all objects' names
snapshot.age    the sealed snapshot of etcd
SHA256SUMS      of those before it; a set without it, or with another content, is not whole
```
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from quorate import atomic
from quorate.backup.manifest import FIX, Manifest
from quorate.backup.names import Names
from quorate.core import QuorateError
from quorate.state import age
from quorate.state.bundle import Bundle, unpack
from quorate.state.opener import Opener

MANIFEST, IDENTITY, STATE, CONFIG, NAMES, SNAPSHOT, SUMS = MEMBERS = (
    *("manifest.json", "identity.age", "state.age", "config.age", "names.age", "snapshot.age", "SHA256SUMS"),
)
SUFFIX = ".backup"
NAME = re.compile(r"(?P<cluster>[a-z0-9-]{1,63})-(?P<time>\d{8}T\d{6}Z)-[0-9a-f]{8}")
"""Name of a set, without its suffix."""
END = 16 * 1024
"""Bytes at the end of a set that have its SHA256SUMS, however it is padded."""
SMALL = 2**20
"""Bytes at most of the manifest and the sums."""
PIECE = 2**20

Part = tuple[str, Callable[[BinaryIO], object]]
"""Name of a member, and what writes its content into an open file."""


def write(path: Path, parts: Sequence[Part]) -> str:
    """Write a set of these members; its digest, that of SHA256SUMS, is returned.

    It is there whole or not at all. Raises OSError for the disk, and whatever a part raises. The folder must exist.
    """
    with atomic.replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        sums = "".join(f"{_add(tar, file, name, fill)}  {name}\n" for name, fill in parts).encode()
        _add(tar, file, SUMS, lambda out: out.write(sums))
    return hashlib.sha256(sums).hexdigest()


def _add(tar: tarfile.TarFile, file: BinaryIO, name: str, fill: Callable[[BinaryIO], object]) -> str:
    """Append a member of unknown length; the header is written when that is known. Its SHA-256 is returned."""
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    head = file.tell()
    file.write(info.tobuf(tar.format))
    begin = file.tell()
    out = _Summed(file)
    fill(out)  # type: ignore[arg-type]
    info.size = file.tell() - begin
    file.write(b"\0" * (-info.size % tarfile.BLOCKSIZE))
    end = file.tell()
    file.seek(head)
    file.write(info.tobuf(tar.format))
    file.seek(end)
    tar.offset = end
    return out.digest.hexdigest()


class _Summed:
    """A file that is written to, and the digest of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write a piece."""
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """The whole file is flushed in the end."""


@dataclass(frozen=True)
class Whole:
    """A set whose every member was read and is as SHA256SUMS says. Nothing in it is opened yet."""

    path: Path
    digest: str
    """SHA-256 of SHA256SUMS: of everything in the set."""
    manifest: Manifest
    members: tuple[str, ...]

    @property
    def name(self) -> str:
        """For messages."""
        return self.path.name.removesuffix(SUFFIX)

    @contextmanager
    def reading(self, member: str) -> Iterator[IO[bytes]]:
        """A member, as it lies in the set. Raises QuorateError when it can't be read any more."""
        with _tar(self.path) as tar:
            content = tar.extractfile(member)
            assert content is not None
            yield content

    def bytes_of(self, member: str) -> bytes:
        """A small member."""
        with self.reading(member) as file:
            return file.read()


def digest_at_end(end: bytes) -> str:
    """The digest of a set of which these are the last bytes, at most END; empty where they are not the end of one."""
    for at in range(len(end) - tarfile.BLOCKSIZE, -1, -tarfile.BLOCKSIZE):
        head, content = end[at : at + tarfile.BLOCKSIZE], end[at + tarfile.BLOCKSIZE :]
        if head.startswith(f"{SUMS}\0".encode()):
            with suppress(tarfile.HeaderError):
                size = tarfile.TarInfo.frombuf(head, "ascii", "strict").size
                return hashlib.sha256(content[:size]).hexdigest() if 0 < size <= len(content) else ""
    return ""


def check(path: Path) -> Whole:
    """Read a whole set. Raises QuorateError for one that is cut off, changed, or no set at all."""
    name = path.name
    found: dict[str, str] = {}
    small: dict[str, bytes] = {}
    with _tar(path) as tar:
        length = path.stat().st_size
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            if content is None or info.name not in MEMBERS or info.name in found:
                raise QuorateError(f"{name}: {info.name!a} does not belong into a backup", FIX)
            if info.offset_data + info.size > length:
                there = max(0, length - info.offset_data)
                raise QuorateError(f"{name}: {info.name} is cut off: {there} of its {info.size} bytes are there", FIX)
            digest = hashlib.sha256()
            if info.name in (MANIFEST, SUMS):
                if info.size > SMALL:
                    raise QuorateError(f"{name}: {info.name} has {info.size} bytes, more than {SMALL}", FIX)
                small[info.name] = content.read()
                digest.update(small[info.name])
            else:
                while piece := content.read(PIECE):
                    digest.update(piece)
            found[info.name] = digest.hexdigest()
    return _judged(path, found, small)


def _judged(path: Path, found: dict[str, str], small: dict[str, bytes]) -> Whole:
    name = path.name
    order = [member for member in MEMBERS if member in found]
    if lost := [member for member in MEMBERS if member not in found and member != IDENTITY]:
        why = ": it was cut off, or never finished" if SUMS in lost else ""
        raise QuorateError(f"{name}: {', '.join(lost)} is missing{why}", FIX)
    sums = "".join(f"{found[member]}  {member}\n" for member in order if member != SUMS).encode()
    if list(found) != order or small[SUMS] != sums:
        told = small[SUMS].decode("ascii", "replace").splitlines()
        wrong = next((line[66:] for line in sums.decode().splitlines() if line not in told), SUMS)
        raise QuorateError(f"{name}: {wrong} is not as it was written: its SHA-256 is not that of SHA256SUMS", FIX)
    manifest = Manifest.from_json(small[MANIFEST], name)
    return Whole(path, hashlib.sha256(sums).hexdigest(), manifest, tuple(found))


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise QuorateError(f"{path.name}: is not a whole backup: {error}", FIX) from None
    except OSError as error:
        raise QuorateError(
            f"{path}: can't be read: {error.strerror or error}", "name a file of `quorate backup`"
        ) from None


@dataclass(frozen=True)
class OpenedSet:
    """A set that was opened with a private key and fits together."""

    whole: Whole
    bundle: Bundle
    """The state folder, as it was then."""
    sequence: int
    keys: Sequence[age.Identity]

    @property
    def manifest(self) -> Manifest:
        """What the set says of itself."""
        return self.whole.manifest

    def snapshot_in(self, folder: Path) -> Path:
        """Put the plain snapshot into a folder that nobody else reads; `snapshot.db` there, its digest compared."""
        to = self._plain(SNAPSHOT, folder / "snapshot.db")
        with to.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.manifest.etcd.sha256:
            to.unlink()
            raise QuorateError(
                f"{self.whole.name}: the snapshot in it is not the one of its manifest: SHA-256 {found}, not "
                f"{self.manifest.etcd.sha256}",
                FIX,
            )
        return to

    def names(self) -> Names:
        """The names of all objects in it. Raises QuorateError when they can't be read."""
        what = f"{NAMES} of {self.whole.name}"
        return Names.read(age.unseal(self.whole.bytes_of(NAMES), self.keys, what), what)

    def config_in(self, folder: Path) -> Path:
        """Put the tar of the host's configuration there, as `config.tar`."""
        return self._plain(CONFIG, folder / "config.tar")

    def _plain(self, member: str, to: Path) -> Path:
        atomic.demand(to.parent, [self.manifest.etcd.size if member == SNAPSHOT else 0])
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as plain:
            with self.whole.reading(member) as sealed:
                age.unseal_stream(sealed, plain, self.keys, f"{member} of {self.whole.name}")  # type: ignore[arg-type]
        return to


def open_set(path: Path, opener: Opener) -> OpenedSet:
    """Check a set and open what is small in it.

    Raises QuorateError for one that is not whole, does not open, or whose parts are of different clusters.
    """
    whole = check(path)
    locked = whole.bytes_of(IDENTITY) if IDENTITY in whole.members else None
    keys = opener.keys(locked, whole.name)
    what = f"{STATE} of {whole.name}"
    bundle, sequence = unpack(age.unseal(whole.bytes_of(STATE), keys, what), what)
    if bundle.cluster != whole.manifest.cluster:
        raise QuorateError(
            f"{whole.name}: its state folder is of the cluster {bundle.cluster}, its manifest of "
            f"{whole.manifest.cluster}",
            FIX,
        )
    told = whole.manifest.state
    if (told.sequence, told.digest) != (sequence, bundle.digest):
        raise QuorateError(f"{whole.name}: the state folder in it is not the one of its manifest", FIX)
    return OpenedSet(whole, bundle, sequence, keys)
