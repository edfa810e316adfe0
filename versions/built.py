"""Finds programs that were built from Go modules: in a folder, or in quorate's cache."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.root import default_cache
from quorate.core import Blob

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def programs(part: str, work: Path, folder: Path | None = None, *, newest: bool = False) -> Mapping[str, Path]:
    """Folders with a part's programs, by version, the oldest first; those of the cache are unpacked below `work`.

    `folder` is laid out as `etcd-3.7.3/bin/etcd`. With `newest`, of the newest version alone.
    """
    cached = {} if folder else _cached(part)
    given = {at.parent.name.removeprefix(f"{part}-"): at for at in folder.glob(f"{part}-*/bin")} if folder else {}
    versions = sorted(given or cached, key=numbers)[-1 if newest else 0 :]
    return {each: given[each] if folder else _unpack(cached[each], work / f"{part}-{each}") for each in versions}


def numbers(version: str) -> tuple[int, ...]:
    """A version that compares."""
    return tuple(int(part) for part in version.split("."))


def _cached(part: str) -> Mapping[str, Mapping[str, Blob]]:
    """What the source `modules` has put into the cache for this machine, the latest build of each version."""
    cache = Cache(default_cache() / "artifacts")
    found: dict[str, Mapping[str, Blob]] = {}
    for path in sorted(cache.index.iterdir(), key=lambda path: path.stat().st_mtime):
        entry = json.loads(path.read_text())
        if entry["key"].startswith(f"modules {ARCH} {part} "):
            version = entry["key"].split()[3]
            blobs = {name: Blob(cache.blobs / f"{it[0]}.gz", it[0], it[1]) for name, it in entry["blobs"].items()}
            if all(blob.path.exists() for blob in blobs.values()):
                found[version] = blobs
    return found


def _unpack(blobs: Mapping[str, Blob], place: Path) -> Path:
    place.mkdir(parents=True)
    for name, blob in blobs.items():
        with (place / name).open("wb") as file:
            file.writelines(unpacked(blob))
        (place / name).chmod(0o755)
    return place
