"""Whether programs are the version that they are taken for: each is asked itself, once, before it reaches a host."""

import asyncio
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from quorate.artifact.cache import Cache, Entry, unpacked
from quorate.core import ArtifactError, Blob
from quorate.spec.supply import Supply

QUESTIONS: Mapping[str, Sequence[str]] = {
    "kube-apiserver": ("--version",),
    "kube-controller-manager": ("--version",),
    "kube-scheduler": ("--version",),
    "kubelet": ("--version",),
    "kube-proxy": ("--version",),
    "kubectl": ("version", "--client"),
    "etcd": ("--version",),
    "etcdctl": ("version",),
    "etcdutl": ("version",),
    "containerd": ("--version",),
    "containerd-shim-runc-v2": ("-v",),
    "ctr": ("--version",),
    "runc": ("--version",),
    "dockerd": ("--version",),
    "docker": ("--version",),
    "crictl": ("--version",),
    "age": ("--version",),
}
"""How each program is asked. The CNI plugins of distributions do not know."""
_VERSION = re.compile(r"(?<![\d.])(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)[\w.]*)?)(?![\d.])")
"""What comes before a release is not the release; what distributions add to its name does not matter."""
_OWN = {"x86_64": "amd64", "aarch64": "arm64"}


async def prove(
    supply: Supply, asked: Mapping[str, str], cache: Cache, arch: str, places: Mapping[str, Path] | None = None
) -> None:
    """Raise `ArtifactError` with every program of another version than `asked`, or than its supply says it is.

    `asked` has the versions that the cluster file names, by part; `places` is where programs lie, in folders of their
    versions. A program for another processor than this machine's can't be asked: it must have the version somewhere
    in it.
    """
    wrong: list[str] = []
    for part, name, blob in _all(supply):
        want = asked.get(part) or supply.versions.get(part)
        if want is None:
            continue
        shown = (places or {}).get(name, name)
        if _OWN.get(platform.machine()) == arch:
            said = await _says(name, blob, cache)
            if said != want:
                wrong.append(f"{shown} says {said or 'nothing'}, not {want}")
        elif not await asyncio.to_thread(_mentions, blob, want):
            wrong.append(f"{shown} does not mention {want}")
    if wrong:
        raise ArtifactError(
            f"programs are not the version that they are taken for: {'; '.join(wrong)}",
            "move each into the folder of its version, or copy the folder again"
            if places
            else "name the versions that they are in the cluster file, or let the artifact source bring the right ones",
        )


def _all(supply: Supply) -> Iterator[tuple[str, str, Blob]]:
    for part, names in supply.parts.items():
        for name in names:
            if name in QUESTIONS and name in supply.binaries:
                yield part, name, supply.binaries[name]


async def _says(name: str, blob: Blob, cache: Cache) -> str:
    """The first version that a program names, remembered by its digest; empty when it names none."""
    key = f"says {name} {blob.sha256}"
    if entry := cache.find(key):
        return str(entry.facts["version"])
    with cache.scratch() as folder:
        path = folder / name
        with path.open("wb") as file:
            file.writelines(unpacked(blob))
        path.chmod(0o755)
        found = _VERSION.search(await asyncio.to_thread(_ask, path, name))
    if found is None:
        return ""
    cache.keep(key, Entry({}, {"version": found.group(1)}))
    return found.group(1)


def _mentions(blob: Blob, version: str) -> bool:
    """Whether the version is in the program as text."""
    wanted, tail = version.encode(), b""
    for piece in unpacked(blob):
        if wanted in tail + piece:
            return True
        tail = piece[-len(wanted) :]
    return False


def _ask(path: Path, name: str) -> str:
    """What it answers, without anything of this machine's environment."""
    argv = ["timeout", "30", str(path), *QUESTIONS[name]]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(path.parent)}
    try:
        done = subprocess.run(argv, env=env, cwd=path.parent, capture_output=True, check=False)
    except OSError as error:
        return str(error)
    return (done.stdout + b"\n" + done.stderr).decode(errors="replace") if done.returncode == 0 else ""
