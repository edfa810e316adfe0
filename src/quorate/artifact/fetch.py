"""Downloads over HTTP: resumed, retried, hashed while they stream, and refused unless they are what they claim."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from quorate.artifact.cache import Cache, short
from quorate.core import ArtifactError

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Say = Callable[[str], None]

WAITS = (0.0, 0.5, 2.0, 5.0)
"""Seconds before each attempt; what fails for good (404, a wrong checksum) is not tried again."""
STALL = 30.0
"""Seconds without a byte after which a transfer counts as lost."""
CONNECT = 10.0
"""Seconds to wait for a connection."""
SMALL = 1 << 20
"""Largest file of checksums, in bytes."""
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REACH = "check this machine's network, or set artifacts.mirrors, or use artifacts.source: directory"
_CHANGED = (
    "a mirror or proxy delivers something else than upstream: try another mirror, or compare with the project's page"
)


class Lost(Exception):
    """A transfer broke off; the next attempt may go on with it."""


class Fetcher:
    """One HTTP client for many downloads into a cache; use it as `async with Fetcher(...)`."""

    def __init__(self, cache: Cache, say: Say, *, waits: tuple[float, ...] = WAITS, connect: float = CONNECT) -> None:
        self.cache = cache
        self.say = say
        self._waits = waits
        self._connect = connect
        self._slots = asyncio.Semaphore(4)

    async def __aenter__(self) -> "Fetcher":
        import httpx2

        self._client = httpx2.AsyncClient(
            follow_redirects=True,
            timeout=httpx2.Timeout(STALL, connect=self._connect),
            headers={"Accept-Encoding": "identity", "User-Agent": "quorate"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def text(self, url: str) -> str:
        """A small text, such as a file of checksums. Raises `ArtifactError`."""

        async def once() -> str:
            content = b""
            async with self._client.stream("GET", url) as reply:
                judge(url, reply)
                async for piece in reply.aiter_raw():
                    content += piece
                    if len(content) > SMALL:
                        raise ArtifactError(f"{url}: expected a file of checksums, got over {SMALL} bytes", _CHANGED)
            return content.decode(errors="replace")

        return await self._persist(url, once)

    @asynccontextmanager
    async def file(self, url: str, expected: str | None) -> AsyncIterator[tuple[Path, str]]:
        """A downloaded file, there as long as the context lasts, and its SHA-256.

        With `expected` None any content is taken: the caller must judge it. Raises `ArtifactError`.
        """
        part = self.cache.partial / f"{short(f'{url} {expected}')}.part"
        async with self._slots, self.cache.lock(part.stem, lambda: self.say(f"waiting: {url} is under way")):
            transfer = Transfer(url, part, self.say)
            resumed = await asyncio.to_thread(transfer.load)
            if not resumed or transfer.sha256 != expected:
                await self._persist(url, lambda: transfer.run(self._client))
            if resumed and expected and transfer.sha256 != expected:
                transfer.restart()
                await self._persist(url, lambda: transfer.run(self._client))
            if expected and transfer.sha256 != expected:
                part.unlink()
                raise ArtifactError(
                    f"{url}: expected SHA-256 {expected}, got {transfer.sha256} ({transfer.size} bytes)", _CHANGED
                )
            yield part, transfer.sha256
            part.unlink(missing_ok=True)

    async def _persist(self, url: str, once: Callable[[], Awaitable[T]]) -> T:
        """Try a few times, as long as what goes wrong may pass."""
        import httpx2

        reason = ""
        for wait in self._waits:
            await asyncio.sleep(wait)
            try:
                return await once()
            except Lost as lost:
                reason = str(lost)
            except httpx2.TransportError as error:
                reason = f"{type(error).__name__}: {error}".rstrip(": ")
            except httpx2.HTTPError as error:
                raise ArtifactError(f"{url}: {error}", _REACH) from error
            except httpx2.InvalidURL as error:
                raise ArtifactError(f"{url}: not a URL: {error}", "correct artifacts.mirrors") from error
        raise ArtifactError(f"{url}: {reason} ({len(self._waits)} attempts)", _REACH)


class Transfer:
    """One file on its way: what is there already, and its SHA-256 so far."""

    def __init__(self, url: str, part: Path, say: Say) -> None:
        self.url = url
        self.part = part
        self.size = 0
        self._say = say
        self._digest = hashlib.sha256()
        self._told = time.monotonic()

    @property
    def sha256(self) -> str:
        """The SHA-256 of what is there, in hexadecimal."""
        return self._digest.hexdigest()

    def load(self) -> bool:
        """Take over what an interrupted run left; whether there was any."""
        if self.part.exists():
            with self.part.open("rb") as file:
                while piece := file.read(SMALL):
                    self._digest.update(piece)
                    self.size += len(piece)
        return self.size > 0

    def restart(self) -> None:
        """Forget what is there."""
        self.part.unlink(missing_ok=True)
        self.size = 0
        self._digest = hashlib.sha256()

    async def run(self, client: "httpx2.AsyncClient") -> None:
        """Fetch what is still missing. Raises `Lost` when it breaks off, `ArtifactError` when it can't be had."""
        headers = {"Range": f"bytes={self.size}-"} if self.size else {}
        async with client.stream("GET", self.url, headers=headers) as reply:
            if reply.status_code == 416:
                self.restart()
                raise Lost("the file became shorter meanwhile")
            judge(self.url, reply)
            told = reply.headers.get("Content-Range", "")
            if self.size and not told.startswith(f"bytes {self.size}-"):
                self.restart()
                if reply.status_code == 206:
                    raise Lost("the server sent another range than asked for")
            length = reply.headers.get("Content-Length", "")
            total = self.size + int(length) if length.isdigit() else None
            with self.part.open("ab") as file:
                async for piece in reply.aiter_raw():
                    file.write(piece)
                    self._digest.update(piece)
                    self.size += len(piece)
                    self._progress(total)
        if total is not None and self.size != total:
            raise Lost(f"the transfer ended after {self.size} of {total} bytes")

    def _progress(self, total: int | None) -> None:
        if time.monotonic() - self._told >= 5:
            self._told = time.monotonic()
            of = f" of {total / 1e6:.0f}" if total else ""
            self._say(f"{self.url.rsplit('/', 1)[-1]}: {self.size / 1e6:.0f}{of} MB")


def judge(url: str, reply: "httpx2.Response") -> None:
    """Refuse an answer that can't be the file. Raises `Lost` or `ArtifactError`."""
    status = reply.status_code
    if status in _RETRY_STATUS:
        raise Lost(f"expected the file, got HTTP {status} {reply.reason_phrase}")
    if status in (404, 410):
        raise ArtifactError(
            f"{url}: expected the file, got HTTP {status} {reply.reason_phrase}",
            "the version or the mirror's layout is wrong: correct versions or artifacts.mirrors",
        )
    if status not in (200, 206):
        raise ArtifactError(f"{url}: expected the file, got HTTP {status} {reply.reason_phrase}", _REACH)
    if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise ArtifactError(
            f"{url}: expected the file, got an HTML page",
            "a proxy, portal or mirror answers with a page of its own: correct artifacts.mirrors or the proxy settings",
        )
