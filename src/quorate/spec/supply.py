"""What the artifact source delivers, as a frozen value: `artifact` makes it, components read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from quorate.core import Blob


@dataclass(frozen=True)
class PackageFile:
    """One distribution package as a file."""

    name: str
    version: str
    filename: str
    blob: Blob


@dataclass(frozen=True)
class Supply:
    """Binaries, packages and images by name."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Version of each part: kubernetes, etcd, containerd, docker, runc, cni_plugins, age."""
    binaries: Mapping[str, Blob] = field(default_factory=dict)
    """By file name: kube-apiserver, ..., etcd, etcdctl, containerd, runc, dockerd, bridge, host-local, ..."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Binary names of each part; `runtime` parts differ between versions and sources."""
    libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Distribution packages that a part's binaries are linked against (none for static ones)."""
    packages: Mapping[str, tuple[PackageFile, ...]] = field(default_factory=dict)
    """By package name: the package and all it needs on a minimal host; empty = the host's own mirrors."""
    images: Mapping[str, Blob] = field(default_factory=dict)
    """Image archives by reference, in the format that both `docker load` and `ctr images import` read."""
    pause_image: str | None = None
    """Sandbox image that the source delivers, if it does."""
    coredns_image: str | None = None
    """CoreDNS image that the source delivers, if it does."""
    metrics_server_image: str | None = None
    """metrics-server image that the source delivers, if it does."""
    promises: bool = False
    """Some programs are only promised; see `promised`."""


def promised(supply: Supply, versions: Mapping[str, str]) -> Supply:
    """The same with parts of other versions that nobody has fetched yet: good for a plan, and nothing to send.

    Digests say so; sizes are guessed by those of the programs that are there.
    """
    binaries = dict(supply.binaries)
    for part, version in versions.items():
        if version != supply.versions.get(part):
            for name in supply.parts.get(part, ()):
                to_come = f"yet unknown: {name} {version}"
                binaries[name] = Blob(Path("/nonexistent", to_come), to_come, supply.binaries[name].size)
    return replace(supply, versions={**supply.versions, **versions}, binaries=binaries, promises=True)
