"""The source `release`: upstream's own builds, from upstream's URLs or mirrors with the same layout."""

import asyncio
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from quorate.artifact.binary import REQUIRED, elf_fault
from quorate.artifact.cache import Cache, Entry
from quorate.artifact.fetch import Fetcher
from quorate.artifact.lock import pin, pinned
from quorate.artifact.wanted import wanted_versions
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply
from quorate.spec.versions import containerd_static

Say = Callable[[str], None]

_GITHUB = "https://github.com"
PREFIXES: Mapping[str, str] = {
    "kubernetes": "https://dl.k8s.io",
    "etcd": f"{_GITHUB}/etcd-io/etcd/releases/download",
    "containerd": f"{_GITHUB}/containerd/containerd/releases/download",
    "runc": f"{_GITHUB}/opencontainers/runc/releases/download",
    "cni_plugins": f"{_GITHUB}/containernetworking/plugins/releases/download",
    "docker": "https://download.docker.com/linux/static/stable",
    "age": f"{_GITHUB}/FiloSottile/age/releases/download",
}
"""URL prefixes that `artifacts.mirrors` replaces."""
FILES: Mapping[str, tuple[str, str]] = {
    "kubernetes": ("v{v}/bin/linux/{arch}/{name}", "v{v}/bin/linux/{arch}/{name}.sha256"),
    "etcd": ("v{v}/etcd-v{v}-linux-{arch}.tar.gz", "v{v}/SHA256SUMS"),
    "containerd": (
        "v{v}/containerd-{static}{v}-linux-{arch}.tar.gz",
        "v{v}/containerd-{static}{v}-linux-{arch}.tar.gz.sha256sum",
    ),
    "runc": ("v{v}/runc.{arch}", "v{v}/runc.sha256sum"),
    "cni_plugins": (
        "v{v}/cni-plugins-linux-{arch}-v{v}.tgz",
        "v{v}/cni-plugins-linux-{arch}-v{v}.tgz.sha256",
    ),
    "docker": ("{uname}/docker-{v}.tgz", ""),
    "age": ("v{v}/age-v{v}-linux-{arch}.tar.gz", ""),
}
"""Path of a part's file below the prefix, and of its checksum (none: see `lock`)."""
_UNAME = {"amd64": "x86_64", "arm64": "aarch64"}
_EXTRA = {"etcd": ("etcdutl",)}
"""Binaries taken along where a version has them; of the CNI plugins all are."""


@dataclass(frozen=True)
class Download:
    """One file to fetch: a binary, or an archive of a part's binaries."""

    part: str
    url: str
    sums: str
    """URL of its checksums, empty when its publisher gives none."""
    binary: str = ""
    """Name of the binary that the file is; empty for an archive."""

    def key(self, arch: str) -> str:
        """Its key in the cache."""
        return f"release {arch} {self.url}"


def downloads(cluster: Cluster, arch: str) -> list[Download]:
    """All files to fetch."""
    mirrors = dict(PREFIXES) | {str(part): url for part, url in cluster.artifacts.mirrors.items()}
    found: list[Download] = []
    for part, version in wanted_versions(cluster).items():
        prefix = mirrors[part].rstrip("/")
        names = REQUIRED[part] if part in ("kubernetes", "runc") else ("",)
        for name in names:
            words = {"v": version, "arch": arch, "uname": _UNAME.get(arch, arch), "name": name}
            words["static"] = "static-" if part == "containerd" and containerd_static(version) else ""
            url, sums = (f"{prefix}/{path.format(**words)}" if path else "" for path in FILES[part])
            found.append(Download(part, url, sums, name))
    return found


def recall(cluster: Cluster, cache: Cache, arch: str) -> Supply | None:
    """Everything out of the cache, without any network; None when something is not there."""
    entries: dict[Download, Entry] = {}
    for one in downloads(cluster, arch):
        entry = cache.find(one.key(arch))
        if entry is None:
            return None
        entries[one] = entry
    return _supply(cluster, entries)


