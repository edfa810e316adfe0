"""Backups in a folder of another host, by SFTP: it needs no shell there, so an account may be closed to all else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from quorate import atomic
from quorate.backup.places import Item
from quorate.backup.retention import stale
from quorate.core import QuorateError
from quorate.render.backup_places import label
from quorate.spec.sections import Place as Spec
from quorate.spec.sections import SshPlace as Where
from quorate.transport.password import private

if TYPE_CHECKING:
    from asyncssh import SFTPClient

PIECE = 2**20


@dataclass(frozen=True)
class SshPlace:
    """One folder. It is no host of the cluster, so it has its own key and its own pinned host keys."""

    where: Where
    given: str
    """Its place in the cluster file, for messages."""

    @property
    def name(self) -> str:
        """Its URL."""
        return label(Spec(ssh=self.where))

    async def put(self, path: Path) -> None:
        """Bring a file there, under another name until it is whole and written through."""
        from asyncssh import SFTPNoSuchFile, SFTPOpUnsupported

        part = f".{path.name}.part"
        async with self._there() as sftp:
            if not await sftp.exists(self.where.path):
                await sftp.mkdir(self.where.path)
            for left in stale(map(str, await sftp.listdir(self.where.path)), datetime.now(UTC)):
                with suppress(SFTPNoSuchFile):
                    await sftp.remove(self._at(left))
            async with sftp.open(self._at(part), "wb") as target:
                with path.open("rb") as source:
                    while piece := source.read(PIECE):
                        await target.write(piece)
                with suppress(SFTPOpUnsupported):
                    await target.fsync()
            await sftp.posix_rename(self._at(part), self._at(path.name))

    async def listing(self) -> Sequence[Item]:
        """The files that are there; none where there is no folder yet."""
        async with self._there() as sftp:
            if not await sftp.exists(self.where.path):
                return []
            found = await sftp.readdir(self.where.path)
            return [Item(str(each.filename), each.attrs.size or 0) for each in found if str(each.filename)[0] != "."]

    async def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of it."""
        async with self._there() as sftp, sftp.open(self._at(name), "rb") as file:
            return _bytes(await file.read(size, at))

    async def get(self, name: str, to: Path) -> None:
        """Bring it here."""
        async with self._there() as sftp:
            atomic.demand(to.parent, [(await sftp.stat(self._at(name))).size or 0])
            async with sftp.open(self._at(name), "rb") as source:
                with atomic.replacing(to) as target:
                    while piece := _bytes(await source.read(PIECE)):
                        target.write(piece)

    async def remove(self, name: str) -> None:
        """Remove it, if it is there."""
        from asyncssh import SFTPNoSuchFile

        async with self._there() as sftp:
            with suppress(SFTPNoSuchFile):
                await sftp.remove(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self.where.path}/{name}"

    @asynccontextmanager
    async def _there(self) -> "AsyncIterator[SFTPClient]":
        """A connection. Raises QuorateError, and LocalError for a key that can't be used."""
        import asyncssh

        where = self.where
        key = private(where.key, f"{self.given}.key")
        try:
            known = asyncssh.read_known_hosts(str(where.known_hosts))
            async with asyncssh.connect(
                where.host,
                where.port,
                username=where.user,
                client_keys=[asyncssh.import_private_key(key)],
                known_hosts=known,
                # Nothing of the operator's own settings, agent or logins.
                config=None,
                agent_path=None,
                password=None,
                connect_timeout=15,
                login_timeout=15,
                keepalive_interval=15,
            ) as connection:
                async with connection.start_sftp_client() as sftp:
                    yield sftp
        except (OSError, asyncssh.Error, ValueError) as error:
            raise QuorateError(
                f"{self.name}: {error}", f"check {self.given}: host, user, path, key and known_hosts"
            ) from None


def _bytes(read: str | bytes) -> bytes:
    """What was read from a file that was opened for bytes."""
    assert isinstance(read, bytes)
    return read
