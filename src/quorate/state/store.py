"""The state folder beside the cluster file: keys, subnets, the last applied file, the journal.

```
.quorate/.gitignore               keeps all of it out of git
.quorate/<cluster>/pki/           <id>.crt, <id>.key, sa.pub
.quorate/<cluster>/random/        encryption-key, etcd-token
                                  and old keys in both, see `pki.old_keys`
.quorate/<cluster>/allocations.json, journal.jsonl, and what `past` keeps
```

Folders are 0700 and files 0600. Nothing in it is ever removed.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

from quorate import atomic
from quorate.core import QuorateError
from quorate.pki import old_keys
from quorate.pki.keyring import RANDOM, Keyring, pem_ids
from quorate.pki.profiles import certificates
from quorate.spec import regular
from quorate.spec.cluster import Cluster
from quorate.spec.logins import without_logins
from quorate.spec.secrets import ENCRYPTION_KEY, OldKeys, Secrets
from quorate.state.subnets import Subnets, allocate

RESERVE = 256 * 1024
"""Bytes that must be free besides: a run's journal, 150 bytes a step, and the notes of `past`."""


class Store:
    """One cluster's state folder.

    `changes` says what `secrets` made and why; `warnings` what will need the operator. What is made but not
    yet written is kept in memory, so that `apply` uses the keys whose digests the plan has shown.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes: list[str] = []
        self.warnings: list[str] = []
        self._pending: dict[Path, bytes] = {}
        self._new: set[Path] = set()

    @classmethod
    def beside(cls, cluster_file: Path, name: str) -> Self:
        """The state folder of the cluster of that name, beside its file."""
        return cls(cluster_file.absolute().parent / ".quorate" / name)

    def secrets(self, cluster: Cluster, now: datetime, *, persist: bool, old: OldKeys | None = None) -> Secrets:
        """All keys and certificates, those that are missing or do not fit made anew. `old` are further keys to read and
        verify with, kept from now on.

        With `persist` False nothing is written; `keep` writes it later. `now` has a time zone. Raises
        QuorateError, with file and fix, for a file that can't be used or that others may read.
        """
        brought = old_keys.files(old or OldKeys())
        kept = [*(self.path / "pki").glob("sa.*"), *(self.path / "random").glob(f"{ENCRYPTION_KEY}.*"), *self._pending]
        ids = [*RANDOM, *pem_ids(certificates(cluster)), *old_keys.ids({*(path.name for path in kept), *brought})]
        if not self._pending:
            self.changes = []
        self._guard()
        places = {id: self._place(id) for id in ids}
        found = self._found(places)
        for id in brought.keys() - found.keys():
            self._make(places[id], brought[id])
        keyring = Keyring(cluster, {**brought, **found}, now, lambda id: str(places[id]))
        secrets = keyring.complete()
        self.changes += keyring.changes
        self.warnings = keyring.warnings
        for id, content in keyring.made.items():
            self._make(places[id], content)
        if persist:
            self.keep()
        return secrets

    def allocations(self, cluster: Cluster, *, persist: bool) -> Mapping[str, str]:
        """Each worker's part of the pod network, by host name; see `subnets.allocate`."""
        path = self.path / "allocations.json"
        text = self._pending.get(path) or self.read(path)
        try:
            kept = _subnets(json.loads(text)) if text is not None else Subnets({}, {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise QuorateError(
                f"{path}: is damaged", "put it back from a backup; it says which node has which pod subnet"
            ) from None
        now = allocate(cluster, kept)
        # Order counts too: it says who left first.
        content = json.dumps({"given": dict(now.given), "left": dict(now.left)}, indent=2) + "\n"
        if content.encode() != text:
            self._make(path, content.encode())
        if persist:
            self.keep()
        return now.given

    def once(self, path: Path, make: Callable[[], bytes]) -> bytes:
        """A secret of the folder, made when there is none; `keep` writes it."""
        content = self._pending.get(path) or self.read(path, private=True)
        if content is None:
            content = make()
            self._make(path, content)
        return content

    def keep(self) -> None:
        """Write what was made since the last time; does nothing when that is nothing.

        Raises QuorateError when it can't be written, before anything is when there is no room for all of it, or
        when another run made the same meanwhile.
        """
        pending, new = self._pending, self._new
        atomic.demand(self.path, [*(len(content) for content in pending.values()), RESERVE])
        if not pending:
            return
        self._pending, self._new = {}, set()
        folders = dict.fromkeys(path.parent for path in pending)
        with self._writing(sum(len(content) for content in pending.values())):
            self._open(folders)
            atomic.sweep(self.path)
            for path, content in pending.items():
                try:
                    atomic.write(path, content, new=path in new, sync_folder=False)
                except FileExistsError:
                    raise QuorateError(
                        f"{path}: another run made it meanwhile",
                        "run the command again: it will use what is there",
                    ) from None
            for folder in folders:
                atomic.sync(folder)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of the folder, whole or not at all."""
        with self._writing(len(content)):
            self._open((path.parent,))
            atomic.sweep(path.parent)
            atomic.write(path, content)

    def retire(self, hosts: Iterable[str]) -> None:
        """Lay the keys and certificates of hosts aside, in `retired`; a host of that name gets new ones."""
        folder = self.path / "retired"
        for host in hosts:
            with self._writing():
                self._open((folder,))
                for path in (self.path / "pki").glob(f"*@{host}.*"):
                    os.replace(path, folder / path.name)

    def journal(self, entry: Mapping[str, object], *, sync: bool = False) -> None:
        """Append one entry, as a JSON line; who writes it sees to it that no secret is in it.

        A line that a crash has cut off before is ended first. `sync`: it is on the disk when this returns.
        """
        line = f"{without_logins(json.dumps(entry, default=str))}\n".encode()
        path = self.path / "journal.jsonl"
        with self._writing(len(line)):
            self._open(())
            regular.demand(path)
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                if sync:
                    os.fsync(handle)
            finally:
                os.close(handle)

    def confidential(self) -> Iterator[str]:
        """The text of every secret in the folder, for who has to keep them out of something. Raises QuorateError."""
        for pattern in ("pki/*.key", "retired/*.key", "random/*", "copy/identity"):
            for path in sorted(self.path.glob(pattern)):
                if content := self.read(path):
                    text = content.decode("utf-8", "replace").strip()
                    # A private key of age has comments before it.
                    yield text.splitlines()[-1] if path.parent.name == "copy" else text

    def _place(self, id: str) -> Path:
        return self.path / ("random" if id in RANDOM or id.startswith(f"{ENCRYPTION_KEY}.") else "pki") / id

    def _make(self, path: Path, content: bytes) -> None:
        """Remember what to write; what does not exist yet must not exist then either."""
        self._pending[path] = content
        if not path.exists():
            self._new.add(path)

    def _guard(self) -> None:
        """Refuse folders in which others could exchange a key for theirs."""
        for folder in (self.path, self.path / "pki", self.path / "random"):
            if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o022:
                raise QuorateError(f"{folder}: others can write to it", f"chmod 700 {folder}")

    def _found(self, places: Mapping[str, Path]) -> dict[str, bytes]:
        """Content of those that exist or are about to; keys must be closed to others."""
        found = {}
        for id, path in places.items():
            content = self.read(path, private=not id.endswith((".crt", ".pub")))
            content = self._pending.get(path, content)
            if content is not None:
                found[id] = content
        return found

    def read(self, path: Path, *, private: bool = False) -> bytes | None:
        """Content of a file, None when there is none."""
        try:
            with regular.opened(path) as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if private and mode & 0o077:
                    raise QuorateError(
                        f"{path}: others can read it (mode {mode:04o})",
                        f"chmod 600 {path}, and if others had access take the key as known to them",
                    )
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise atomic.unreadable(path, error) from None

    @contextmanager
    def _writing(self, needed: int = 0) -> Iterator[None]:
        """Tell what went wrong in our words; `needed` are the bytes that are about to be written."""
        try:
            yield
        except OSError as error:
            if error.errno in atomic.FULL:
                raise atomic.no_room(Path(error.filename or self.path), needed) from None
            raise QuorateError(
                f"{error.filename or self.path}: can't be written: {error.strerror}",
                "check the folder's owner and the disk",
            ) from None

    def _open(self, folders: Iterable[Path]) -> None:
        """Make the folders, closed to others, and keep them out of git."""
        for folder in (self.path.parent, self.path, *folders):
            folder.mkdir(mode=0o700, exist_ok=True)
            if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                folder.chmod(0o700)
        ignore = self.path.parent / ".gitignore"
        if not ignore.exists():
            atomic.write(ignore, b"*\n")


def _subnets(data: object) -> Subnets:
    """Check what was read. Raises TypeError, KeyError or ValueError."""
    if not isinstance(data, dict):
        raise TypeError
    given, left = ({str(k): str(IPv4Network(v)) for k, v in data[part].items()} for part in ("given", "left"))
    return Subnets(given, left)
