"""The source `modules`: today's Kubernetes and all that goes with it, built from Go modules with this machine's go.

What is built is decided by locks (`golang/locks.py`): module names, versions and sums. Each family of programs is built
once, one at a time, and lies in the cache under the digest of its lock and toolchain.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.artifact import debian
from quorate.artifact.cache import Cache, Entry, short, unpacked
from quorate.artifact.golang import compiler, families, locks, pause, toolchain
from quorate.artifact.golang.compile import build
from quorate.artifact.golang.compiler import Compiler
from quorate.artifact.golang.families import Family
from quorate.artifact.golang.locks import Lock
from quorate.artifact.golang.toolchain import Go
from quorate.artifact.oci import FORM
from quorate.artifact.pod_images import pod_images, reference, with_shell
from quorate.artifact.wanted import newest, spare_versions, wanted_versions
from quorate.core import ArtifactError, Blob
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply
from quorate.spec.versions import parts, table

Say = Callable[[str], None]

FIRST = (1, 29)
"""The first Kubernetes minor that the public module proxy serves in a late patch."""
IN_PODS = {"coredns": "coredns", "metrics_server": "metrics-server", "agnhost": "agnhost"}
"""Parts that run in pods, and their program: an image is made of it, no host gets it as a file."""


@dataclass(frozen=True)
class Workshop:
    """Where one run builds: cache, hosts' architecture, the cluster file's folder, who is told, the C compiler."""

    cache: Cache
    arch: str
    beside: Path | None
    """A version without a shipped lock gets its own there."""
    say: Say
    cc: Compiler | str
    """Or why there is none."""


async def resolve_modules(cluster: Cluster, cache: Cache, say: Say, arch: str, beside: Path | None) -> Supply:
    """Everything that the cluster needs, from the cache or built now. Raises `ArtifactError`.

    `beside` is the cluster file's folder.
    """
    runc = cluster.versions.runc
    if cluster.artifacts.packages != "bundle":
        return await make(wanted(cluster), cache, say, arch, beside, runc=runc)
    rest = await debian.without_kubernetes(cache, say, arch)
    tests = rest.images[debian.TEST_IMAGE]
    supply = await make(wanted(cluster), cache, say, arch, beside, runc=runc, tests=tests)
    images = {**rest.images, **supply.images}
    if supply.pause_image != debian.PAUSE_IMAGE:
        # Debian's archive has the names of the test image and of the pause image, and each import sets both.
        del images[debian.PAUSE_IMAGE]
    return replace(supply, packages=rest.packages, images=images)


def wanted(cluster: Cluster) -> dict[str, str]:
    """The version of each part that this cluster needs. Raises `ArtifactError` for what is not built from modules."""
    kubernetes = cluster.versions.kubernetes
    if parts(kubernetes) < FIRST:
        raise ArtifactError(
            f"Kubernetes {kubernetes} is not built from modules, 1.29 and later are",
            "name a later version, or set artifacts.source: debian (1.20.2), release or directory",
        )
    found = wanted_versions(cluster) | spare_versions(cluster)
    if cluster.workers and cluster.artifacts.packages == "bundle":
        found["agnhost"] = kubernetes
    return found


def lacks(cluster: Cluster, beside: Path | None) -> str:
    """Why this machine can't build it; empty when it can, as far as can be told without any network."""
    try:
        for part, version in wanted(cluster).items():
            lock = locks.find(part, version, beside)
            if lock is None and beside is None:
                return f"no lock of {part} {version} is shipped"
            toolchain.find(lock.folder if lock else locks.SHIPPED)
    except ArtifactError as error:
        return str(error)
    return ""


def cached(cluster: Cluster, cache: Cache, arch: str, beside: Path | None) -> bool:
    """Whether nothing has to be built."""
    shop = Workshop(cache, arch, beside, lambda _: None, compiler.find(arch))
    for part, version in wanted(cluster).items():
        lock = locks.find(part, version, beside)
        if lock is None or cache.find(_key(shop, part, version, lock, toolchain.find(lock.folder))) is None:
            return False
    return True


def all_of(kubernetes: str) -> dict[str, str]:
    """A version of Kubernetes with all that goes with it. Raises `QuorateError` when the table doesn't know it."""
    return {"kubernetes": kubernetes, "agnhost": kubernetes} | newest(
        kubernetes, "etcd", "containerd", "runc", "cni_plugins", "crictl", "coredns", "metrics_server", "age"
    )


async def make(
    versions: Mapping[str, str],
    cache: Cache,
    say: Say,
    arch: str,
    beside: Path | None,
    *,
    runc: str | None = None,
    tests: Blob | None = None,
) -> Supply:
    """Programs and images of these versions, from the cache or built now. Raises `ArtifactError`.

    `tests` is the archive of an image with a shell: the test server is put on top of it, under the name of the image
    for test pods. Without a C compiler runc and the pause image are Debian's, unless a version of `runc` was asked for.
    """
    shop = Workshop(cache, arch, beside, say, await asyncio.to_thread(compiler.find, arch))
    if isinstance(shop.cc, str) and runc:
        hint = (
            "install a C compiler and libseccomp's static library; or leave out versions.runc, then Debian's is taken"
        )
        raise ArtifactError(f"runc {runc} can't be built: {shop.cc}", hint)
    entries = {
        part: await built(shop, part, version)
        for part, version in versions.items()
        if part not in ("runc", "agnhost") or isinstance(shop.cc, Compiler)
    }
    on_hosts = {part: entry for part, entry in entries.items() if part not in IN_PODS}
    supply = Supply(
        versions=versions,
        binaries={name: blob for entry in on_hosts.values() for name, blob in entry.blobs.items()},
        parts={part: tuple(sorted(entry.blobs)) for part, entry in on_hosts.items()},
        images=await _images(shop, versions, entries, tests if isinstance(shop.cc, Compiler) else None),
        pause_image=reference("pause", _pause_version(versions)) if isinstance(shop.cc, Compiler) else None,
        coredns_image=_image(versions, "coredns"),
        metrics_server_image=_image(versions, "metrics_server"),
    )
    return supply if isinstance(shop.cc, Compiler) else await _with_debians(supply, shop, shop.cc)


