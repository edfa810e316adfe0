"""Packages for the real dpkg in a root of its own."""

import gzip
import hashlib
import subprocess
from pathlib import Path

from quorate.core import Blob
from quorate.resource.package import Packages
from quorate.spec.supply import PackageFile

BARE = "cd /var/lib/dpkg; mkdir -p info updates triggers; touch status available"


def made(folder: Path, name: str, depends: str = "", script: str = "") -> PackageFile:
    """A package with one file in /etc/test; its script, if it has one, first makes another that says so."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc/test").mkdir(parents=True)
    (tree / "etc/test" / name).write_text(name)
    fields = ["Package: " + name, "Version: 1", "Architecture: all", "Maintainer: x", "Description: x"]
    fields += [f"Depends: {depends}"] if depends else []
    (tree / "DEBIAN/control").write_text("\n".join(fields) + "\n")
    if script:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\ntouch /etc/test/{name}.runs\n{script}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    deb = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, deb], check=True, capture_output=True)
    content = deb.read_bytes()
    packed = folder / f"{deb.name}.gz"
    packed.write_bytes(gzip.compress(content))
    return PackageFile(name, "1", deb.name, Blob(packed, hashlib.sha256(content).hexdigest(), len(content)))


def resource(files: list[PackageFile]) -> Packages:
    return Packages(host="h", purpose="a test", packages=("q-two",), manager="apt", files=tuple(files))
