"""A small container image made here, for clusters that reach no registry: pause and test pods run from it.

It holds the static busybox of Debian with links, and is a `docker save` archive, which `docker load` and
`ctr images import` both read. The same input gives the same bytes.
"""

import hashlib
import io
import json
import platform
import re
import shutil
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from quorate.artifact.root import locked, run_in_root
from quorate.core import ArtifactError

_APPLETS = """
[ awk base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false find free grep gunzip
gzip head hostname httpd id ifconfig ip kill killall ln ls md5sum mkdir mktemp mount mv nc netstat nslookup od
ping printf ps pwd readlink rm rmdir route sed seq sh sha256sum sleep sort stat tail tar tee telnet test time
timeout top touch tr traceroute true umount uname uniq uptime vi wc wget which whoami xargs yes
"""
APPLETS = tuple(_APPLETS.split())
"""Commands of the image, where this busybox has them."""
NEEDED = frozenset({"sh", "sleep", "wget", "httpd", "nslookup"})
"""What `verify` and the pause command use."""

PAUSE = "#!/bin/sh\ntrap 'exit 0' TERM INT\nwhile :; do sleep 86400 & wait $!; done\n"
"""The default command: waits for ever, reaps orphans, and ends at once when told to."""

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n",
}


def build_image(cache: Path, root: Path, tags: Sequence[str]) -> Path:
    """The image as an archive under `cache`, with these names (`registry.example/pause:3.2`).

    `root` is the bare root that fetches busybox with its apt; both are needed only the first time. Raises
    `ArtifactError`.
    """
    for tag in tags:
        if not re.fullmatch(r"[a-z0-9][A-Za-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9._-]*", tag):
            raise ArtifactError(f"not the name of an image with a tag: {tag}")
    recipe = json.dumps([sorted(set(tags)), APPLETS, PAUSE, _FILES])
    image = cache / f"image-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    with locked(cache / "image.lock"):
        if not image.is_file():
            content, applets = _busybox(cache, root)
            part = image.with_suffix(".part")
            part.write_bytes(archive(content, applets, sorted(set(tags))))
            part.rename(image)
    return image


def _busybox(cache: Path, root: Path) -> tuple[bytes, tuple[str, ...]]:
    """The static busybox, and those of `APPLETS` that it has."""
    scratch = cache / f"busybox-{uuid.uuid4().hex[:8]}"
    script = """set -eu
        apt-get -qq update
        cd /srv
        apt-get -qq -o APT::Sandbox::User=root download busybox-static
        dpkg-deb -x busybox-static_*.deb /out
        cp "$(find /out -name busybox -type f -perm -1)" /srv/busybox
        echo BEGIN; /srv/busybox --list; echo END"""
    try:
        said = run_in_root(root, ["sh", "-c", script], upper=scratch, timeout=300)
        content = (scratch / "upper/srv/busybox").read_bytes()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    present = set(said.partition("BEGIN\n")[2].partition("END")[0].split())
    lacking = NEEDED - present
    if lacking:
        raise ArtifactError(f"Debian's busybox-static lacks {', '.join(sorted(lacking))}")
    return content, tuple(name for name in APPLETS if name in present)


def archive(busybox: bytes, applets: Sequence[str], tags: Sequence[str], machine: str = "") -> bytes:
    """The `docker save` archive of the image, byte for byte the same each time."""
    layer = _layer(busybox, applets)
    digest = hashlib.sha256(layer).hexdigest()
    machine = machine or platform.machine()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/pause"], "Env": ["PATH=/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "quorate"}],
        },
        sort_keys=True,
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": [f"{digest}/layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, f"{digest}/layer.tar", layer)
        _add(tar, name, config)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def _layer(busybox: bytes, applets: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            _add(tar, folder, None, mode)
        _add(tar, "bin/busybox", busybox, 0o755)
        _add(tar, "bin/pause", PAUSE.encode(), 0o755)
        for name in sorted(set(applets)):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            tar.addfile(link)
        for name, text in sorted(_FILES.items()):
            _add(tar, name, text.encode())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes | None, mode: int = 0o644) -> None:
    """Add a file, or a folder where there is no content; owner root, time zero."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