async def _with_debians(supply: Supply, shop: Workshop, reason: str) -> Supply:
    """The same with runc and the pause image out of Debian's packages."""
    rest = await debian.without_kubernetes(shop.cache, shop.say, shop.arch)
    shop.say(f"runc {rest.versions['runc']} and the pause image are Debian's: {reason}")
    return replace(
        supply,
        versions={**supply.versions, "runc": rest.versions["runc"]},
        binaries={**supply.binaries, "runc": rest.binaries["runc"]},
        parts={**supply.parts, "runc": ("runc",)},
        libraries={"runc": rest.libraries.get("runc", ())},
        packages={name: rest.packages[name] for name in rest.libraries.get("runc", ())},
        images={**rest.images, **supply.images},
        pause_image=rest.pause_image,
    )


async def built(shop: Workshop, part: str, version: str) -> Entry:
    """The programs of a part, from the cache or built; builds wait for one another, finds do not."""
    family = families.family(part, version)
    lock = locks.find(part, version, shop.beside) or await _new_lock(shop, part, version)
    go = await asyncio.to_thread(toolchain.find, lock.folder)
    key = _key(shop, part, version, lock, go)
    if entry := shop.cache.find(key):
        return entry
    async with shop.cache.lock("go-build", lambda: shop.say("waiting for another quorate that builds")):
        if entry := shop.cache.find(key):
            return entry
        with shop.cache.scratch() as work:
            cc = _cc(shop, family)
            files = await build(family, version, lock, go=go, arch=shop.arch, work=work, say=shop.say, compiler=cc)
            shop.say(f"{part} {version}: packing {len(files)} programs")
            entry = Entry(await shop.cache.add(files))
        shop.cache.keep(key, entry)
        return entry


def _cc(shop: Workshop, family: Family) -> Compiler | None:
    return shop.cc if family.cgo and isinstance(shop.cc, Compiler) else None


def _key(shop: Workshop, part: str, version: str, lock: Lock, go: Go) -> str:
    """What decides the bytes: recipe, lock, toolchain."""
    family = families.family(part, version)
    cc = _cc(shop, family)
    recipe = [dict(family.programs), dict(family.stamps), family.tags, lock.digest(), go.version]
    made_with = [cc.identity, cc.ldflags] if cc else []
    return f"modules {shop.arch} {part} {version} {short(json.dumps([*recipe, made_with]))}"


async def _new_lock(shop: Workshop, part: str, version: str) -> Lock:
    """A lock for a version that has none yet."""
    if shop.beside is None:
        raise ArtifactError(f"there is no lock for {part} {version}", "name a cluster file: its folder keeps the lock")
    place = shop.beside / locks.KEPT
    shop.say(f"{part} {version}: no lock is shipped; resolving its modules, kept in {place}")
    return await locks.make(families.family(part, version), version, place)


async def _images(
    shop: Workshop, versions: Mapping[str, str], entries: Mapping[str, Entry], tests: Blob | None
) -> dict[str, Blob]:
    """Archives by reference: the programs that run in pods, and pause where it can be compiled."""
    blobs = {name: entries[part].blobs[name] for part, name in IN_PODS.items() if part in entries}
    said = {name: versions[part] for part, name in IN_PODS.items() if part in entries}
    said |= {"pause": _pause_version(versions)}
    cc = shop.cc if isinstance(shop.cc, Compiler) else None
    digests = {name: blob.sha256 for name, blob in {**blobs, **({"tests": tests} if tests else {})}.items()}
    recipe = [FORM, said, digests, cc.identity if cc else None]
    key = f"modules {shop.arch} images {short(json.dumps(recipe, sort_keys=True))}"
    if entry := shop.cache.find(key):
        return dict(entry.blobs)
    with shop.cache.scratch() as work:
        programs = {name: _laid(blob, work / name) for name, blob in blobs.items()}
        if cc:
            lock = locks.find("kubernetes", versions["kubernetes"], shop.beside)
            assert lock is not None, "Kubernetes was built before"
            programs["pause"] = await pause.build(lock, said["pause"], cc, work)
        shop.say(f"making the images of {', '.join(programs)}")
        server = programs.pop("agnhost", None) if tests else None
        archives = await asyncio.to_thread(pod_images, programs, said, shop.arch, work)
        if tests and server:
            base, path = _laid(tests, work / "base.tar"), work / "tests.tar"
            await asyncio.to_thread(with_shell, server, base, [debian.TEST_IMAGE], shop.arch, path)
            archives[debian.TEST_IMAGE] = path
        entry = Entry(await shop.cache.add(archives))
    shop.cache.keep(key, entry)
    return dict(entry.blobs)


def _laid(blob: Blob, path: Path) -> Path:
    with path.open("wb") as file:
        file.writelines(unpacked(blob))
    return path


def _image(versions: Mapping[str, str], part: str) -> str | None:
    return reference(IN_PODS[part], versions[part]) if part in versions else None


def _pause_version(versions: Mapping[str, str]) -> str:
    """The version that goes with Kubernetes; its source changes with none of its patches."""
    return table(versions["kubernetes"]).pause_image.rpartition(":")[2]
