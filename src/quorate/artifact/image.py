"""A small container image made here, for clusters that reach no registry: pause and test pods run from it.

It holds the static busybox of Debian with links. The same input gives the same bytes.
"""

import hashlib
import json
import platform
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from quorate.artifact import oci
from quorate.artifact.root import locked, run_in_root
from quorate.core import ArtifactError
from quorate.render.debian import BUSYBOX

_APPLETS = """
[ awk base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false find free grep gunzip
gzip head hostname httpd id ifconfig ip kill killall ln ls md5sum mkdir mktemp mount mv nc netstat nslookup od
ping printf ps pwd readlink rm rmdir route sed seq sh sha256sum sleep sort stat tail tar tee telnet test time
timeout top touch tr traceroute true umount uname uniq uptime vi wc wget which whoami xargs yes
"""
APPLETS = tuple(_APPLETS.split())
"""Commands of the image, where this busybox has them."""
NEEDED = frozenset({"sh", "sleep", "wget", "httpd", "nslookup", "dd"})
"""What `verify` and the pause command use."""

PAUSE = "#!/bin/sh\ntrap 'exit 0' TERM INT\nwhile :; do sleep 86400 & wait $!; done\n"
"""The default command: waits for ever, reaps orphans, and ends at once when told to."""

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
"""Go's name of an architecture by the kernel's."""
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
    recipe = json.dumps([oci.FORM, oci.proper(tags), APPLETS, PAUSE, _FILES])
    path = cache / f"image-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    with locked(cache / "image.lock"):
        if not path.is_file():
            content, applets = _busybox(cache, root)
            machine = platform.machine()
            oci.write(image(content, applets, ARCHITECTURES.get(machine, machine)), tags, path)
    return path


def _busybox(cache: Path, root: Path) -> tuple[bytes, tuple[str, ...]]:
    """The static busybox, and those of `APPLETS` that it has."""
    scratch = cache / f"busybox-{uuid.uuid4().hex[:8]}"
    try:
        said = run_in_root(root, ["sh", "-c", BUSYBOX], upper=scratch, timeout=300)
        content = (scratch / "upper/srv/busybox").read_bytes()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    present = set(said.partition("BEGIN\n")[2].partition("END")[0].split())
    lacking = NEEDED - present
    if lacking:
        raise ArtifactError(f"Debian's busybox-static lacks {', '.join(sorted(lacking))}")
    return content, tuple(name for name in APPLETS if name in present)


def image(busybox: bytes, applets: Sequence[str], arch: str) -> oci.Image:
    """The image of a busybox with these links."""
    folders = (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777))
    layer = [
        *(oci.directory(name, mode) for name, mode in folders),
        oci.Item("bin/busybox", busybox, mode=0o755),
        oci.Item("bin/pause", PAUSE.encode(), mode=0o755),
        *(oci.Item(f"bin/{name}", target="busybox") for name in sorted(set(applets))),
        *(oci.Item(name, text.encode()) for name, text in sorted(_FILES.items())),
    ]
    return oci.Image(arch, [layer], command=["/bin/pause"], environment={"PATH": "/bin"})
