"""Releases of Kubernetes at which an upgrade stops on its way: one of each minor, as far as the source can have it."""

from collections.abc import Mapping
from pathlib import Path

from quorate.artifact.golang import locks
from quorate.spec.cluster import Cluster


def patches(cluster: Cluster, beside: Path | None) -> Mapping[str, str]:
    """The latest release of each minor that quorate knows; a folder, or Debian, has one version alone."""
    if cluster.artifacts.source == "debian" or cluster.artifacts.directory is not None:
        return {}
    latest: dict[str, str] = {}
    for version in locks.kubernetes(beside):
        latest[".".join(version.split(".")[:2])] = version
    return latest
