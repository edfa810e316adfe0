"""Locks: which modules a family is built of, as go.mod and go.sum; names, versions and sums, no addresses.

Shipped ones lie in `locks/` of this package. A version without one gets one made, checked by the sum database, and kept
beside the cluster file; it belongs to the cluster, as the file does.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.artifact.golang import families, toolchain
from quorate.artifact.golang.families import Family
from quorate.artifact.golang.toolchain import Go
from quorate.core import ArtifactError
from quorate.spec.versions import parts

SHIPPED = Path(__file__).with_name("locks")
KEPT = "modules"
"""Folder beside the cluster file."""
_FILES = ("go.mod", "go.sum")


@dataclass(frozen=True)
class Lock:
    """A lock of one family at one version."""

    folder: Path

    def digest(self) -> str:
        """SHA-256 over its files."""
        return hashlib.sha256(b"\0".join((self.folder / name).read_bytes() for name in _FILES)).hexdigest()

    def sum(self, module: str, version: str) -> str:
        """The sum of a module's content. Raises `ArtifactError` when the lock lacks it."""
        for line in (self.folder / "go.sum").read_text().splitlines():
            if line.startswith(f"{module} v{version} h1:"):
                return line.split()[2]
        raise ArtifactError(f"{self.folder}: no sum of {module} v{version}", f"remove {self.folder}: it is made anew")

    def replaced(self, module: str) -> str:
        """The version by which a module is replaced. Raises `ArtifactError` when it isn't."""
        for line in (self.folder / "go.mod").read_text().splitlines():
            if line.startswith(f"replace {module} => {module} v"):
                return line.rpartition(" v")[2]
        raise ArtifactError(f"{self.folder}: {module} is replaced by no version", "report this")


def kubernetes(beside: Path | None) -> tuple[str, ...]:
    """The releases of Kubernetes that have a lock, the oldest first."""
    places = [SHIPPED, *([beside / KEPT] if beside else [])]
    found = {folder.name.removeprefix("kubernetes-") for place in places for folder in place.glob("kubernetes-*")}
    return tuple(sorted(found, key=parts))


def find(part: str, version: str, beside: Path | None) -> Lock | None:
    """The lock that is shipped, or kept beside the cluster file. Raises `ArtifactError` for what is not built here."""
    part = families.family(part, version).lock or part
    places = [SHIPPED, *([beside / KEPT] if beside else [])]
    for place in places:
        folder = place / f"{part}-{version}"
        if all((folder / name).is_file() for name in _FILES):
            return Lock(folder)
    return None


def source(family: Family) -> str:
    """A Go file that imports what is built, so that `go mod tidy` keeps it; never compiled itself."""
    imports = "".join(f'\t_ "{package}"\n' for package in family.packages())
    return f"//go:build tools\n\npackage tools\n\nimport (\n{imports})\n"


async def make(family: Family, version: str, place: Path) -> Lock:
    """Resolve all modules of a version and write its lock below `place`.

    Raises `ArtifactError` when the version isn't served, or no sum database vouches for what is.
    """
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "go.mod").write_text(f"module quorate.local/{family.part}\n")
        go = toolchain.find(work)
        _vouched(go)
        first = await _upstream(go, work, family.modules[0], version)
        staging = {module: await _nearest(go, work, module, one) for module, one in _staging(version, first).items()}
        (work / "go.mod").write_text("\n".join(_mod(family, version, first, staging)) + "\n")
        (work / "tools.go").write_text(source(family))
        go = toolchain.find(work)
        # Tests of modules may want some that nobody serves: that is no error here. What is built must be there.
        await toolchain.run(go, ["mod", "tidy", "-e"], work, env={"GOFLAGS": "-mod=mod"})
        await toolchain.run(go, ["list", "-deps", "-f=.", *family.programs.values()], work, env={})
        if family.locked:
            # Tests that are built as programs are no tests of ours to `tidy`: what they want is not looked for.
            words = ["list", "-deps", "-test", "-f=.", *family.locked]
            await toolchain.run(go, words, work, env={"GOFLAGS": "-mod=mod"})
        folder = place / f"{family.part}-{version}"
        return _keep(work, folder)


