"""Images of programs that were built here: pause, CoreDNS, metrics-server, and Kubernetes' own test server.

Each holds one static program and what that needs of a root: users, an empty folder for certificates of public
authorities, /tmp. Users, ports and what is run are those of the projects' own images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from quorate.artifact.oci import Image, Item, directory, layers_of, write

AGNHOST_PORTS = tuple(f"{port}/tcp" for port in (80, 5000, 8080, 8081, 9376))
"""What the test server's commands listen at."""
REGISTRY = "quorate.local"
"""Before the names: these images are not the projects' own."""

_NOBODY, _NONROOT, _PAUSE = 65534, 65532, 65535
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/nonexistent:/sbin/nologin\n"
    f"nonroot:x:{_NONROOT}:{_NONROOT}:nonroot:/nonexistent:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnobody:x:{_NOBODY}:\nnonroot:x:{_NONROOT}:\n",
    # Names of the hosts file before those of DNS, also for programs with a resolver of their own.
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def reference(name: str, version: str) -> str:
    """The name under which pods find the image of a program."""
    return f"{REGISTRY}/{name}:{version}"


def pod_images(programs: Mapping[str, Path], versions: Mapping[str, str], arch: str, folder: Path) -> dict[str, Path]:
    """Archives in `folder` by image reference, one for each of the programs that is known here.

    `programs` and `versions` are by name: pause, coredns, metrics-server, agnhost; a program that is not there has
    no image. `arch` is Go's name of the hosts' architecture.
    """
    made: dict[str, Path] = {}
    for name, make in _IMAGES.items():
        if name in programs:
            path = folder / f"{name}.tar"
            write(make(programs[name], arch), [reference(name, versions[name])], path)
            made[reference(name, versions[name])] = path
    return made


def with_shell(agnhost: Path, base: Path, names: Sequence[str], arch: str, path: Path) -> None:
    """Write to `path` the test server on top of an image with a shell and its commands, as test pods need it."""
    alone = _agnhost(agnhost, arch)
    layers = [*layers_of(base), *alone.layers]
    write(replace(alone, layers=layers, environment={"PATH": "/bin"}), names, path)


def _root(*programs: Item) -> list[Item]:
    """A layer with the programs at the top."""
    folders = [directory("etc"), directory("etc/ssl"), directory("etc/ssl/certs"), directory("tmp", 0o1777)]
    return [*folders, *(Item(path, text.encode()) for path, text in sorted(_FILES.items())), *programs]


def _pause(program: Path, arch: str) -> Image:
    layer = [Item("pause", program, mode=0o755)]
    return Image(arch, [layer], entrypoint=["/pause"], user=f"{_PAUSE}:{_PAUSE}")


def _coredns(program: Path, arch: str) -> Image:
    layer = _root(Item("coredns", program, mode=0o755, low_ports=True))
    user = f"{_NONROOT}:{_NONROOT}"
    return Image(arch, [layer], entrypoint=["/coredns"], user=user, ports=["53/tcp", "53/udp"])


def _metrics_server(program: Path, arch: str) -> Image:
    layer = _root(Item("metrics-server", program, mode=0o755))
    return Image(arch, [layer], entrypoint=["/metrics-server"], user=f"{_NOBODY}:{_NOBODY}")


def _agnhost(program: Path, arch: str) -> Image:
    """It is called by a second name, and writes what is sent to it into /uploads."""
    second = Item("agnhost-2", target="agnhost")
    layer = _root(Item("agnhost", program, mode=0o755), second, directory("uploads", 0o1777))
    return Image(arch, [layer], entrypoint=["/agnhost"], command=["pause"], ports=AGNHOST_PORTS)


_IMAGES: Mapping[str, Callable[[Path, str], Image]] = {
    "pause": _pause,
    "coredns": _coredns,
    "metrics-server": _metrics_server,
    "agnhost": _agnhost,
}
