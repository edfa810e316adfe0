"""Several versions side by side in the folder of the source `directory`: a folder for each version of a part.

    <folder>/kubernetes-1.36.3/   programs, images (pause, the test server), and in supply.json what goes with it
    <folder>/etcd-3.6.16/         programs; likewise containerd, runc, cni_plugins, crictl, docker, age
    <folder>/coredns-1.14.6/      images; likewise metrics_server
    <folder>/distribution/        packages of the distribution

Each has its own SHA256SUMS, and is what a folder of one version is, of its part alone. `quorate artifacts --export
FOLDER --path` writes them. What the cluster file does not name is of the version that supply.json says, else that of
the version table.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from quorate.artifact import claims
from quorate.artifact.binary import REQUIRED
from quorate.artifact.cache import Cache
from quorate.artifact.closures import packages
from quorate.artifact.sums import RESUM, SUMS, Content, Say, read_facts, verified
from quorate.artifact.wanted import asked, spare_versions, wanted_versions
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply
from quorate.spec.versions import parts
from quorate.spec.words import VERSION

KUBERNETES = "kubernetes"
DISTRIBUTION = "distribution"
IN_PODS = ("coredns", "metrics_server")
PARTS = (*REQUIRED, "crictl", *IN_PODS)
_LIKE_A_PART = re.compile(rf"({'|'.join(PARTS)})-(.+)")
_UNFINISHED = re.compile(r".*\.part-\d+(-old)?")
"""What an export that was killed has left."""


def is_side_by_side(folder: Path) -> bool:
    """Whether it holds versions in folders of their own, and not one at its top."""
    return any(folder.glob(f"{KUBERNETES}-*/{SUMS}"))


def place(folder: Path, part: str, version: str) -> Path:
    """Where a version of a part lies."""
    return folder / f"{part}-{version}"


def held(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """The versions of each part that are there, the oldest first. Raises `ArtifactError` for what is not clear."""
    found: dict[str, list[str]] = {}
    misnamed = []
    for path in sorted(folder.glob(f"*/{SUMS}")):
        name = path.parent.name
        if (like := _LIKE_A_PART.fullmatch(name)) is None or _UNFINISHED.fullmatch(name):
            continue
        if not re.fullmatch(VERSION.pattern, like.group(2)):
            misnamed.append(name)
        found.setdefault(like.group(1), []).append(like.group(2))
    if misnamed:
        raise ArtifactError(
            f"{folder} holds {', '.join(misnamed)}: expected a part and its whole version, such as kubernetes-1.36.3",
            "rename it, or move it out of there",
        )
    if (folder / SUMS).exists():
        raise ArtifactError(
            f"{folder} holds a version at its top ({SUMS}), and Kubernetes {', '.join(found[KUBERNETES])} in folders",
            f"what lies at its top goes into folders of its versions, too, or away with {folder / SUMS}",
        )
    return {part: tuple(sorted(versions, key=parts)) for part, versions in found.items()}


def versions_of(folder: Path, cluster: Cluster) -> dict[str, str]:
    """The version of each part that this cluster gets from here. Raises `ArtifactError`."""
    said, there = asked(cluster), held(folder)
    with_it = read_facts(place(folder, KUBERNETES, cluster.versions.kubernetes)).get("versions", {})
    found = {part: said.get(part) or with_it.get(part, usual) for part, usual in wanted_versions(cluster).items()}
    for part, usual in spare_versions(cluster).items():
        version = said.get(part) or with_it.get(part, usual)
        if part in said or version in there.get(part, ()):
            found[part] = version
    return found


def lacks(folder: Path, cluster: Cluster) -> str:
    """What is not there of what this cluster needs, and what is; empty when nothing is missing.

    Raises `ArtifactError` for what is not clear.
    """
    there = held(folder)
    missing = {part: each for part, each in versions_of(folder, cluster).items() if each not in there.get(part, ())}
    has = {part: there.get(part, ()) for part in missing}
    told = ", ".join(f"{part} {version}" for part, version in missing.items())
    return f"{folder} has no {told}; it has {', '.join(_shown(has))}" if told else ""


def _shown(versions: Mapping[str, tuple[str, ...] | list[str]]) -> list[str]:
    return [f"{part} {' and '.join(has) if has else 'in no version'}" for part, has in versions.items()]


async def resolve_side_by_side(folder: Path, cluster: Cluster, cache: Cache, say: Say, arch: str) -> Supply:
    """What the cluster needs, verified, each program of the version whose folder it lies in.

    Raises `ArtifactError` with all that is missing, or all that is wrong with what is there.
    """
    if why := lacks(folder, cluster):
        raise ArtifactError(
            why,
            f"`quorate artifacts --export FOLDER --path` writes it where there is a network: carry it into {folder}; "
            "or name a version that is there",
        )
    versions = versions_of(folder, cluster)
    contents, wrong = dict[str, Content](), list[ArtifactError]()
    places = {part: place(folder, part, version) for part, version in versions.items()}
    if (folder / DISTRIBUTION / SUMS).exists():
        places[DISTRIBUTION] = folder / DISTRIBUTION
    for part, path in places.items():
        try:
            contents[part] = await _read(part, path, cache, say, arch)
        except ArtifactError as error:
            wrong.append(error)
    if wrong:
        fix = f"copy them again, or where you trust their files, run in each: {RESUM}"
        raise ArtifactError("; ".join(map(str, wrong)), fix if len(wrong) > 1 else wrong[0].hint)
    supply = _joined(versions, contents)
    lies = {name: places[part] / name for part, names in supply.parts.items() for name in names}
    await claims.prove(supply, versions, cache, arch, lies)
    return supply


async def _read(part: str, path: Path, cache: Cache, say: Say, arch: str) -> Content:
    required = REQUIRED.get(part, (part,) if part == "crictl" else ())
    others = {other: names for other, names in REQUIRED.items() if other != part}
    foreign = {
        name: f"is a program of {other}, and lies in a folder of {part}: move it into that of its version"
        for other, names in others.items()
        for name in names
    }
    content = await verified(path, required, cache, say, arch, foreign=foreign)
    if part in IN_PODS and not content.images:
        raise ArtifactError(f"{path} holds no image (images/*.tar)", "copy the folder again")
    return content


def _joined(versions: Mapping[str, str], contents: Mapping[str, Content]) -> Supply:
    facts = contents[KUBERNETES].facts
    # The test server has its image beside Kubernetes' own, and no folder.
    further = {part: version for part, version in facts.get("versions", {}).items() if part not in PARTS}
    return Supply(
        versions={**further, **versions},
        binaries={name: blob for content in contents.values() for name, blob in content.programs.items()},
        parts={
            part: tuple(content.facts.get("parts", {}).get(part, sorted(content.programs)))
            for part, content in contents.items()
            if content.programs
        },
        libraries={
            part: tuple(content.facts["libraries"][part])
            for part, content in contents.items()
            if part in content.facts.get("libraries", {})
        },
        packages=packages(contents[DISTRIBUTION]) if DISTRIBUTION in contents else {},
        images={reference: blob for content in contents.values() for reference, blob in content.images.items()},
        pause_image=facts.get("pause_image"),
        coredns_image=_image(contents, "coredns", facts.get("coredns_image")),
        metrics_server_image=_image(contents, "metrics_server", facts.get("metrics_server_image")),
    )


def _image(contents: Mapping[str, Content], part: str, named: str | None) -> str | None:
    """The reference of a part that runs in pods: the one that is named, where it is there; else what its folder has."""
    there = [*contents[KUBERNETES].images, *(contents[part].images if part in contents else ())]
    if named in there:
        return named
    return next(iter(contents[part].images)) if part in contents else None
