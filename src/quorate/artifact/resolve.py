"""The entry point of the room: from the cluster file to verified files in the cache."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from quorate.artifact import claims, debian, modules, release
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
    beside: Path | None = None,
    cache: Path | None = None,
    arch: str = "amd64",
    packages: bool | None = None,
) -> Supply:
    """The binaries, packages and images of a cluster, verified and in the cache.

    `beside` is the cluster file's folder, where locks of the source `modules` are kept. `say` is told the progress,
    line by line; with a warm cache nothing is said and no network is used.
    `packages` overrides `artifacts.packages`: whether package files are delivered. Raises `ArtifactError`,
    naming what was expected, what was got and what to do.
    """
    root = _root(cluster, cache)
    try:
        return await _resolve(cluster, root, say, beside, arch, packages)
    except OSError as error:
        raise ArtifactError(
            f"{error.filename or root}: can't be used as a place for artifacts: {error.strerror}",
            "let QUORATE_CACHE or artifacts.cache name a folder that you can write to, with room in it",
        ) from error


def at_hand(cluster: Cluster, *, beside: Path | None, arch: str) -> bool:
    """Whether nothing has to be fetched or built for it: the folder has it, or the cache."""
    given, store = cluster.artifacts, Cache(_root(cluster, None))
    if given.directory is not None or given.source == "debian":
        return True
    if given.source != "modules" and release.recall(cluster, store, arch):
        return True
    built_here = given.source != "release" and not modules.lacks(cluster, beside)
    return built_here and modules.cached(cluster, store, arch, beside)


def _root(cluster: Cluster, cache: Path | None) -> Path:
    return cache or cluster.artifacts.cache or default_cache() / "artifacts"


async def _resolve(
    cluster: Cluster, root: Path, say: Say, beside: Path | None, arch: str, packages: bool | None
) -> Supply:
    store = Cache(root)
    supply = await _supply(cluster, store, say, arch, beside)
    await claims.prove(supply, cluster.versions.model_dump(exclude_none=True), store, arch)
    own = await archives(store, cluster.artifacts.images)
    supply = replace(supply, images={**supply.images, **own})
    if cluster.artifacts.packages == "bundle" and not supply.packages:
        raise ArtifactError(
            "artifacts.packages: bundle, but the source brings no distribution packages",
            "put them into the folder's packages/, or let hosts ask their own mirrors (packages: distribution)",
        )
    bundled = cluster.artifacts.packages != "distribution" if packages is None else packages
    return supply if bundled else replace(supply, packages={})


async def _supply(cluster: Cluster, store: Cache, say: Say, arch: str, beside: Path | None) -> Supply:
    match cluster.artifacts.source:
        case "directory":
            return await resolve_directory(cluster, store, say, arch)
        case "release":
            return await release.resolve_release(cluster, store, say, arch)
        case "debian":
            return await debian.resolve_debian(cluster.versions, store, say, arch)
        case "modules":
            return await modules.resolve_modules(cluster, store, say, arch, beside)
        case "auto":
            return await _first(cluster, store, say, arch, beside)


async def _first(cluster: Cluster, store: Cache, say: Say, arch: str, beside: Path | None) -> Supply:
    """The first source that can deliver all: the folder if there is one, what is in the cache, then the rest in order.

    What was used once stays the choice as long as the cache has it: the network's mood must not change the
    binaries of a cluster.
    """
    if cluster.artifacts.directory is not None:
        return await resolve_directory(cluster, store, say, arch)
    if supply := release.recall(cluster, store, arch):
        return supply
    versions = cluster.versions
    if debian.cached(store, arch) and not await debian.lacks(versions, store, say, arch):
        return await debian.resolve_debian(versions, store, say, arch)
    by_modules = modules.lacks(cluster, beside)
    if not by_modules and modules.cached(cluster, store, arch, beside):
        return await modules.resolve_modules(cluster, store, say, arch, beside)
    why = {"release": await release.reachable(cluster, store, arch)}
    if not why["release"]:
        say(f"source release: upstream has Kubernetes {versions.kubernetes} (artifacts.directory is not set)")
        return await release.resolve_release(cluster, store, say, arch)
    why["debian"] = await debian.lacks(versions, store, say, arch)
    if not why["debian"]:
        say(f"source debian: it has Kubernetes {versions.kubernetes}; release is passed over ({why['release']})")
        return await debian.resolve_debian(versions, store, say, arch)
    why["modules"] = by_modules
    told = "; ".join(f"{name}: {reason}" for name, reason in why.items() if reason)
    if not by_modules:
        say(f"source modules: Kubernetes {versions.kubernetes} is built here; passed over are {told}")
        return await modules.resolve_modules(cluster, store, say, arch, beside)
    raise ArtifactError(
        f"no source has all of Kubernetes {versions.kubernetes}: directory is not set; {told}",
        "set artifacts.directory to a folder made by `quorate artifacts --export`, or artifacts.mirrors",
    )
