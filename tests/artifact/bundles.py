"""Folders for the source `directory`, and image archives to lie in them."""

import io
import json
import tarfile
from pathlib import Path

from small_upstream import elf, resum

from quorate.artifact.binary import REQUIRED


def image(path: Path, *tags: str) -> Path:
    """A `docker save` archive with nothing but names."""
    manifest = json.dumps([{"Config": "x.json", "RepoTags": list(tags), "Layers": []}]).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
    return path


def version_folder(top: Path, part: str, version: str) -> Path:
    """A version of a part, complete, among others in `top`."""
    folder = top / f"{part}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in REQUIRED[part]:
        (folder / name).write_bytes(elf(name, version=version))
    resum(folder)
    return folder
