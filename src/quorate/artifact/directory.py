"""The source `directory`: a folder of files that were verified elsewhere, for sites without network.

    <folder>/SHA256SUMS        a line for every file below, as `sha256sum` writes it
    <folder>/kubelet ...       binaries
    <folder>/packages/*.deb    distribution packages (.rpm likewise)
    <folder>/images/*.tar      image archives
    <folder>/supply.json       versions, libraries, closures, roles of images; `quorate artifacts --export` writes it

Nothing without a line in SHA256SUMS is used. Without `supply.json` the versions are taken to be those of the
cluster file and the version table, and a package stands for itself alone. That is one version; `side_by_side` has
several.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quorate.artifact import side_by_side
from quorate.artifact.binary import REQUIRED, wanted_parts
from quorate.artifact.cache import Cache
from quorate.artifact.closures import packages
from quorate.artifact.side_by_side import is_side_by_side, resolve_side_by_side
from quorate.artifact.sums import Content, Say, read_facts, verified
from quorate.artifact.wanted import asked, wanted_versions
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply


async def resolve_directory(cluster: Cluster, cache: Cache, say: Say, arch: str = "amd64") -> Supply:
    """All that the cluster needs from there, verified. Raises `ArtifactError` with everything that is wrong with it."""
    folder = _folder(cluster)
    if is_side_by_side(folder):
        return await resolve_side_by_side(folder, cluster, cache, say, arch)
    required = [name for part in wanted_parts(cluster) for name in REQUIRED[part]]
    return _supply(cluster, await verified(folder, required, cache, say, arch))


def kubernetes(folder: Path) -> tuple[str, ...]:
    """The releases of Kubernetes that it holds, the oldest first, as far as it says so. Raises `ArtifactError`."""
    if is_side_by_side(folder):
        return side_by_side.held(folder).get(side_by_side.KUBERNETES, ())
    one = read_facts(folder).get("versions", {}).get("kubernetes")
    return (one,) if one else ()


def versions_of(cluster: Cluster) -> Mapping[str, str]:
    """The version of each part that this cluster gets from there, as far as can be told. Raises `ArtifactError`."""
    folder = _folder(cluster)
    if is_side_by_side(folder):
        return side_by_side.versions_of(folder, cluster)
    return {**(read_facts(folder).get("versions") or wanted_versions(cluster)), **asked(cluster)}


def lacks(cluster: Cluster) -> str:
    """What is not there of the versions that this cluster needs, and what is; empty when nothing is missing.

    Raises `ArtifactError`.
    """
    folder = _folder(cluster)
    if is_side_by_side(folder):
        return side_by_side.lacks(folder, cluster)
    return _other(folder, cluster, read_facts(folder))


def _folder(cluster: Cluster) -> Path:
    if cluster.artifacts.directory is None:
        raise ArtifactError("artifacts.directory is not set", "write the folder of binaries there")
    return cluster.artifacts.directory


def _other(folder: Path, cluster: Cluster, facts: Mapping[str, Any]) -> str:
    """What it holds of another version than the file asks for, as far as it says so."""
    said, has = asked(cluster), facts.get("versions", {})
    wrong = [f"{part} {has[part]}, not {said[part]}" for part in said if has.get(part, said[part]) != said[part]]
    return f"{folder} holds {', '.join(wrong)}" if wrong else ""


def _supply(cluster: Cluster, content: Content) -> Supply:
    facts = content.facts
    if why := _other(_folder(cluster), cluster, facts):
        raise ArtifactError(why, "correct versions in the cluster file, or give the folder of that version")
    known = facts.get("parts") or {part: names for part, names in REQUIRED.items() if names[0] in content.programs}
    return Supply(
        versions=facts.get("versions") or wanted_versions(cluster),
        binaries=content.programs,
        parts={part: tuple(names) for part, names in known.items()},
        libraries={part: tuple(names) for part, names in facts.get("libraries", {}).items()},
        packages=packages(content),
        images=content.images,
        pause_image=facts.get("pause_image"),
        coredns_image=facts.get("coredns_image"),
        metrics_server_image=facts.get("metrics_server_image"),
    )
