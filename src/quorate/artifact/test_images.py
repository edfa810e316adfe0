"""The images that Kubernetes' conformance tests start, made from the module's own sources and Debian's packages.

They have upstream's names, so that the suite finds them, and are not upstream's: who runs them has not run what the
CNCF certifies by. All are in one archive, in which what they share is there once.
"""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.artifact import oci
from quorate.artifact.oci import Image, Item
from quorate.artifact.pod_images import AGNHOST_PORTS
from quorate.artifact.root import locked, run_in_root
from quorate.render.debian import SHELL, layer

_NAMES = """
bash dash coreutils grep sed mawk findutils hostname procps util-linux libc-bin iproute2 iputils-ping net-tools curl
bind9-dnsutils netcat-openbsd socat iperf nginx-light apache2-bin tar gzip ncurses-bin
"""
PACKAGES = tuple(_NAMES.split())
"""What the tests call in their images."""
FURTHER = ("cmp", "diff", "hexdump", "mkfifo", "mknod", "setsid", "sha1sum", "sync", "sysctl", "tac", "xxd")
"""Commands of Debian's busybox that the tests may call in its image, beside those that our own test pods want."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_layer(cache: Path, root: Path) -> Path:
    """The layer with Debian's packages as an archive under `cache`; made once. Raises ArtifactError."""
    script = layer(PACKAGES)
    path = cache / f"tests-{hashlib.sha256(script.encode()).hexdigest()[:12]}.tar"
    with locked(cache / "image.lock"):
        if not path.is_file():
            scratch = cache / f"tests-{uuid.uuid4().hex[:8]}"
            try:
                run_in_root(root, ["sh", "-c", script], upper=scratch, timeout=900)
                (scratch / "upper/srv/layer.tar").rename(path)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return path


@dataclass(frozen=True)
class Stock:
    """What images are made of."""

    arch: str
    """Go's name of the hosts' architecture."""
    programs: Mapping[str, Path]
    """By name: agnhost, coredns, etcd, nnp, regression-issue-74839, sample-apiserver."""
    pause: Path | None
    """None where no compiler makes it: then the busybox waits."""
    sources: Path
    """The folder `test/images` of Kubernetes' module."""
    base: bytes
    """The layer with Debian's packages."""
    busybox: Sequence[bytes]
    """The layers of an image with a busybox."""


def make(names: Iterable[str], stock: Stock, path: Path) -> list[str]:
    """Write the images of these names that can be made to one archive; the names that can't be."""
    made: dict[str, Image] = {}
    missing = []
    for name in sorted(set(names)):
        maker = _MAKERS.get(name.rpartition("/")[2].partition(":")[0])
        if maker is None:
            missing.append(name)
        else:
            made[name] = maker(stock)
    oci.write_all(made, path)
    return missing


def _agnhost(stock: Stock) -> Image:
    """Programs, the pair of files that tests ask its server for, and the name server that some start in it."""
    pair = [Item(name, stock.sources / "agnhost/porter" / name) for name in ("localhost.crt", "localhost.key")]
    dns = [Item("coredns", stock.programs["coredns"], mode=0o755)] if "coredns" in stock.programs else []
    own = [Item("agnhost", stock.programs["agnhost"], mode=0o755), Item("agnhost-2", target="agnhost"), *pair, *dns]
    return Image(
        stock.arch, [stock.base, own], ["/agnhost"], ["pause"], environment={"PATH": _PATH}, ports=AGNHOST_PORTS
    )


def _picture(name: str) -> Callable[[Stock], Image]:
    """The server with a picture, and its name beside it."""

    def image(stock: Stock) -> Image:
        below, html = _agnhost(stock), stock.sources / name / "html"
        own = [Item(each, html / each) for each in (f"{name}.jpg", "data.json")]
        return replace(below, layers=[*below.layers, own], command=["test-webserver"])

    return image


def _debian(stock: Stock) -> Image:
    return Image(stock.arch, [stock.base], command=["/bin/bash"], environment={"PATH": _PATH})


def _nginx(stock: Stock) -> Image:
    return Image(stock.arch, [stock.base], command=["nginx"], environment={"PATH": _PATH}, ports=["80/tcp"])


def _httpd(stock: Stock) -> Image:
    command = ["apache2", "-D", "FOREGROUND", "-f", "/etc/httpd.conf"]
    return Image(stock.arch, [stock.base], command=command, environment={"PATH": _PATH}, ports=["80/tcp"])


def _busybox(stock: Stock) -> Image:
    """Debian's, with more of its commands."""
    links = [Item("bin/sh", SHELL.encode(), mode=0o755), *(Item(f"bin/{name}", target="busybox") for name in FURTHER)]
    return Image(stock.arch, [stock.base, *stock.busybox, links], command=["sh"], environment={"PATH": "/bin"})


def _nonroot(stock: Stock) -> Image:
    return replace(_busybox(stock), user="1234")


def _program(name: str) -> Callable[[Stock], Image]:
    """A program and nothing else."""
    return lambda stock: Image(stock.arch, [[Item(name, stock.programs[name], mode=0o755)]], [f"/{name}"])


def _etcd(stock: Stock) -> Image:
    """The one that goes with this Kubernetes, under the name of the suite's."""
    own = [Item("usr/local/bin/etcd", stock.programs["etcd"], mode=0o755)]
    return Image(stock.arch, [own], command=["etcd"], environment={"PATH": _PATH})


def _nonewprivs(stock: Stock) -> Image:
    """Runs as root whoever starts it, unless that is forbidden, as the test forbids it."""
    own = [Item("usr/local/bin/nnp", stock.programs["nnp"], mode=0o6755)]
    return Image(stock.arch, [own], command=["nnp"], environment={"PATH": _PATH})


def _pause(stock: Stock) -> Image:
    if stock.pause is None:
        return Image(stock.arch, stock.busybox, ["/bin/pause"], environment={"PATH": "/bin"})
    return Image(stock.arch, [[Item("pause", stock.pause, mode=0o755)]], ["/pause"], user="65535:65535")


_MAKERS: Mapping[str, Callable[[Stock], Image]] = {
    "agnhost": _agnhost,
    "busybox": _busybox,
    "etcd": _etcd,
    "glibc-dns-testing": _debian,
    "httpd": _httpd,
    "jessie-dnsutils": _debian,
    "kitten": _picture("kitten"),
    "nautilus": _picture("nautilus"),
    "nginx": _nginx,
    "nonewprivs": _nonewprivs,
    "nonroot": _nonroot,
    "pause": _pause,
    "regression-issue-74839": _program("regression-issue-74839"),
    "sample-apiserver": _program("sample-apiserver"),
}
