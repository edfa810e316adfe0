"""Pinned checksums, for files whose publisher gives none: `artifacts.lock` in the cache folder.

Docker's static builds and age's come without a checksum. The first download over HTTPS is trusted and written down;
later ones must be the same. Over plain HTTP nothing is trusted: the line must be there before. The file has
the form of `sha256sum`, with URLs for names, and may be carried to other machines.
"""

from pathlib import Path

from quorate.artifact.cache import Cache
from quorate.core import ArtifactError


def _path(cache: Cache) -> Path:
    return cache.root / "artifacts.lock"


def pinned(cache: Cache, url: str) -> str | None:
    """The pinned SHA-256 of a URL; None when its first download may be trusted. Raises `ArtifactError`."""
    path = _path(cache)
    if path.exists():
        for line in path.read_text().splitlines():
            digest, _, name = line.partition("  ")
            if name == url:
                return digest
    if not url.startswith("https://"):
        raise ArtifactError(
            f"{url}: its publisher gives no checksum, and plain HTTP proves nothing",
            f"use an https mirror, or write a line `<sha256>  {url}` into {path}",
        )
    return None


def pin(cache: Cache, url: str, digest: str) -> None:
    """Write down the SHA-256 of a first download."""
    with _path(cache).open("a") as file:
        file.write(f"{digest}  {url}\n")
