"""The source `debian`: Kubernetes built from Debian's source package, all else out of Debian's packages.

The first run takes minutes; afterwards all is in the cache, under the digest of the recipe that made it.
"""

import asyncio
import json
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from quorate.artifact import debs, image, kubernetes, oci
from quorate.artifact.cache import Cache, Entry, short
from quorate.artifact.root import SUITE, default_cache, ensure_root, ensure_tools
from quorate.core import ArtifactError
from quorate.render.debian import KUBERNETES
from quorate.spec.cluster import Versions
from quorate.spec.supply import PackageFile, Supply

Say = Callable[[str], None]

TEST_IMAGE = "docker.io/library/busybox:1.36"
PAUSE_IMAGE = "quorate.local/pause:3.2"
"""Names of the image made here; the name of the pause image says that it is not upstream's."""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def kubernetes_key(arch: str) -> str:
    """The cache key of the built binaries: what decides their content."""
    recipe = json.dumps([SUITE, KUBERNETES, kubernetes.BINARIES, kubernetes.VERSION])
    return f"debian {arch} kubernetes {short(recipe)}"


def packages_key(arch: str) -> str:
    """The cache key of what comes out of packages."""
    return f"debian {arch} packages {short(debs.recipe(SUITE))}"


def images_key(arch: str) -> str:
    """The cache key of the image for pause and test pods."""
    recipe = json.dumps([SUITE, oci.FORM, TEST_IMAGE, PAUSE_IMAGE, image.APPLETS, image.PAUSE])
    return f"debian {arch} images {short(recipe)}"


async def lacks(versions: Versions, cache: Cache, say: Say, arch: str) -> str:
    """What Debian does not have of the wanted versions, or why it can't be asked; empty when it has all."""
    if versions.kubernetes != kubernetes.VERSION:
        return f"Debian has Kubernetes {kubernetes.VERSION} alone"
    try:
        if versions.model_dump(exclude={"kubernetes"}, exclude_none=True):
            _agree(versions, (await _entry(cache, packages_key(arch), _packages, say)).facts["versions"])
    except ArtifactError as error:
        return str(error)
    return ""


def cached(cache: Cache, arch: str) -> bool:
    """Whether nothing has to be built or downloaded."""
    keys = (kubernetes_key(arch), packages_key(arch), images_key(arch))
    return all(cache.find(key) is not None for key in keys)


async def resolve_debian(versions: Versions, cache: Cache, say: Say, arch: str = "amd64") -> Supply:
    """Everything that Debian gives, from the cache or made now. Raises `ArtifactError`."""
    if versions.kubernetes != kubernetes.VERSION:
        raise ArtifactError(
            f"Debian has Kubernetes {kubernetes.VERSION}, not {versions.kubernetes}",
            f"set versions.kubernetes: {kubernetes.VERSION}, or artifacts.source: release or directory",
        )
    rest = await without_kubernetes(cache, say, arch)
    _agree(versions, rest.versions)
    built = await _entry(cache, kubernetes_key(arch), _kubernetes, say)
    return replace(
        rest,
        versions={"kubernetes": kubernetes.VERSION, **rest.versions},
        binaries={**built.blobs, **rest.binaries},
        parts={"kubernetes": kubernetes.BINARIES, **rest.parts},
    )


async def without_kubernetes(cache: Cache, say: Say, arch: str = "amd64") -> Supply:
    """What Debian's packages give, and the image for pause and test pods. Raises `ArtifactError`."""
    if (here := _MACHINES.get(platform.machine(), platform.machine())) != arch:
        raise ArtifactError(
            f"what comes out of Debian's packages is for this machine's architecture, {here}, not {arch}",
            "use artifacts.source: release or directory",
        )
    packages = await _entry(cache, packages_key(arch), _packages, say)
    images = await _entry(cache, images_key(arch), _images, say)
    facts = packages.facts
    return Supply(
        versions=facts["versions"],
        binaries={name: packages.blobs[f"bin/{name}"] for name in facts["binaries"]},
        parts={part: tuple(names) for part, names in facts["parts"].items()},
        libraries={part: tuple(names) for part, names in facts["libraries"].items() if names},
        packages={
            name: tuple(PackageFile(*debs.identity(file), file, packages.blobs[f"deb/{file}"]) for file in files)
            for name, files in facts["closures"].items()
        },
        images=dict.fromkeys((TEST_IMAGE, PAUSE_IMAGE), images.blobs["image"]),
        pause_image=PAUSE_IMAGE,
    )


def _agree(wanted: Versions, offered: Mapping[str, str]) -> None:
    """Raise `ArtifactError` for every version asked for that Debian does not have."""
    asked = wanted.model_dump(exclude={"kubernetes"}, exclude_none=True)
    wrong = {part: version for part, version in asked.items() if offered.get(part) != version}
    if wrong:
        told = ", ".join(f"{part} {offered.get(part)}, not {version}" for part, version in wrong.items())
        raise ArtifactError(
            f"Debian has {told}",
            f"leave out {', '.join(f'versions.{part}' for part in wrong)}, or use release",
        )


async def _entry(cache: Cache, key: str, make: Callable[[Cache, Path, Say], Awaitable[Entry]], say: Say) -> Entry:
    """The cache's entry, made under a lock if it is not there."""
    if entry := cache.find(key):
        return entry
    async with cache.lock(short(key), lambda: say("waiting for another quorate that makes the same")):
        if entry := cache.find(key):
            return entry
        await asyncio.to_thread(ensure_tools, ("debootstrap", "systemd-nspawn", "unshare", "mount"), say)
        with cache.scratch() as work:
            entry = await make(cache, work, say)
        cache.keep(key, entry)
        return entry


async def _kubernetes(cache: Cache, work: Path, say: Say) -> Entry:
    root = await asyncio.to_thread(ensure_root, default_cache(), say)
    files = await asyncio.to_thread(kubernetes.build, root, work, say)
    say(f"kubernetes {kubernetes.VERSION}: packing {len(files)} binaries")
    return Entry(await cache.add(files))


async def _images(cache: Cache, work: Path, say: Say) -> Entry:
    root = await asyncio.to_thread(ensure_root, default_cache(), say)
    say("making the image for pause and test pods")
    path = await asyncio.to_thread(image.build_image, work, root, (TEST_IMAGE, PAUSE_IMAGE))
    return Entry(await cache.add({"image": path}))


async def _packages(cache: Cache, work: Path, say: Say) -> Entry:
    root = await asyncio.to_thread(ensure_root, default_cache(), say)
    got = await asyncio.to_thread(debs.fetch_debs, root, work, say)
    say(f"packing {len(got.binaries)} binaries and {len(got.files)} packages")
    files = {f"bin/{name}": path for name, path in got.binaries.items()}
    files |= {f"deb/{name}": path for name, path in got.files.items()}
    facts = {
        "versions": dict(got.versions),
        "binaries": sorted(got.binaries),
        "parts": {part: list(names) for part, names in got.parts.items()},
        "libraries": {part: list(names) for part, names in got.libraries.items()},
        "closures": {name: list(names) for name, names in got.closures.items()},
    }
    return Entry(await cache.add(files), facts)
