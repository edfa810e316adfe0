"""One family built: modules fetched and verified, programs compiled and named; nothing is left when it fails."""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quorate.artifact.binary import elf_fault
from quorate.artifact.golang import toolchain
from quorate.artifact.golang.compiler import Compiler
from quorate.artifact.golang.families import Family
from quorate.artifact.golang.locks import Lock, source
from quorate.artifact.golang.toolchain import Go
from quorate.core import ArtifactError
from quorate.spec.versions import parts

Say = Callable[[str], None]

ROOM = 3 << 30
"""Bytes without which no build begins: an estimate of what Kubernetes' packages and programs take at least. Go's own
caches held 10 GB of packages and 11 GB of modules after the locks of eight minors and the builds of one and a half."""
STEP = 4
"""Per cent between two words of progress."""


async def build(
    family: Family,
    version: str,
    lock: Lock,
    *,
    go: Go,
    arch: str,
    work: Path,
    say: Say,
    compiler: Compiler | None = None,
) -> dict[str, Path]:
    """The programs, built below `work`, by name. Raises `ArtifactError`.

    Static, stripped and without paths of this machine: equal inputs give equal files.
    """
    title = f"{family.part} {version}"
    place = work / "source"
    place.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(lock.folder / name, place / name)
    (place / "tools.go").write_text(source(family))
    env = {"GOARCH": arch, **(compiler.environment if compiler else {})}
    _room(go, work)
    say(f"{title}: fetching modules")
    await toolchain.run(go, ["mod", "download"], place, env=env)
    flags = ["-trimpath", f"-tags={','.join(family.tags)}"]
    if family.tests:
        # What tests alone want is not in go.mod, and has come only once it was looked for.
        await _stale(go, flags, family, place, env)
    # From here on nothing is asked of any network.
    env["GOPROXY"] = "off"
    await toolchain.run(go, ["mod", "verify"], place, env=env)
    stale = await _stale(go, flags, family, place, env)
    progress = Progress(title, len(stale), say)
    linking = f"-ldflags={ldflags(family, version, lock, compiler)}"
    out = work / "bin"
    out.mkdir()
    if family.tests and (named := _named_by(place, stale)):
        # `go test` does not tell how far it is: what its programs are made of is compiled before.
        await toolchain.run(go, ["build", "-v", *flags, *named], place, env=env, on_line=progress.heard)
    verb = ["test", "-c", "-vet=off"] if family.tests else ["build", "-v"]
    words = [*verb, *flags, linking, "-o", f"{out}/", *family.programs.values()]
    await toolchain.run(go, words, place, env=env, on_line=progress.heard)
    return {name: _named(out, package, name, arch) for name, package in family.programs.items()}


def ldflags(family: Family, version: str, lock: Lock, compiler: Compiler | None) -> str:
    """What the linker is told: no symbols, the version, and the first module's sum instead of an invented commit."""
    words = parts(version)
    values = {"v": version, "major": words[0], "minor": words[1], "sum": lock.sum(family.modules[0], version)}
    stamps = [f"-X {variable}={value.format(**values)}" for variable, value in sorted(family.stamps.items())]
    return " ".join(["-s", "-w", *stamps, *([compiler.ldflags] if compiler else [])])


async def _stale(go: Go, flags: Sequence[str], family: Family, place: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The packages that are to be compiled, for Go's cache does not have them, with their modules (Go's own: none)."""
    form = "-f={{if and .Stale (not .ForTest)}}{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}{{end}}"
    words = ["list", "-deps", *(["-test"] if family.tests else []), *flags, form]
    text = await toolchain.run(go, [*words, *family.programs.values()], place, env=env)
    found = (line.partition(" ") for line in text.splitlines() if line.strip())
    return {package: module for package, _, module in found if not package.endswith(".test")}


def _named_by(place: Path, packages: Mapping[str, str]) -> list[str]:
    """Those that may be named to go: of modules that go.mod itself holds. What tests want may come from others."""
    held = set(re.findall(r"^(?:require|\t)\s*(\S+) v", (place / "go.mod").read_text(), re.MULTILINE))
    return [package for package, module in packages.items() if not module or module in held]


class Progress:
    """Packages done, of all that are to be done, told every few per cent."""

    def __init__(self, title: str, total: int, say: Say) -> None:
        self.title, self.total, self.say = title, total, say
        self.done, self._told = 0, -STEP

    def heard(self, line: str) -> None:
        """`go build -v` names a package as it begins with it."""
        if " " in line or ("/" not in line and "." in line):
            return
        self.done += 1
        share = 100 * self.done // max(self.total, 1)
        if share >= self._told + STEP:
            self._told = share
            self.say(f"{self.title}: compiling, {min(self.done, self.total)} of {self.total} packages")


def _named(out: Path, package: str, name: str, arch: str) -> Path:
    """The program under its own name: go calls it after the last element of its path, but for a `v2`."""
    if (out / name).is_file():
        return _sound(out / name, arch)
    words = package.split("/")
    said = words[-2] if words[-1].startswith("v") and words[-1][1:].isdecimal() else words[-1]
    return _sound((out / said).rename(out / name), arch)


def _sound(path: Path, arch: str) -> Path:
    """The program, if hosts can run it."""
    if fault := elf_fault(path, arch):
        raise ArtifactError(f"{path.name}, just built: {fault}", "report this, with `go env`")
    return path


def _room(go: Go, work: Path) -> None:
    """Refuse to begin where the disk can't hold it."""
    found = toolchain.setting(go, "GOCACHE", "GOTMPDIR")
    for place in {found["GOCACHE"], found["GOTMPDIR"] or os.environ.get("TMPDIR", "/tmp"), str(work)}:
        folder = Path(place)
        while not folder.exists():
            folder = folder.parent
        if (free := shutil.disk_usage(folder).free) < ROOM:
            raise ArtifactError(
                f"{place}: {free >> 20} MiB are free, a build needs {ROOM >> 20}",
                "free some space, or set GOCACHE, TMPDIR or artifacts.cache to a folder on another disk",
            )
