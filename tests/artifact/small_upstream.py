"""An upstream in small on this machine: the same URLs, tiny binaries, and every fault on demand."""

import hashlib
import io
import struct
import tarfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from quorate.artifact.binary import REQUIRED

VERSIONS = {
    "kubernetes": "1.20.2",
    "etcd": "3.4.23",
    "containerd": "1.6.20",
    "runc": "1.1.5",
    "cni_plugins": "1.1.1",
}
DOCKER = "20.10.24"


def elf(name: str, machine: int = 62, size: int = 3000, version: str = "") -> bytes:
    """A program that runs (on x86-64): it says its name and version, and ends; with bytes of its own behind it.

    Without a `version` it has that of its part in `VERSIONS`.
    """
    part = next((part for part, names in REQUIRED.items() if name in names), "")
    text = f"{name} v{version or VERSIONS.get(part, DOCKER)}\n".encode()
    # write(1, text, length); exit(0)
    code = b"\xb8\1\0\0\0\xbf\1\0\0\0\x48\x8d\x35\x10\0\0\0\xba" + struct.pack("<I", len(text))
    code += b"\x0f\x05\xb8\x3c\0\0\0\x31\xff\x0f\x05"
    noise = b"".join(hashlib.sha256(f"{name}{n}".encode()).digest() for n in range(size // 32))
    start, whole = 0x400078, 0x78 + len(code + text + noise)
    head = (
        b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, whole, whole, 0x1000)
    return head + segment + code + text + noise


def tgz(files: dict[str, bytes]) -> bytes:
    """A gzipped tar of executables."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Upstream:
    """The server's files by path, its faults, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """Path: how many more transfers end in the middle."""
    status: dict[str, list[int]] = field(default_factory=dict)
    html: set[str] = field(default_factory=set)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range header of each request."""

    def put(self, path: str, content: bytes, sums: str = "") -> None:
        """A file, and its line in a file of checksums."""
        self.files[path] = content
        if sums:
            line = f"{hashlib.sha256(content).hexdigest()}  {path.rsplit('/', 1)[-1]}\n"
            self.files[sums] = self.files.get(sums, b"") + line.encode()

    def fill(self, versions: dict[str, str]) -> None:
        """All that upstream publishes of these versions."""
        v = versions["kubernetes"]
        for name in REQUIRED["kubernetes"]:
            path = f"/v{v}/bin/linux/amd64/{name}"
            self.put(path, elf(name))
            self.files[f"{path}.sha256"] = hashlib.sha256(self.files[path]).hexdigest().encode()
        v = versions["etcd"]
        stem = f"etcd-v{v}-linux-amd64"
        members = {f"{stem}/{name}": elf(name) for name in ("etcd", "etcdctl")} | {f"{stem}/README.md": b"hello"}
        self.put(f"/v{v}/{stem}.tar.gz", tgz(members), f"/v{v}/SHA256SUMS")
        v = versions["containerd"]
        path = f"/v{v}/containerd-{v}-linux-amd64.tar.gz"
        self.put(path, tgz({f"bin/{name}": elf(name) for name in REQUIRED["containerd"]}), f"{path}.sha256sum")
        v = versions["runc"]
        self.put(f"/v{v}/runc.amd64", elf("runc"), f"/v{v}/runc.sha256sum")
        v = versions["cni_plugins"]
        path = f"/v{v}/cni-plugins-linux-amd64-v{v}.tgz"
        plugins = (*REQUIRED["cni_plugins"], "vlan")
        self.put(path, tgz({f"./{name}": elf(name) for name in plugins}), f"{path}.sha256")
        self.put("/x86_64/docker-20.10.24.tgz", tgz({f"docker/{name}": elf(name) for name in REQUIRED["docker"]}))

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One GET."""
        path, wanted = request.path, request.headers.get("Range", "")
        self.asked.append((path, wanted))
        statuses = self.status.get(path, [])
        content = self.files.get(path)
        if statuses or content is None:
            status = statuses.pop(0) if statuses else 404
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        body = b"<!DOCTYPE html><html>Sign in</html>" if path in self.html else content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Type", "text/html" if path in self.html else "application/octet-stream")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cut.get(path, 0):
            self.cut[path] -= 1
            request.wfile.write(body[: len(body) // 2])
            request.wfile.flush()
            request.connection.close()
            return
        request.wfile.write(body)


def resum(folder: Path) -> None:
    """Write SHA256SUMS anew."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(folder).as_posix()}\n" for f in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
