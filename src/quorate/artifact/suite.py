"""Kubernetes' own tests, built for this machine, and the images that they start, for the workers."""

import asyncio
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quorate.artifact import debian, modules, test_images
from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.golang import compiler, locks, pause
from quorate.artifact.golang.compiler import Compiler
from quorate.artifact.image import ARCHITECTURES
from quorate.artifact.modules import Workshop
from quorate.artifact.oci import layers_of
from quorate.artifact.root import default_cache, ensure_root
from quorate.artifact.wanted import newest
from quorate.core import ArtifactError, Blob
from quorate.spec.versions import table

Say = Callable[[str], None]
ARCHIVE, LIST = "conformance-images.tar", "conformance-images.txt"
_REFUSED = re.compile(r"invalid\.|gcr\.io/k8s-authenticated-test/")
"""Images that no host may get: the tests are that it does not."""


@dataclass(frozen=True)
class Suite:
    """Programs for this machine."""

    e2e: Path
    kubectl: Path


async def programs(version: str, cache: Cache, say: Say, beside: Path | None) -> Suite:
    """The suite of a Kubernetes version and its kubectl, from the cache or built now. Raises ArtifactError."""
    shop = await _workshop(cache, say, beside)
    e2e = (await modules.built(shop, "e2e", version)).blobs["e2e.test"]
    kubectl = (await modules.built(shop, "kubernetes", version)).blobs["kubectl"]
    return Suite(await asyncio.to_thread(_laid, e2e, "e2e.test"), await asyncio.to_thread(_laid, kubectl, "kubectl"))


async def images(version: str, suite: Suite, cache: Cache, say: Say, beside: Path | None, folder: Path) -> list[str]:
    """Write the images that can be made to one archive in `folder`, and a list of all; those that can't be made.

    They are of this machine's architecture, as Debian's packages in them are. Raises ArtifactError.
    """
    shop = await _workshop(cache, say, beside)
    blobs = await _in_images(shop, version)
    lock = locks.find("kubernetes", version, beside)
    assert lock is not None, "agnhost was built before"
    say("making the images of the tests")
    root = await asyncio.to_thread(ensure_root, default_cache(), say)
    base = await asyncio.to_thread(test_images.base_layer, default_cache(), root)
    tests = (await debian.without_kubernetes(cache, say, shop.arch)).images[debian.TEST_IMAGE]
    names = _named(suite.e2e)
    folder.mkdir(parents=True, exist_ok=True)
    with cache.scratch() as work:
        program = None
        if isinstance(shop.cc, Compiler):
            program = await pause.build(lock, table(version).pause_image.rpartition(":")[2], shop.cc, work)
        stock = test_images.Stock(
            shop.arch,
            programs={name: _write(blob, work / name) for name, blob in blobs.items()},
            pause=program,
            sources=await pause.sources(lock, work) / "test/images",
            base=base.read_bytes(),
            busybox=layers_of(_write(tests, work / "busybox.tar")),
        )
        missing = await asyncio.to_thread(test_images.make, names, stock, folder / ARCHIVE)
    lines = [f"{'upstream' if name in missing else 'made here'}\t{name}" for name in names]
    (folder / LIST).write_text("\n".join(lines) + "\n")
    return missing


async def _in_images(shop: Workshop, version: str) -> dict[str, Blob]:
    """The programs that the tests start in pods, by name."""
    found = dict((await modules.built(shop, "agnhost", version)).blobs)
    lock = locks.find("kubernetes", version, shop.beside)
    assert lock is not None, "agnhost was built by it"
    sample = lock.replaced("k8s.io/sample-apiserver")
    beside = newest(version, "etcd", "coredns")
    for part, one in {"test_programs": version, "sample_apiserver": sample, **beside}.items():
        found |= (await modules.built(shop, part, one)).blobs
    return found


async def _workshop(cache: Cache, say: Say, beside: Path | None) -> Workshop:
    machine = platform.machine()
    arch = ARCHITECTURES.get(machine, machine)
    return Workshop(cache, arch, beside, say, await asyncio.to_thread(compiler.find, arch))


def _named(e2e: Path) -> list[str]:
    """The images that the suite may start."""
    done = subprocess.run([str(e2e), "--list-images"], capture_output=True, text=True, timeout=120, check=False)
    names = [line.strip() for line in done.stdout.splitlines() if "/" in line and not _REFUSED.match(line.strip())]
    if done.returncode != 0 or not names:
        raise ArtifactError(f"{e2e} names no images: {done.stderr.strip()[-200:]}")
    return sorted(names)


def _laid(blob: Blob, name: str) -> Path:
    """A program in a file of its own in the cache, to be run from there."""
    path = default_cache() / "suite" / blob.sha256[:12] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _write(blob, path.with_name(f"{name}.part"))
        part.chmod(0o755)
        part.rename(path)
    return path


def _write(blob: Blob, path: Path) -> Path:
    with path.open("wb") as file:
        file.writelines(unpacked(blob))
    return path
