"""What each Kubernetes minor needs: versions are data, and a component asks here instead of comparing."""

from collections.abc import Sequence

from quorate.core import QuorateError
from quorate.spec.minor import Flaw, Minor, ProxyMode, Range, containerd_config, containerd_static, parts
from quorate.spec.versions_data import ETCD_FLAWS, ETCD_RAISES, ETCD_RESTORERS, MINORS

__all__ = [
    "ETCD_FLAWS",
    "Flaw",
    "Minor",
    "ProxyMode",
    "Range",
    "below_floor",
    "containerd_config",
    "containerd_static",
    "controller_fits",
    "kubelet_fits",
    "parts",
    "raises_revisions",
    "repaired",
    "restorers",
    "supported",
    "table",
]


def supported() -> tuple[str, ...]:
    """All minors of the table, the oldest first."""
    return tuple(MINORS)


def table(version: str) -> Minor:
    """What the minor of a Kubernetes version (`1.20.2`, `v1.20.2` or `1.20`) needs.

    Raises `QuorateError` when the table doesn't have it.
    """
    minor = ".".join(str(part) for part in parts(version)[:2])
    if minor not in MINORS:
        known = tuple(MINORS)
        raise QuorateError(
            f"Kubernetes {version} is not one that quorate knows",
            f"choose one from {known[0]} to {known[-1]}",
        )
    return MINORS[minor]


def repaired(etcd: str) -> str:
    """The first etcd from a release on that does not break a cluster or its data."""
    for flaw in ETCD_FLAWS:
        if flaw.never and etcd in flaw.releases:
            etcd = flaw.releases.below
    return etcd


def restorers(etcd: str) -> tuple[str, ...]:
    """The programs that read and restore a snapshot of that etcd, the better one first."""
    return ETCD_RESTORERS.get(".".join(map(str, parts(etcd)[:2])), ("etcdutl",))


def raises_revisions(etcd: str) -> bool:
    """Whether a restore with the programs of that etcd can raise revisions, and mark those before as compacted."""
    return below_floor(etcd, ETCD_RAISES) is None


def below_floor(version: str, floors: Sequence[str]) -> str | None:
    """The least patch of its own line that a version should have, if it is older; the first of all if it has no line.

    `floors` is one release of each line, the oldest first. None when the version is recent enough.
    """
    own = [floor for floor in floors if parts(floor)[:2] == parts(version)[:2]]
    if own:
        return own[0] if parts(version) < parts(own[0]) else None
    return floors[0] if floors and parts(version) < parts(floors[-1]) else None


def kubelet_fits(apiserver: str, kubelet: str) -> bool:
    """Whether a kubelet or kube-proxy may meet an API server: never newer, nor older than the table says."""
    oldest = parts(table(apiserver).oldest_kubelet)
    return oldest <= parts(kubelet)[:2] <= parts(apiserver)[:2]


def controller_fits(apiserver: str, controller: str) -> bool:
    """Whether a controller-manager or scheduler may meet an API server: the same minor or one older.

    Two API servers beside each other follow the same rule, the newer as `apiserver`.
    Source: kubernetes.io, "Version Skew Policy".
    """
    api, other = parts(apiserver)[:2], parts(controller)[:2]
    return api[0] == other[0] and 0 <= api[1] - other[1] <= 1
