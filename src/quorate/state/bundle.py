"""All that must not be lost, as one archive: the state folder, the cluster file, and files that it names.

```
manifest.json      format, cluster, number, digest, name of the cluster file, order of `begun`
cluster.yaml       the cluster file
state/...          the state folder
beside/...         files named in the cluster file: from its folder, or in `files` from elsewhere
```

The digest is that of the archive without manifest and journal: equal when nothing was changed in between. Names are
matched against a list, and nothing is unpacked by tar itself, so no archive can write where it should not.
"""

import gzip
import hashlib
import io
import json
import re
import stat
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from quorate.core import QuorateError
from quorate.spec.cluster import Cluster
from quorate.state.age import DAMAGED

FORMAT = 1
LIMIT = 256 * 2**20
"""Bytes of an archive, unpacked, at which reading it ends: 512 hosts have about 8 MB."""
JOURNAL_LIMIT = 2**20
"""Bytes of the journal, its end, that go into an archive."""
MANIFEST, FILE = "manifest.json", "cluster.yaml"
JOURNAL, KNOWN_HOSTS = "state/journal.jsonl", "state/known_hosts"
FOLDERS = ("pki", "random", "begun", "behind", "former", "retired", "copy")
FILES = (
    *("allocations.json", "endpoints", "journal.jsonl", "known_hosts", "last-applied.yaml", "machines.json"),
    *("releases.json", "operation.json", "without"),
)
"""The state folder's folders and files. Not in it: `ssh.yaml`, which is about one machine, and `copy/last`."""
LAST = "last"
_NAME = r"[A-Za-z0-9][A-Za-z0-9@._-]*"
_STATE = re.compile(rf"state/((?:{'|'.join(FOLDERS)})/{_NAME}|{'|'.join(map(re.escape, FILES))})")


@dataclass(frozen=True)
class Entry:
    """One file."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Bundle:
    """An archive's content."""

    cluster: str
    file: str
    """Name of the cluster file."""
    entries: Mapping[str, Entry]
    begun: tuple[str, ...] = ()
    """Names in `begun`, oldest first."""

    @property
    def digest(self) -> str:
        """SHA-256 of all but the journal."""
        content = {name: entry for name, entry in self.entries.items() if name != JOURNAL}
        told = json.dumps([self.cluster, self.file, self.begun]).encode()
        return hashlib.sha256(tar({MANIFEST: Entry(told, 0o600), **content})).hexdigest()

    def pack(self, sequence: int) -> bytes:
        """The archive, gzipped."""
        told = {
            "format": FORMAT,
            "cluster": self.cluster,
            "sequence": sequence,
            "digest": self.digest,
            "file": self.file,
            "begun": list(self.begun),
        }
        manifest = Entry(json.dumps(told).encode(), 0o600)
        return gzip.compress(tar({MANIFEST: manifest, **self.entries}), mtime=0)


def tar(entries: Mapping[str, Entry]) -> bytes:
    """The same bytes for the same entries: sorted, without times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, entry in sorted(entries.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(entry.content), entry.mode
            archive.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def gather(state: Path, cluster: Cluster, file: Path, text: str) -> Bundle:
    """What lies in a state folder and beside it now. Raises QuorateError for what can't be read."""
    entries = {FILE: Entry(text.encode(), _mode(file))}
    try:
        for path in sorted(state.rglob("*")):
            name = f"state/{path.relative_to(state)}"
            if _state(name) and path.is_file() and not path.is_symlink():
                entries[name] = Entry(tail(path.read_bytes()) if name == JOURNAL else path.read_bytes(), 0o600)
        begun = sorted((state / "begun").glob("*.yaml"), key=lambda path: path.stat().st_mtime_ns)
        for path in _named(cluster):
            entries[f"beside/{_place(path, file.absolute().parent)}"] = Entry(path.read_bytes(), _mode(path))
    except OSError as error:
        raise QuorateError(
            f"{error.filename}: can't be read: {error.strerror}", "run as the user who owns the state folder"
        ) from None
    name = file.name if re.fullmatch(_NAME, file.name) else FILE
    return Bundle(cluster.name, name, entries, tuple(path.name for path in begun))


def _state(name: str) -> bool:
    """Whether it is one of the state folder's files, and not a temporary one or this machine's own."""
    return bool(_STATE.fullmatch(name)) and name != f"state/copy/{LAST}"


def _named(cluster: Cluster) -> list[Path]:
    """Files that become part of the cluster. Keys, passwords and logins stay where they are."""
    found = [cluster.apiserver.audit_policy] if cluster.apiserver.audit_policy else []
    found += [access.ca_file for access in cluster.runtime.registry_access.values() if access.ca_file]
    manifest = cluster.network.manifest if cluster.network.cni == "manifest" else None
    return [*found, *([Path(manifest)] if manifest and "://" not in manifest else [])]


def _place(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder) and ".." not in path.parts
    return str(path.relative_to(folder)) if inside else f"files/{path.name}"


def _mode(path: Path) -> int:
    """As it is, but writable for its owner and nobody else."""
    return stat.S_IMODE(path.stat().st_mode) & 0o755 | 0o600


def tail(journal: bytes) -> bytes:
    """The last whole lines."""
    if len(journal) <= JOURNAL_LIMIT:
        return journal
    return journal[-JOURNAL_LIMIT:].partition(b"\n")[2]


def unpack(data: bytes, what: str) -> tuple[Bundle, int]:
    """An archive's content and its number. Raises QuorateError for one that is not as `pack` makes it."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(LIMIT + 1)
        if len(plain) > LIMIT:
            raise ValueError(f"more than {LIMIT} bytes")
        entries = _entries(plain)
        told: dict[str, Any] = json.loads(entries.pop(MANIFEST).content)
        if told["format"] != FORMAT:
            raise QuorateError(f"{what} has format {told['format']}", "use a newer quorate")
        bundle = Bundle(str(told["cluster"]), str(told["file"]), entries, tuple(map(str, told["begun"])))
        names = [bundle.file, bundle.cluster, *bundle.begun]
        if FILE not in entries or bundle.digest != told["digest"] or not all(re.fullmatch(_NAME, n) for n in names):
            raise ValueError("its parts do not fit together")
        return bundle, int(told["sequence"])
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, LookupError, TypeError) as error:
        raise QuorateError(f"{what} is damaged: {error}", DAMAGED) from None


def _entries(plain: bytes) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
        for info in tar:
            if not info.isreg() or not allowed(info.name) or info.name in found:
                raise ValueError(f"{info.name!a} does not belong there")
            content = tar.extractfile(info)
            assert content is not None
            private = info.name.startswith("state/")
            found[info.name] = Entry(content.read(), 0o600 if private else info.mode & 0o755 | 0o600)
    return found


def allowed(name: str) -> bool:
    """Whether an archive may hold a file of that name."""
    if name in (MANIFEST, FILE) or _state(name):
        return True
    parts = PurePosixPath(name).parts
    plain = name.isprintable() and "\\" not in name and str(PurePosixPath(name)) == name
    return plain and len(parts) > 1 and parts[0] == "beside" and not {"..", ".", ".quorate"} & set(parts)
