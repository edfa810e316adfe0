"""The C compiler for the programs that need one (runc, pause), and its static libseccomp."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quorate.core import ArtifactError

_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
"""Debian's names of the architectures' C libraries."""
_PACKAGES = ("libc6-dev", "libseccomp-dev", "pkg-config")


@dataclass(frozen=True)
class Compiler:
    """A C compiler for one architecture that links libc and libseccomp statically."""

    cc: str
    identity: str
    """Its own version, and that of libseccomp: what decides the result."""
    environment: Mapping[str, str]
    ldflags: str = "-linkmode external -extldflags -static"

    def compile(self, source: Path, target: Path, *words: str) -> None:
        """One static, stripped program out of one file of C. Raises `ArtifactError`."""
        ours = ["-Os", "-Wall", "-static", "-s", f"-ffile-prefix-map={source.parent}=.", "-Wl,--build-id=none"]
        argv = [self.cc, *ours, *words, str(source), "-o", str(target)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ArtifactError(f"{self.cc} {source.name}: {done.stderr.strip()[-300:]}")


def find(arch: str) -> Compiler | str:
    """The compiler for an architecture; else why there is none. As root on Debian, lacking headers are installed."""
    triplet = _TRIPLETS.get(arch)
    if triplet is None:
        return f"no C compiler is known for {arch}"
    cc = shutil.which(f"{triplet}-gcc") or _own(triplet)
    if cc is None:
        return f"there is no {triplet}-gcc"
    config = shutil.which(f"{triplet}-pkg-config") or shutil.which("pkg-config")
    if config is None or not _library(cc, "libseccomp.a") or not _library(cc, "libc.a"):
        _install(arch)
        config = shutil.which("pkg-config")
        if config is None or not _library(cc, "libseccomp.a"):
            return f"{triplet} has no static libseccomp (libseccomp-dev)"
    folder = f"/usr/lib/{triplet}/pkgconfig"
    env = {"CGO_ENABLED": "1", "CC": cc, "PKG_CONFIG": config, "PKG_CONFIG_LIBDIR": folder, "CGO_CFLAGS": "-O2"}
    seccomp = _said([config, "--modversion", "libseccomp"], {"PKG_CONFIG_LIBDIR": folder})
    return Compiler(cc, f"{_said([cc, '--version'], {}).splitlines()[0]}, libseccomp {seccomp}", env)


def _own(triplet: str) -> str | None:
    """The machine's own compiler, where it makes programs of that kind."""
    for name in ("gcc", "cc"):
        if (cc := shutil.which(name)) and _said([cc, "-dumpmachine"], {}) == triplet:
            return cc
    return None


def _library(cc: str, name: str) -> bool:
    """Whether the linker finds it: the compiler answers with a path, or with the name alone."""
    return "/" in _said([cc, f"-print-file-name={name}"], {})


def _install(arch: str) -> None:
    """Try to get what is missing from the machine's own packages; whether that worked shows in a second look."""
    # Another architecture's packages need a setting of the machine that is not ours to change.
    native = _said(["dpkg", "--print-architecture"], {}) == arch if shutil.which("dpkg") else False
    if not native or os.geteuid() != 0:
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["-y", "--no-install-recommends", "install", *_PACKAGES]):
        subprocess.run(["apt-get", "-qq", *words], env=env, capture_output=True, check=False)


def _said(argv: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    return done.stdout.strip()