async def reachable(cluster: Cluster, cache: Cache, arch: str) -> str:
    """Why the wanted Kubernetes can't be had from here; empty when it can."""
    first = downloads(cluster, arch)[0]
    try:
        async with Fetcher(cache, lambda _: None, waits=(0.0,), connect=5) as fetcher:
            await fetcher.text(first.sums)
    except ArtifactError as error:
        return str(error)
    return ""


async def resolve_release(cluster: Cluster, cache: Cache, say: Say, arch: str = "amd64") -> Supply:
    """Upstream's builds, from the cache or fetched now. Raises `ArtifactError` at the first file that is wrong."""
    if supply := recall(cluster, cache, arch):
        return supply
    wanted = downloads(cluster, arch)
    async with Fetcher(cache, say) as fetcher:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_fetch(one, fetcher, arch)) for one in wanted]
        except BaseExceptionGroup as failed:
            for error in failed.exceptions:
                if isinstance(error, ArtifactError):
                    raise error from None
            raise
    return _supply(cluster, dict(zip(wanted, (task.result() for task in tasks), strict=True)))


async def _fetch(one: Download, fetcher: Fetcher, arch: str) -> Entry:
    cache = fetcher.cache
    if entry := cache.find(one.key(arch)):
        return entry
    expected = checksum(await fetcher.text(one.sums), one) if one.sums else pinned(cache, one.url)
    fetcher.say(f"fetching {one.url}")
    async with fetcher.file(one.url, expected) as (path, digest):
        with cache.scratch() as folder:
            if one.binary:
                binaries = {one.binary: path}
            else:
                binaries = await asyncio.to_thread(unpack, path, folder, one)
            for name, file in binaries.items():
                if fault := elf_fault(file, arch):
                    where = one.url if one.binary else f"{one.url}: {name}"
                    path.unlink()
                    raise ArtifactError(f"{where}: {fault}", "correct artifacts.mirrors, or the architecture")
            entry = Entry(await cache.add(binaries), {"sha256": digest})
    if expected is None:
        fetcher.say(f"{one.url} has no published checksum: trusted now and pinned as {digest}")
        pin(cache, one.url, digest)
    cache.keep(one.key(arch), entry)
    return entry


def checksum(text: str, one: Download) -> str:
    """The file's SHA-256 in a text of checksums: alone, or in its line. Raises `ArtifactError`."""
    name = one.url.rsplit("/", 1)[-1]
    alone = re.fullmatch(r"\s*([0-9a-fA-F]{64})\s*", text)
    if alone:
        return alone.group(1).lower()
    for line in text.splitlines():
        found = re.fullmatch(r"([0-9a-fA-F]{64})[ \t]+\*?(?:\S*/)?(\S+)\s*", line)
        if found and found.group(2) == name:
            return found.group(1).lower()
    got = "an HTML page" if text.lstrip()[:1] == "<" else "a text without it"
    raise ArtifactError(
        f"{one.sums}: expected the SHA-256 of {name}, got {got}",
        "the mirror must carry upstream's checksum files beside the binaries: correct artifacts.mirrors",
    )


def unpack(path: Path, folder: Path, one: Download) -> dict[str, Path]:
    """The wanted binaries of a gzipped tar, by name; whatever their folder in it. Raises `ArtifactError`."""
    required = REQUIRED[one.part]
    found: dict[str, Path] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                plugin = one.part == "cni_plugins" and member.mode & 0o111 and "." not in name
                if not member.isfile() or not (plugin or name in required + _EXTRA.get(one.part, ())):
                    continue
                content = tar.extractfile(member)
                assert content is not None
                found[name] = folder / name
                with found[name].open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtifactError(f"{one.url}: expected a gzipped tar: {error}", "correct artifacts.mirrors") from error
    missing = [name for name in required if name not in found]
    if missing:
        raise ArtifactError(f"{one.url}: expected {', '.join(missing)} in it", "choose another version")
    return found


def _supply(cluster: Cluster, entries: Mapping[Download, Entry]) -> Supply:
    parts: dict[str, tuple[str, ...]] = {}
    for one, entry in entries.items():
        parts[one.part] = (*parts.get(one.part, ()), *sorted(entry.blobs))
    return Supply(
        versions=wanted_versions(cluster),
        binaries={name: blob for entry in entries.values() for name, blob in entry.blobs.items()},
        parts=parts,
    )