def _keep(work: Path, folder: Path) -> Lock:
    """Both files, or none of them."""
    part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        for name in _FILES:
            shutil.copyfile(work / name, part / name)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise ArtifactError(
            f"{folder}: {error.strerror}", "a new version's lock is kept there: make it writable"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Lock(folder)


def _vouched(go: Go) -> None:
    """Refuse to trust on first use."""
    found = toolchain.setting(go, "GOSUMDB", "GONOSUMDB", "GOINSECURE")
    if found["GOSUMDB"] == "off" or found["GONOSUMDB"] in ("*", "*.*"):
        raise ArtifactError(
            "a new lock must be checked by Go's sum database, which is off here",
            "unset GOSUMDB and GONOSUMDB, or bring the lock from a machine that reaches it (its folder `modules`)",
        )


async def _upstream(go: Go, work: Path, module: str, version: str) -> Mapping[str, Any]:
    """The module's own go.mod, parsed."""
    env = {"GOFLAGS": "-mod=mod"}
    try:
        # It tells errors on stdout, in JSON, and what is served can be asked for.
        told = json.loads(await toolchain.run(go, ["mod", "download", "-json", f"{module}@v{version}"], work, env=env))
    except ArtifactError as error:
        served = await _served(go, work, module, version)
        hint = f"choose one that is served: {served}" if served else error.hint or ""
        raise ArtifactError(f"{module} {version} can't be had from the module proxy", hint) from error
    parsed: Mapping[str, Any] = json.loads(
        await toolchain.run(go, ["mod", "edit", "-json", told["GoMod"]], work, env=env)
    )
    return parsed


async def _served(go: Go, work: Path, module: str, version: str) -> str:
    """Served releases of the same minor, else all; empty when nobody answers."""
    released = await _released(go, work, module)
    minor = version.rpartition(".")[0] + "."
    return ", ".join([one for one in released if one.startswith(minor)] or released[-12:])


async def _released(go: Go, work: Path, module: str) -> list[str]:
    """Versions that the proxy lists, the lowest first; none when nobody answers."""
    try:
        text = await toolchain.run(go, ["list", "-m", "-versions", module], work, env={"GOFLAGS": "-mod=mod"})
    except ArtifactError:
        return []
    return [word.removeprefix("v") for word in text.split()[1:] if "-" not in word]


async def _nearest(go: Go, work: Path, module: str, version: str) -> str:
    """The version, or where it isn't served the last before it of its minor: modules that only tests use may lack one.

    Where there is none of these the version itself: only who imports the module misses it.
    """
    try:
        await toolchain.run(go, ["mod", "download", f"{module}@v{version}"], work, env={"GOFLAGS": "-mod=mod"})
    except ArtifactError:
        earlier = [one for one in await _released(go, work, module) if parts(one)[:2] == parts(version)[:2]]
        return max((one for one in earlier if parts(one) < parts(version)), key=parts, default=version)
    return version


def _mod(family: Family, version: str, upstream: Mapping[str, Any], staging: Mapping[str, str]) -> Iterator[str]:
    """Our go.mod: the module's own Go version, settings and replacements, which count in a main module alone."""
    yield f"module quorate.local/{family.part}"
    yield f"go {upstream['Go']}"
    for one in upstream.get("Godebug") or ():
        yield f"godebug {one['Key']}={one['Value']}"
    for module in family.modules:
        yield f"require {module} v{version}"
    # Replacements count in a main module alone.
    for one in upstream.get("Replace") or ():
        if one["New"].get("Version"):
            yield f"replace {one['Old']['Path']} => {one['New']['Path']} {one['New']['Version']}"
    for module, published in staging.items():
        yield f"replace {module} => {module} v{published}"


def _staging(version: str, upstream: Mapping[str, Any]) -> dict[str, str]:
    """Modules that are folders of the source tree, and so not in the module's archive, with the versions that they are
    published as: v0.MINOR.PATCH of what is required as v0.0.0. Others are required by their version.
    """
    required = {one["Path"]: one["Version"] for one in upstream.get("Require") or ()}
    folders = [one["Old"]["Path"] for one in upstream.get("Replace") or () if not one["New"].get("Version")]
    return {folder: f"0.{version.partition('.')[2]}" for folder in folders if required.get(folder) == "v0.0.0"}
