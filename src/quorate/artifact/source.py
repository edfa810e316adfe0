"""What a source has to stop at on the way of an upgrade: releases of Kubernetes, and what it lacks for one."""

from collections.abc import Mapping
from pathlib import Path

from quorate.artifact import directory, kubernetes, modules
from quorate.artifact.golang import locks
from quorate.artifact.wanted import wanted_versions
from quorate.spec.cluster import Cluster


def name(cluster: Cluster) -> str:
    """What a reader calls it."""
    given = cluster.artifacts
    return f"the folder {given.directory}" if given.directory is not None else f"the source {given.source}"


def releases(cluster: Cluster, beside: Path | None) -> tuple[str, ...]:
    """The releases of Kubernetes that the source has, the oldest first: those in the folder, Debian's one, and else
    those that quorate knows.

    `beside` is the cluster file's folder. Raises `ArtifactError` for a folder that is not clear.
    """
    if cluster.artifacts.directory is not None:
        return directory.kubernetes(cluster.artifacts.directory)
    if cluster.artifacts.source == "debian":
        return (kubernetes.VERSION,)
    return locks.kubernetes(beside)


def patches(cluster: Cluster, beside: Path | None) -> Mapping[str, str]:
    """The latest of these releases by minor."""
    return {version.rpartition(".")[0]: version for version in releases(cluster, beside)}


def versions(cluster: Cluster) -> Mapping[str, str]:
    """The version of each part that the source will deliver, as far as can be told without it. Raises
    `ArtifactError`.
    """
    return directory.versions_of(cluster) if cluster.artifacts.directory is not None else wanted_versions(cluster)


def lacks(cluster: Cluster, beside: Path | None) -> str:
    """What keeps the source from delivering this, as far as can be told without any network; empty when nothing does.

    Raises `ArtifactError` for a folder that is not clear.
    """
    if cluster.artifacts.directory is not None:
        return directory.lacks(cluster)
    version = cluster.versions.kubernetes
    match cluster.artifacts.source:
        case "modules":
            return modules.lacks(cluster, beside)
        case "debian" if version != kubernetes.VERSION:
            return f"Debian has Kubernetes {kubernetes.VERSION} alone"
    return ""
