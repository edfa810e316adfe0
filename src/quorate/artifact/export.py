"""A supply as a folder that the source `directory` reads, to carry to a site without network; and as rows."""

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quorate.artifact.cache import file_digest, unpacked
from quorate.artifact.sums import FACTS, SUMS, read_sums
from quorate.core import ArtifactError, Blob
from quorate.spec.supply import Supply


@dataclass(frozen=True)
class Row:
    """One artifact, for a listing; `size` in bytes, unpacked."""

    kind: str
    name: str
    version: str
    size: int
    sha256: str


def listing(supply: Supply) -> list[Row]:
    """Binaries part by part, then package files, then images."""
    rows: list[Row] = []
    for part, names in supply.parts.items():
        for name in names:
            blob = supply.binaries[name]
            rows.append(Row(part, name, supply.versions.get(part, ""), blob.size, blob.sha256))
    files = {file.filename: file for closure in supply.packages.values() for file in closure}
    for _, file in sorted(files.items()):
        rows.append(Row("package", file.name, file.version, file.blob.size, file.blob.sha256))
    for reference, blob in sorted(supply.images.items()):
        rows.append(Row("image", reference, "", blob.size, blob.sha256))
    return rows


async def export(supply: Supply, folder: Path) -> None:
    """Write a new folder with everything in it; it is complete when it exists. Raises `ArtifactError`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder} is there already", "name a new folder, or remove it first")
    await asyncio.to_thread(write, supply, folder)


def write(supply: Supply, folder: Path) -> None:
    """Write everything into a folder, in the place of what is there. It is whole or not there, also when this is
    killed. Raises `ArtifactError`.
    """
    part, old = (folder.with_name(f"{folder.name}.part-{os.getpid()}{more}") for more in ("", "-old"))
    try:
        _sweep(folder)
        _fill(supply, part)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except OSError as error:
        raise ArtifactError(f"{folder}: {error.strerror}", "free some space, or name another folder") from error
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def holds(folder: Path, supply: Supply) -> bool:
    """Whether a folder that was written before has exactly this."""
    try:
        sums = read_sums(folder)
        return sums == _sums(supply) and all(file_digest(folder / name) == digest for name, digest in sums.items())
    except (ArtifactError, OSError):
        return False


def _sweep(folder: Path) -> None:
    """Remove what exports that were killed have left."""
    for left in folder.parent.glob("*.part-*"):
        name, _, writer = left.name.rpartition(".part-")
        writer = writer.removesuffix("-old")
        if name == folder.name and writer.isdecimal() and not Path("/proc", writer).exists():
            shutil.rmtree(left)


def _fill(supply: Supply, part: Path) -> None:
    part.mkdir(parents=True)
    for name, blob, mode in _files(supply):
        (part / name).parent.mkdir(exist_ok=True)
        with (part / name).open("wb") as file:
            file.writelines(unpacked(blob))
        (part / name).chmod(mode)
    (part / FACTS).write_text(_facts(supply))
    (part / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(_sums(supply).items())))


def _sums(supply: Supply) -> dict[str, str]:
    """SHA-256 by name of every file."""
    sums = {name: blob.sha256 for name, blob, _ in _files(supply)}
    return {**sums, FACTS: hashlib.sha256(_facts(supply).encode()).hexdigest()}


def _files(supply: Supply) -> Iterator[tuple[str, Blob, int]]:
    """Name in the folder, content and mode of every file, each once."""
    for name, blob in supply.binaries.items():
        yield name, blob, 0o755
    files = {file.filename: file.blob for closure in supply.packages.values() for file in closure}
    for name, blob in files.items():
        yield f"packages/{name}", blob, 0o644
    # One archive carries several references: it is written once.
    images = {blob.sha256: (reference, blob) for reference, blob in sorted(supply.images.items(), reverse=True)}
    for digest, (reference, blob) in images.items():
        plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in reference)
        yield f"images/{plain}-{digest[:8]}.tar", blob, 0o644


def _facts(supply: Supply) -> str:
    facts = {
        "versions": dict(supply.versions),
        "parts": {part: list(names) for part, names in supply.parts.items()},
        "libraries": {part: list(names) for part, names in supply.libraries.items()},
        "closures": {name: [file.filename for file in files] for name, files in supply.packages.items()},
        "pause_image": supply.pause_image,
        "coredns_image": supply.coredns_image,
        "metrics_server_image": supply.metrics_server_image,
    }
    return json.dumps(facts, indent=1, sort_keys=True) + "\n"
