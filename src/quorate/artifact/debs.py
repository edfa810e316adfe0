"""Debian packages as files: binaries taken out of them, and packages with all that a minimal host lacks."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from quorate.artifact.root import run_in_root
from quorate.render import debian

EXTRACT: Mapping[str, tuple[tuple[str, str], ...]] = {
    "etcd": (("etcd-server", "usr/bin/etcd"), ("etcd-client", "usr/bin/etcdctl")),
    "containerd": (
        ("containerd", "usr/bin/containerd"),
        ("containerd", "usr/bin/containerd-shim-runc-v2"),
        ("containerd", "usr/bin/ctr"),
    ),
    "runc": (("runc", "usr/sbin/runc"),),
    "docker": (
        ("docker.io", "usr/sbin/dockerd"),
        ("docker.io", "usr/bin/docker"),
        ("docker.io", "usr/sbin/docker-proxy"),
        ("tini", "usr/bin/tini-static"),
    ),
    "cni_plugins": (("containernetworking-plugins", "usr/lib/cni"),),
    "age": (("age", "usr/bin/age"),),
}
"""Where the binaries of each part are: Debian package and path; a folder stands for all that is in it."""

RENAMED = {"tini-static": "docker-init"}

_TOOLS = """
nginx libnginx-mod-stream haproxy keepalived chrony conntrack ethtool socat ipset ipvsadm iptables nftables
iproute2 curl kmod procps psmisc ca-certificates
"""
TOOLS = tuple(_TOOLS.split())
"""Packages that hosts may need beside the binaries."""

FLOOR = ("libc6",)
"""Library packages that every host has."""


@dataclass(frozen=True)
class Debs:
    """What was taken from the packages; the files are in the working folder."""

    binaries: Mapping[str, Path]
    parts: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, str]
    libraries: Mapping[str, tuple[str, ...]]
    files: Mapping[str, Path]
    """Package files by file name."""
    closures: Mapping[str, tuple[str, ...]]
    """Names of the package files that a package needs on a minimal host, itself included."""


def fetch_debs(root: Path, work: Path, say: Callable[[str], None]) -> Debs:
    """Download with apt inside an overlay of `root`, and take the packages apart. Raises `ArtifactError`."""
    exchange = work / "exchange"
    exchange.mkdir(parents=True)
    status = (root / "var/lib/dpkg/status").read_text()
    (exchange / "status").write_text(minimal_status(status))
    sources = {package for places in EXTRACT.values() for package, _ in places}
    say(f"downloading {', '.join(sorted(sources))} and packages for hosts from this machine's Debian mirror")
    run_in_root(
        root,
        ["sh", "-c", debian.TAKE_APART],
        upper=work,
        binds={exchange: "/exchange"},
        env={"SOURCES": " ".join(sorted(sources)), "TOOLS": " ".join(TOOLS)},
    )
    return _read(exchange)


def _read(exchange: Path) -> Debs:
    binaries: dict[str, Path] = {}
    parts: dict[str, tuple[str, ...]] = {}
    versions: dict[str, str] = {}
    libraries: dict[str, tuple[str, ...]] = {}
    for part, places in EXTRACT.items():
        names: list[str] = []
        for package, where in places:
            path = exchange / "trees" / package / where
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                names.append(RENAMED.get(file.name, file.name))
                binaries[names[-1]] = file
        parts[part] = tuple(names)
        told = [(exchange / "depends" / package).read_text().splitlines() for package, _ in places]
        versions[part] = upstream_version(told[0][0])
        needed = {name for lines in told for name in depends(" ".join(lines[1:])) if name.startswith("lib")}
        libraries[part] = tuple(sorted(needed - set(FLOOR)))
    files = {file.name: file for file in sorted((exchange / "debs").iterdir())}
    by_id = {"=".join(identity(name)): name for name in files}
    closures = {
        file.name: tuple(by_id[line.replace(":amd64=", "=")] for line in sorted(file.read_text().split()))
        for file in sorted((exchange / "closures").iterdir())
        if file.name not in FLOOR
    }
    return Debs(binaries, parts, versions, libraries, files, closures)


def identity(filename: str) -> tuple[str, str]:
    """Name and version of a package file, from its file name `name_version_arch.deb`."""
    name, version, _ = filename.split("_", 2)
    return name, unquote(version)


def upstream_version(version: str) -> str:
    """Upstream's version in a Debian one, without epoch, revision, `+dfsg1` and `~ds1`.

    `1.20.5+really1.20.2-1` is 1.20.2.
    """
    plain = version.split(":", 1)[-1].rsplit("-", 1)[0]
    plain = plain.split("+really", 1)[-1]
    return plain.split("+", 1)[0].split("~", 1)[0]


def depends(field: str) -> list[str]:
    """Package names of a Depends or Provides field, all alternatives included."""
    return [one.split("(")[0].split(":")[0].strip() for one in field.replace("|", ",").split(",") if one.strip()]


def minimal_status(status: str) -> str:
    """The part of a dpkg status that the smallest Debian has: what is essential or required, and its needs."""
    paragraphs: dict[str, tuple[str, dict[str, str]]] = {}
    provided: dict[str, str] = {}
    for text in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[:1] != " ")
        if "Package" not in fields:
            continue
        paragraphs[fields["Package"]] = (text, fields)
        for name in depends(fields.get("Provides", "")):
            provided.setdefault(name, fields["Package"])
    wanted: Iterable[str] = [
        name
        for name, (_, fields) in paragraphs.items()
        if fields.get("Essential") == "yes" or fields.get("Priority") == "required" or name == "apt"
    ]
    kept: dict[str, str] = {}
    queue = list(wanted)
    while queue:
        name = queue.pop()
        name = name if name in paragraphs else provided.get(name, "")
        if not name or name in kept:
            continue
        kept[name], fields = paragraphs[name]
        queue += depends(fields.get("Depends", "")) + depends(fields.get("Pre-Depends", ""))
    return "\n\n".join(kept[name] for name in sorted(kept)) + "\n\n"


def recipe(suite: str) -> str:
    """All that decides what is taken from the packages, as text."""
    return json.dumps([suite, debian.TAKE_APART, {**EXTRACT}, RENAMED, TOOLS, FLOOR])
