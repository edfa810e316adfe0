"""The door of the room: from the cluster file to verified files in the cache."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from quorate.artifact.archive import archives
from quorate.artifact.cache import Cache
from quorate.artifact.debian import resolve_debian
from quorate.artifact.root import default_cache
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply

Say = Callable[[str], None]


async def resolve(cluster: Cluster, say: Say, *, cache: Path | None = None, arch: str = "amd64") -> Supply:
    """The binaries, packages and images of a cluster, verified and in the cache.

    `say` is told the progress, line by line. Raises `ArtifactError`, naming what was expected, what was got
    and what to do.
    """
    store = Cache(cache or cluster.artifacts.cache or default_cache() / "artifacts")
    supply = await resolve_debian(cluster.versions, store, say, arch)
    own = await archives(store, cluster.artifacts.images)
    return replace(supply, images={**supply.images, **own})
