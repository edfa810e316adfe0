"""Image archives: which references a `docker save` or OCI tar holds."""

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quorate.artifact.cache import Cache, Entry, copy_unzipped
from quorate.core import ArtifactError, Blob

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""Annotations of an OCI index that carry the reference."""


async def archives(cache: Cache, paths: Sequence[Path]) -> dict[str, Blob]:
    """Archives by each reference in them; a gzipped one is unpacked. Raises `ArtifactError`."""
    images: dict[str, Blob] = {}
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise ArtifactError(
                f"image archive {path}: {error.strerror}", "correct artifacts.images in the cluster file"
            ) from error
        key = f"archive {path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        entry = cache.find(key)
        if entry is None:
            names = references(path)
            with cache.scratch() as folder:
                plain = folder / "image.tar"
                copy_unzipped(path, plain)
                entry = Entry(await cache.add({"image": plain}), {"references": names})
            cache.keep(key, entry)
        images |= dict.fromkeys(entry.facts["references"], entry.blobs["image"])
    return images


def references(path: Path) -> list[str]:
    """The image references in an archive, at least one. Raises `ArtifactError`."""
    found: list[str] = []
    try:
        with tarfile.open(path) as tar:
            names = set(tar.getnames())
            if "manifest.json" in names:
                found += [tag for one in _json(tar, "manifest.json") for tag in one.get("RepoTags") or ()]
            if not found and "index.json" in names:
                for one in _json(tar, "index.json").get("manifests", ()):
                    notes = one.get("annotations") or {}
                    found += [notes[name] for name in _NAMES if ":" in notes.get(name, "")][:1]
    except (OSError, tarfile.TarError, ValueError, AttributeError, EOFError) as error:
        raise ArtifactError(
            f"{path} is not an image archive: {error}", "make it with `docker save` or `ctr images export`"
        ) from error
    if not found:
        raise ArtifactError(
            f"{path} names no image reference", "save it by name: `docker save -o FILE NAME:TAG`, not by id"
        )
    return [qualified(name) for name in found]


def _json(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    assert file is not None
    return json.load(file)


def qualified(reference: str) -> str:
    """A reference with its registry: `busybox:1.36` is `docker.io/library/busybox:1.36`."""
    first, _, rest = reference.partition("/")
    if not rest:
        return f"docker.io/library/{reference}"
    known = "." in first or ":" in first or first == "localhost"
    return reference if known else f"docker.io/{reference}"
