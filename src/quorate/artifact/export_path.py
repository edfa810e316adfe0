"""Supplies of several versions as folders side by side, as `side_by_side` reads them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.artifact.export import holds, write
from quorate.artifact.side_by_side import DISTRIBUTION, KUBERNETES, is_side_by_side
from quorate.artifact.sums import SUMS, Say
from quorate.core import ArtifactError
from quorate.spec.supply import Supply

Delivery = tuple[Supply, Mapping[str, str]]
"""What was delivered, and the versions by part that the file named for it: they do not just go with its Kubernetes."""


@dataclass(frozen=True)
class Written:
    """A folder of one version of a part."""

    name: str
    size: int
    """Bytes of its programs, packages and images."""
    anew: bool
    """It was not there as it should be."""


async def export_path(deliveries: Sequence[Delivery], folder: Path, say: Say) -> list[Written]:
    """Write a folder for each version of a part, Kubernetes' own last: a release that is there has all it needs.

    Those that are there already stay, if they are the same; others that are not named so are not touched. Raises
    `ArtifactError`.
    """
    if (folder / SUMS).exists() or (folder.exists() and not folder.is_dir()):
        raise ArtifactError(
            f"{folder} {'holds one version at its top' if folder.is_dir() else 'is no folder'}",
            "name another folder for the versions of a path",
        )
    found = _by_folder(deliveries)
    written = []
    for name in sorted(found, key=lambda name: name.startswith(KUBERNETES)):
        supply, place = found[name], folder / name
        there = await asyncio.to_thread(holds, place, supply)
        if not there:
            say(f"writing {place}")
            await asyncio.to_thread(write, supply, place)
        written.append(Written(name, _size(supply), not there))
    assert is_side_by_side(folder), "each delivery has a Kubernetes"
    return written


def _by_folder(deliveries: Sequence[Delivery]) -> dict[str, Supply]:
    found: dict[str, Supply] = {}
    for supply, named in deliveries:
        for name, one in _split(supply, named):
            if was := found.get(name):
                one = replace(one, versions={**was.versions, **one.versions}, images={**was.images, **one.images})
            found[name] = one
    return found


def _split(supply: Supply, named: Mapping[str, str]) -> Iterator[tuple[str, Supply]]:
    """What lies where: the supply part by part."""
    versions, rest = supply.versions, dict(supply.images)
    if supply.packages:
        yield DISTRIBUTION, Supply(packages=supply.packages)
    for part in supply.parts.keys() - {KUBERNETES}:
        yield f"{part}-{versions[part]}", _programs(supply, part)
    for part, reference in (("coredns", supply.coredns_image), ("metrics_server", supply.metrics_server_image)):
        if reference in rest and part in versions:
            digest = rest[reference].sha256
            images = {name: rest.pop(name) for name, blob in supply.images.items() if blob.sha256 == digest}
            yield f"{part}-{versions[part]}", Supply({part: versions[part]}, images=images)
    yield (
        f"{KUBERNETES}-{versions[KUBERNETES]}",
        replace(
            _programs(supply, KUBERNETES),
            versions={part: version for part, version in versions.items() if part == KUBERNETES or part not in named},
            images=rest,
            pause_image=supply.pause_image,
            coredns_image=supply.coredns_image,
            metrics_server_image=supply.metrics_server_image,
        ),
    )


def _programs(supply: Supply, part: str) -> Supply:
    names = supply.parts.get(part, ())
    return Supply(
        versions={part: supply.versions[part]},
        binaries={name: supply.binaries[name] for name in names},
        parts={part: names},
        libraries={part: supply.libraries[part]} if part in supply.libraries else {},
    )


def _size(supply: Supply) -> int:
    files = {file.filename: file.blob for closure in supply.packages.values() for file in closure}
    blobs = (*supply.binaries.values(), *files.values(), *supply.images.values())
    return sum({blob.sha256: blob.size for blob in blobs}.values())
