"""Backups in a bucket of a store that speaks S3."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from quorate import atomic
from quorate.backup.places import Item
from quorate.core import QuorateError
from quorate.render.backup_places import label
from quorate.spec.sections import Place as Spec
from quorate.spec.sections import S3Place as Where
from quorate.transport.password import stored

if TYPE_CHECKING:  # names that are in its stubs alone
    from obstore import GetResult
    from obstore.store import ClientConfig, S3Credential

STALLED_AFTER, REQUEST_WITHIN = "120s", "6h"
"""Silence after which a request is given up, and how long one may take at most."""
RETRY_WITHIN = timedelta(minutes=1)
"""After so long no failed request is tried again."""


@dataclass(frozen=True)
class S3Place:
    """One bucket, and a prefix in it. An object is there whole or not at all: the store sees to it."""

    where: Where
    given: str
    """Its place in the cluster file, for messages."""
    _made: dict[str, S3Store] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Its URL."""
        return label(Spec(s3=self.where))

    async def put(self, path: Path) -> None:
        """Bring a file there, in parts where it is large."""
        with self._told():
            await obstore.put_async(self._store(), path.name, path)

    async def listing(self) -> Sequence[Item]:
        """The objects directly below the prefix."""
        with self._told():
            found = await obstore.list_with_delimiter_async(self._store())
            named = ((each["path"].rpartition("/")[2], each["size"]) for each in found["objects"])
            # Some stores have an object for a folder that was emptied, with an empty name.
            return [Item(name, size) for name, size in named if name]

    async def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of it; a store refuses a range that begins behind an empty object's end."""
        with self._told():
            return bytes(await obstore.get_range_async(self._store(), name, start=at, length=size))

    async def get(self, name: str, to: Path) -> None:
        """Bring it here."""
        with self._told():
            got = await obstore.get_async(self._store(), name)
            atomic.demand(to.parent, [got.meta["size"]])
            with atomic.replacing(to) as target:
                async for piece in _pieces(got):
                    target.write(piece)

    async def remove(self, name: str) -> None:
        """Remove it; that it is gone already is no error in S3."""
        with self._told():
            await obstore.delete_async(self._store(), name)

    def _store(self) -> S3Store:
        """The client, made once. Raises LocalError for a login or authority that can't be read."""
        if "store" not in self._made:
            id, _, secret = stored(self.where.login_file, f"{self.given}.login_file").partition(":")
            login: S3Credential = {"access_key_id": id, "secret_access_key": secret, "token": None, "expires_at": None}
            client: ClientConfig = {"connect_timeout": "15s", "read_timeout": STALLED_AFTER, "timeout": REQUEST_WITHIN}
            client["allow_http"] = self.where.endpoint.startswith("http://")
            if self.where.ca_file:
                client["root_certificate"] = self.where.ca_file.read_bytes()
            self._made["store"] = S3Store(
                self.where.bucket,
                prefix=self.where.prefix or None,
                endpoint=self.where.endpoint,
                region=self.where.region,
                # What the environment says of AWS is for other programs.
                credential_provider=lambda: login,
                client_options=client,
                retry_config={"max_retries": 3, "retry_timeout": RETRY_WITHIN},
            )
        return self._made["store"]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The library's errors as ours."""
        try:
            yield
        except (OSError, BaseError) as error:
            hint = f"check {self.given}: endpoint, bucket, login and authority"
            raise QuorateError(f"{self.name}: {reason(str(error))}", hint) from None


def reason(text: str) -> str:
    """Why a request failed: what the library tells first, and of its dump of the cause what an operator can use."""
    first, _, dump = (" ".join(part.split()) for part in text.partition("Debug source:"))
    if found := re.search(r"status code: (\d+).*?<Code>(\w+)</Code>", first):
        return f"the store answers {found[1]} ({found[2]})"
    if found := re.search(r"InvalidCertificate\( (?:\w+\( )*(\w+)", dump):
        return f"its certificate is not believed: {found[1]}"
    if found := re.search(r'message: "([^"]*)"', dump):
        return found[1]
    return first.rpartition(" - ")[2][:300]


async def _pieces(got: "GetResult") -> AsyncIterator[bytes]:
    async for piece in got.stream(min_chunk_size=2**20):
        yield bytes(piece)
