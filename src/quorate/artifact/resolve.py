"""The door of the room: from the cluster file to verified files in the cache."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from quorate.artifact import debian, kubernetes, release
from quorate.artifact.archive import archives
from quorate.artifact.cache import Cache
from quorate.artifact.directory import resolve_directory
from quorate.artifact.root import default_cache
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply

Say = Callable[[str], None]


async def resolve(
    cluster: Cluster,
    say: Say,
    *,
    cache: Path | None = None,
    arch: str = "amd64",
    packages: bool | None = None,
) -> Supply:
    """The binaries, packages and images of a cluster, verified and in the cache.

    `say` is told the progress, line by line; with a warm cache nothing is said and no network is used.
    `packages` overrides `artifacts.packages`: whether package files are delivered. Raises `ArtifactError`,
    naming what was expected, what was got and what to do.
    """
    store = Cache(cache or cluster.artifacts.cache or default_cache() / "artifacts")
    supply = await _supply(cluster, store, say, arch)
    own = await archives(store, cluster.artifacts.images)
    supply = replace(supply, images={**supply.images, **own})
    if cluster.artifacts.packages == "bundle" and not supply.packages:
        raise ArtifactError(
            "artifacts.packages: bundle, but the source brings no distribution packages",
            "put them into the folder's packages/, or let hosts ask their own mirrors (packages: distribution)",
        )
    bundled = cluster.artifacts.packages != "distribution" if packages is None else packages
    return supply if bundled else replace(supply, packages={})


async def _supply(cluster: Cluster, store: Cache, say: Say, arch: str) -> Supply:
    match cluster.artifacts.source:
        case "directory":
            return await resolve_directory(cluster, store, say, arch)
        case "release":
            return await release.resolve_release(cluster, store, say, arch)
        case "debian":
            return await debian.resolve_debian(cluster.versions, store, say, arch)
        case "auto":
            return await _first(cluster, store, say, arch)


async def _first(cluster: Cluster, store: Cache, say: Say, arch: str) -> Supply:
    """The first source that can deliver: the folder if there is one, then what is in the cache, then the rest.

    What was used once stays the choice as long as the cache has it: the network's mood must not change the
    binaries of a cluster.
    """
    if cluster.artifacts.directory is not None:
        return await resolve_directory(cluster, store, say, arch)
    wanted = cluster.versions.kubernetes
    if supply := release.recall(cluster, store, arch):
        return supply
    debian_fits = debian.offers(cluster.versions)
    if debian_fits and debian.cached(store, arch):
        return await debian.resolve_debian(cluster.versions, store, say, arch)
    unreachable = await release.reachable(cluster, store, arch)
    if not unreachable:
        say(f"source release: upstream has Kubernetes {wanted} (artifacts.directory is not set)")
        return await release.resolve_release(cluster, store, say, arch)
    if debian_fits:
        say(f"source debian: it has Kubernetes {wanted}; release is passed over ({unreachable})")
        return await debian.resolve_debian(cluster.versions, store, say, arch)
    raise ArtifactError(
        f"no source has Kubernetes {wanted}: directory is not set; release: {unreachable}; "
        f"debian has {kubernetes.VERSION} alone",
        "set artifacts.directory to a folder made by `quorate artifacts --export`, or artifacts.mirrors",
    )
