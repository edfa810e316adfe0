"""The version of each part that a cluster wants: as its file says, else as the version table does."""

from collections.abc import Mapping

from quorate.artifact.binary import wanted_parts
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.versions import table


def asked(cluster: Cluster) -> Mapping[str, str]:
    """What the file says, by part."""
    return cluster.versions.model_dump(exclude_none=True)


def wanted_versions(cluster: Cluster) -> dict[str, str]:
    """The version of each part that hosts need. Raises `ArtifactError` where none goes with the Kubernetes."""
    minor = table(cluster.versions.kubernetes)
    found: dict[str, str] = {}
    for part in wanted_parts(cluster):
        version = getattr(cluster.versions, part) or getattr(minor, part)
        if not version:
            raise ArtifactError(
                f"no {part} goes with Kubernetes {cluster.versions.kubernetes}",
                "set runtime.kind: containerd",
            )
        found[part] = version
    return found


def spare_versions(cluster: Cluster) -> dict[str, str]:
    """The same of what not every source has: crictl, and what runs in pods where the file names no image of it."""
    kubernetes = cluster.versions.kubernetes
    found = newest(kubernetes, "crictl")
    if cluster.workers and cluster.dns.enabled and cluster.dns.image is None:
        found |= newest(kubernetes, "coredns")
    if cluster.workers and cluster.metrics.enabled and cluster.metrics.image is None:
        found |= newest(kubernetes, "metrics_server")
    said = asked(cluster)
    return {part: said.get(part, version) for part, version in found.items()}


def newest(kubernetes: str, *names: str) -> dict[str, str]:
    """The table's versions of what goes with Kubernetes, as far as there is something that fits."""
    minor = table(kubernetes)
    return {part: version for part in names if (version := getattr(minor, part)) is not None}
