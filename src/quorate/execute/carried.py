"""All that the way of an upgrade needs, to be carried to a site that has no network."""

from collections.abc import Mapping
from pathlib import Path

from quorate.artifact.export_path import Delivery
from quorate.artifact.resolve import resolve
from quorate.artifact.wanted import asked, wanted_versions
from quorate.core import PlanError
from quorate.execute import upgrading
from quorate.report.event import Emit, Said
from quorate.spec.cluster import Cluster, Versions
from quorate.spec.upgrade_path import cluster_at

ARCH = "amd64"


def usual(cluster: Cluster, kubernetes: str) -> Mapping[str, str]:
    """The versions that run where nobody named others than Kubernetes'."""
    return wanted_versions(cluster.model_copy(update={"versions": Versions(kubernetes=kubernetes)}))


async def deliveries(
    cluster: Cluster, file: Path, releases: Mapping[str, str], emit: Emit, *, assumed: bool
) -> tuple[Delivery, ...]:
    """What is installed at each stop from `releases` to the file's versions, the goal last; that alone where nothing is
    known to run.

    Where `releases` are `assumed`, an older etcd of the same line may run: the release that it has to go to first comes
    along. Raises ArtifactError for what can't be had, PlanError where no way leads.
    """

    def say(text: str) -> None:
        emit(Said(text))

    beside = file.absolute().parent
    if releases:
        upgrading.demand_source(cluster, file, releases)
    goal = await resolve(cluster, say, beside=beside, arch=ARCH)
    if not upgrading.differs(releases, goal):
        return ((goal, asked(cluster)),)
    stops, astray = await upgrading.find(cluster, file, releases, goal, emit, ARCH)
    if astray:
        told = "; ".join(f"versions.{part}: {why}. Fix: {fix}" for part, why, fix in astray)
        raise PlanError(f"no way leads there: {told}", "name versions under `versions` that one leads to")
    found = [(stop.supply, asked(stop.cluster)) for stop in stops]
    if assumed and stops[0].supply.versions["etcd"] != releases["etcd"]:
        first = stops[0].cluster
        versions = {"kubernetes": first.versions.kubernetes, "etcd": releases["etcd"]}
        before = await resolve(cluster_at(first, versions, pinned=False), say, beside=beside, arch=ARCH)
        found.insert(0, (before, versions))
    return (*found, (goal, asked(cluster)))
