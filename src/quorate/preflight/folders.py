"""Judge of the folders that the file chooses for runtime and kubelet: on their disk, fit for them, nobody else's."""

from collections.abc import Iterator

from quorate.execute.facts import unmounted
from quorate.preflight.check import Question, World
from quorate.render import questions
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import RUNTIMES, Host, Role
from quorate.spec.layout import KUBELET_DIR

UNFIT = ("nfs", "smb2", "cifs", "fuseblk", "fuse", "msdos", "vfat", "exfat", "overlayfs")
"""File systems, as `stat -f` calls them, on which overlayfs has no upper layer (kernel.org, "Overlay Filesystem"), or
on which owners and modes don't last."""
MEMORY = ("tmpfs", "ramfs")


def _chosen(world: World, host: Host) -> Iterator[str]:
    """The folders that are not the usual ones."""
    c = world.cluster
    if host.has(Role.WORKER):
        if (runtime := c.runtime_dir(host)) != RUNTIMES[c.runtime.kind]:
            yield runtime
        if (kubelet := c.kubelet_dir(host)) != KUBELET_DIR:
            yield kubelet


def _ask(world: World, host: Host) -> str:
    """For each: what is not mounted, its file system, how much is in it that is not ours."""
    return "\n".join(map(questions.chosen_folder, _chosen(world, host)))


FOLDERS = Question("folders", _ask)


def fit(world: World, host: Host) -> Verdict | None:
    """Mounted where a mount is meant, on a file system that can carry it, and empty when it comes."""
    folders = tuple(_chosen(world, host))
    if not folders:
        return None
    lines = [line.split(" ", 1) for line in world.answer(host, FOLDERS.name).splitlines()]
    bad, odd = [], []
    for folder in folders:
        said = [words[1] for words in lines if words[0] == folder and len(words) == 2]
        kind = next((line.removeprefix("type=") for line in said if line.startswith("type=")), "")
        count = next((line.removeprefix("files=") for line in said if line.startswith("files=")), "0")
        if not kind:
            return unchecked()
        if missing := unmounted([line.removeprefix("unmounted=") for line in said if line.startswith("unmounted=")]):
            bad.append(f"{folder}: {missing}")
        elif kind in UNFIT:
            bad.append(f"{folder} is on {kind}, which can't carry it")
        elif kind in MEMORY:
            odd.append(f"{folder} is on {kind}: a reboot empties it")
        if count != "0":
            bad.append(f"{folder} has {count} entries of somebody else's")
    if bad:
        return failed("; ".join([*bad, *odd]))
    return warned("; ".join(odd)) if odd else passed(", ".join(folders))
