"""The source `directory`: a folder of files that were verified elsewhere, for sites without network.

    <folder>/SHA256SUMS        a line for every file below, as `sha256sum` writes it
    <folder>/kubelet ...       binaries
    <folder>/packages/*.deb    distribution packages (.rpm likewise)
    <folder>/images/*.tar      image archives
    <folder>/supply.json       versions, libraries, closures, roles of images; `quorate artifacts --export` writes it

Nothing without a line in SHA256SUMS is used. Without `supply.json` the versions are taken to be those of the
cluster file and the version table, and a package stands for itself alone.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from quorate.artifact.archive import archives
from quorate.artifact.binary import REQUIRED, elf_fault, wanted_parts
from quorate.artifact.cache import Cache, Entry, file_digest, short
from quorate.artifact.debs import identity
from quorate.artifact.release import wanted_versions
from quorate.core import ArtifactError, Blob
from quorate.spec.cluster import Cluster
from quorate.spec.supply import PackageFile, Supply

Say = Callable[[str], None]

SUMS = "SHA256SUMS"
FACTS = "supply.json"
_RESUM = "find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS"


async def resolve_directory(cluster: Cluster, cache: Cache, say: Say, arch: str = "amd64") -> Supply:
    """All that the folder holds, verified. Raises `ArtifactError` with everything that is wrong with it."""
    folder = cluster.artifacts.directory
    if folder is None:
        raise ArtifactError("artifacts.directory is not set", "write the folder of binaries there")
    sums = _sums(folder)
    parts = wanted_parts(cluster)
    required = [name for part in parts for name in REQUIRED[part]]
    key = _key(folder, sums, required, arch)
    entry = cache.find(key)
    if entry is None:
        say(f"verifying {len(sums)} files in {folder}")
        faults = await asyncio.to_thread(lambda: list(_faults(folder, sums, required, arch)))
        if faults:
            raise ArtifactError(
                f"{folder} is not as it should be: " + "; ".join(faults),
                f"copy the folder again, or where you trust its files: cd {folder} && {_RESUM}",
            )
        wanted = [name for name in sums if _package(name) or _binary(folder, name)]
        blobs = await cache.add({name: folder / name for name in wanted})
        entry = Entry(blobs, _facts(folder))
        cache.keep(key, entry)
    images = await archives(cache, [folder / name for name in sorted(sums) if name.startswith("images/")])
    return _supply(cluster, entry, images)


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 by relative name."""
    try:
        text = (folder / SUMS).read_text()
    except OSError as error:
        raise ArtifactError(f"{folder / SUMS}: {error.strerror}", f"cd {folder} && {_RESUM}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parsed = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S.*)", line)
        if not parsed or ".." in Path(parsed.group(2)).parts or parsed.group(2).startswith("/"):
            raise ArtifactError(
                f"{folder / SUMS}:{number}: expected `<sha256>  <name in the folder>`, got {line[:80]!r}",
                f"write it anew: cd {folder} && {_RESUM}",
            )
        found[parsed.group(2)] = parsed.group(1).lower()
    return found


def _key(folder: Path, sums: Mapping[str, str], required: list[str], arch: str) -> str:
    """What decides whether the files are still those that were verified."""
    seen: list[object] = [sorted(sums.items()), required, arch, sorted(_others(folder))]
    for name in sorted(sums):
        try:
            stat = (folder / name).stat()
        except OSError:
            return f"directory {folder} incomplete"
        seen.append((name, stat.st_size, stat.st_mtime_ns))
    return f"directory {folder.resolve()} {short(json.dumps(seen))}"


def _others(folder: Path) -> Iterator[str]:
    """Files besides binaries that are there and would be used."""
    for pattern in (FACTS, "packages/*.deb", "packages/*.rpm", "images/*.tar"):
        yield from (path.relative_to(folder).as_posix() for path in folder.glob(pattern))


def _faults(folder: Path, sums: Mapping[str, str], required: list[str], arch: str) -> Iterator[str]:
    for name in required:
        if name not in sums:
            there = (folder / name).exists()
            yield f"{name}: {'has no line in ' + SUMS if there else 'missing'}"
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            yield f"{name}: listed in {SUMS}, but missing"
        elif (got := file_digest(path)) != expected:
            yield f"{name}: expected SHA-256 {expected}, got {got}"
        elif (name in required or _binary(folder, name)) and (fault := elf_fault(path, arch)):
            yield f"{name}: {fault}"
    for name in _others(folder):
        if name not in sums:
            yield f"{name}: has no line in {SUMS}"


def _package(name: str) -> bool:
    return name.startswith("packages/") and name.endswith((".deb", ".rpm"))


def _binary(folder: Path, name: str) -> bool:
    """Whether it is a program; a README may lie beside the binaries."""
    with (folder / name).open("rb") as file:
        return "/" not in name and file.read(4) == b"\x7fELF"


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}", "export the folder again") from error
    return facts if isinstance(facts, dict) else {}


def _supply(cluster: Cluster, entry: Entry, images: Mapping[str, Blob]) -> Supply:
    facts = entry.facts
    versions = facts.get("versions") or wanted_versions(cluster)
    asked = cluster.versions.model_dump(exclude_none=True)
    wrong = [
        f"{part} {versions[part]}, not {asked[part]}"
        for part in asked
        if versions.get(part, asked[part]) != asked[part]
    ]
    if wrong:
        raise ArtifactError(
            f"{cluster.artifacts.directory} holds {', '.join(wrong)}",
            "correct versions in the cluster file, or give the folder of that version",
        )
    binaries = {name: blob for name, blob in entry.blobs.items() if "/" not in name}
    known = facts.get("parts") or {part: names for part, names in REQUIRED.items() if names[0] in binaries}
    files = {name.removeprefix("packages/"): blob for name, blob in entry.blobs.items() if name.startswith("packages/")}
    closures = facts.get("closures") or {_identity(file)[0]: [file] for file in files}
    return Supply(
        versions=versions,
        binaries=binaries,
        parts={part: tuple(names) for part, names in known.items()},
        libraries={part: tuple(names) for part, names in facts.get("libraries", {}).items()},
        packages={
            name: tuple(PackageFile(*_identity(file), file, files[file]) for file in needed if file in files)
            for name, needed in closures.items()
        },
        images=images,
        pause_image=facts.get("pause_image"),
        coredns_image=facts.get("coredns_image"),
        metrics_server_image=facts.get("metrics_server_image"),
    )


def _identity(file: str) -> tuple[str, str]:
    """Name and version of a package file: `name_version_arch.deb`, `name-version-release.arch.rpm`."""
    if file.endswith(".deb") and file.count("_") >= 2:
        return identity(file)
    parsed = re.fullmatch(r"(.+)-([^-]+-[^-]+)\.[^.]+\.rpm", file)
    return (parsed.group(1), parsed.group(2)) if parsed else (file, "")
