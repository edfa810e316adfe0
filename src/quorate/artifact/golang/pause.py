"""Kubernetes' pause program, which holds a pod's namespaces: one file of C in its module, compiled statically."""

from pathlib import Path

from quorate.artifact.golang import toolchain
from quorate.artifact.golang.compiler import Compiler
from quorate.artifact.golang.families import KUBERNETES
from quorate.artifact.golang.locks import Lock

SOURCE = "build/pause/linux/pause.c"


async def build(lock: Lock, version: str, cc: Compiler, work: Path) -> Path:
    """The program, for pods of Kubernetes `version`, in `work`. Raises `ArtifactError`."""
    folder, target = await sources(lock, work), work / "pause"
    cc.compile(folder / SOURCE, target, f"-DVERSION=v{version}")
    return target


async def sources(lock: Lock, work: Path) -> Path:
    """The folder with the sources of the lock's Kubernetes. Raises `ArtifactError`."""
    go = toolchain.find(lock.folder)
    env = {"GOFLAGS": f"-mod=readonly -modfile={lock.folder / 'go.mod'}"}
    (work / "go.mod").write_text((lock.folder / "go.mod").read_text())
    await toolchain.run(go, ["mod", "download", KUBERNETES], work, env=env)
    return Path((await toolchain.run(go, ["list", "-m", "-f={{.Dir}}", KUBERNETES], work, env=env)).strip())
