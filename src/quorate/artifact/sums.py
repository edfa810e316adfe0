"""A folder of files that were verified elsewhere: what has no line in its `SHA256SUMS`, or another digest, is not used.

Besides programs it may hold `packages/*.deb` (.rpm likewise), `images/*.tar` and `supply.json`, facts about them.
"""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.artifact.archive import archives
from quorate.artifact.binary import elf_fault
from quorate.artifact.cache import Cache, Entry, file_digest, short
from quorate.core import ArtifactError, Blob

Say = Callable[[str], None]

SUMS = "SHA256SUMS"
FACTS = "supply.json"
RESUM = "find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS"


@dataclass(frozen=True)
class Content:
    """What such a folder holds, in the cache."""

    programs: Mapping[str, Blob]
    packages: Mapping[str, Blob]
    """By file name."""
    images: Mapping[str, Blob]
    """By reference."""
    facts: Mapping[str, Any]


async def verified(
    folder: Path,
    required: Collection[str],
    cache: Cache,
    say: Say,
    arch: str,
    *,
    foreign: Mapping[str, str] | None = None,
) -> Content:
    """All that the folder holds. Raises `ArtifactError` with everything that is wrong with it.

    `required` are programs without which it is not whole, `foreign` those that do not belong there, with what to do.
    """
    sums = read_sums(folder)
    key = _key(folder, sums, [*required, *(foreign or ())], arch)
    entry = cache.find(key)
    if entry is None:
        say(f"verifying {len(sums)} files in {folder}")
        faults = await asyncio.to_thread(lambda: list(_faults(folder, sums, required, foreign or {}, arch)))
        if faults:
            raise ArtifactError(
                f"{folder} is not as it should be: " + "; ".join(faults),
                f"copy the folder again, or where you trust its files: cd {folder} && {RESUM}",
            )
        wanted = [name for name in sums if _package(name) or _program(folder, name)]
        blobs = await cache.add({name: folder / name for name in wanted})
        entry = Entry(blobs, read_facts(folder))
        cache.keep(key, entry)
    return Content(
        programs={name: blob for name, blob in entry.blobs.items() if "/" not in name},
        packages={name.removeprefix("packages/"): blob for name, blob in entry.blobs.items() if _package(name)},
        images=await archives(cache, [folder / name for name in sorted(sums) if name.startswith("images/")]),
        facts=entry.facts,
    )


def read_sums(folder: Path) -> dict[str, str]:
    """SHA-256 by relative name. Raises `ArtifactError` for a file that is not one of checksums."""
    try:
        text = (folder / SUMS).read_text()
    except OSError as error:
        raise ArtifactError(f"{folder / SUMS}: {error.strerror}", f"cd {folder} && {RESUM}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parsed = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S.*)", line)
        if not parsed or ".." in Path(parsed.group(2)).parts or parsed.group(2).startswith("/"):
            raise ArtifactError(
                f"{folder / SUMS}:{number}: expected `<sha256>  <name in the folder>`, got {line[:80]!r}",
                f"write it anew: cd {folder} && {RESUM}",
            )
        found[parsed.group(2)] = parsed.group(1).lower()
    return found


def read_facts(folder: Path) -> dict[str, Any]:
    """What `supply.json` says; nothing where there is none. Raises `ArtifactError`."""
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}", "export the folder again") from error
    return facts if isinstance(facts, dict) else {}


def _key(folder: Path, sums: Mapping[str, str], names: list[str], arch: str) -> str:
    """What decides whether the files are still those that were verified."""
    seen: list[object] = [sorted(sums.items()), names, arch, sorted(_others(folder))]
    for name in sorted(sums):
        try:
            stat = (folder / name).stat()
        except OSError:
            return f"directory {folder} incomplete"
        seen.append((name, stat.st_size, stat.st_mtime_ns))
    return f"directory {folder.resolve()} {short(json.dumps(seen))}"


def _others(folder: Path) -> Iterator[str]:
    """Files besides programs that are there and would be used."""
    for pattern in (FACTS, "packages/*.deb", "packages/*.rpm", "images/*.tar"):
        yield from (path.relative_to(folder).as_posix() for path in folder.glob(pattern))


def _faults(
    folder: Path, sums: Mapping[str, str], required: Collection[str], foreign: Mapping[str, str], arch: str
) -> Iterator[str]:
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
        elif name in foreign:
            yield f"{name}: {foreign[name]}"
        elif (name in required or _program(folder, name)) and (fault := elf_fault(path, arch)):
            yield f"{name}: {fault}"
    for name in _others(folder):
        if name not in sums:
            yield f"{name}: has no line in {SUMS}"


def _package(name: str) -> bool:
    return name.startswith("packages/") and name.endswith((".deb", ".rpm"))


def _program(folder: Path, name: str) -> bool:
    """Whether it is a program; a README may lie beside them."""
    with (folder / name).open("rb") as file:
        return "/" not in name and file.read(4) == b"\x7fELF"
