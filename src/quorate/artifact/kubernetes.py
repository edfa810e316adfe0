"""Kubernetes built from Debian's source package, inside an overlay over the Debian root."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from quorate.artifact.debs import upstream_version
from quorate.artifact.root import machine_sources, run_in_root
from quorate.core import ArtifactError
from quorate.render import debian

VERSION = "1.20.2"
"""The upstream version in Debian 12's source package `kubernetes` (1.20.5+really1.20.2-1.1+deb12u1)."""

BINARIES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)


def build(root: Path, work: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Build the binaries in a working folder and return where they are. Raises `ArtifactError`.

    Takes 6 minutes on 2 idle cores, 11 on busy ones, and some GB of the working folder's disk meanwhile.
    """
    exchange = work / "exchange"
    exchange.mkdir(parents=True)
    stanzas = [source.stanza("deb-src") for source in machine_sources()]
    (exchange / "source.sources").write_text("\n".join(stanzas))

    def told(line: str) -> None:
        if line.startswith("step: "):
            say(f"kubernetes {VERSION}: {line.removeprefix('step: ')}")
        elif re.match(r"^    cmd/", line):
            say(f"kubernetes {VERSION}: compiling {line.strip()}")

    run_in_root(
        root,
        ["sh", "-c", debian.KUBERNETES],
        upper=work,
        binds={exchange: "/exchange"},
        env={"BINARIES": " ".join(BINARIES)},
        on_line=told,
    )
    version = (exchange / "version").read_text().strip()
    if upstream_version(version) != VERSION:
        raise ArtifactError(
            f"Debian's source package kubernetes is now {version}, expected upstream {VERSION}",
            "use artifacts.source: release or directory",
        )
    shutil.rmtree(work / "upper" / "build", ignore_errors=True)
    return {name: exchange / "bin" / name for name in BINARIES}
