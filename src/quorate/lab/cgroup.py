"""Control groups of the lab: each host has its own root in every hierarchy of this machine, v1 and v2.

A host's processes are in `quorate/<lab>/<host>`, the loop that boots it in `quorate/<lab>/<host>.loop`. Only
what is in there is ever signalled or frozen, so no process of others can be hit.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.lab.record import LabError

TOP = "quorate"
KERNEL_WITHIN_S = 10.0
"""Seconds for the kernel to kill or freeze everything in a group."""
PERIOD_US = 10000
"""Microseconds in which a host's share of CPU time is counted: short, so that a host over it pauses only briefly."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy of control groups."""

    mount: Path
    unified: bool
    options: frozenset[str]


def parse(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The hierarchies named in /proc/self/mountinfo, each once."""
    found: dict[str, Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(kinds) >= 3 and kinds[0] in ("cgroup", "cgroup2") and fields[3] == "/":
            device = fields[2]
            options = frozenset(kinds[2].split(","))
            found.setdefault(device, Hierarchy(Path(fields[4]), kinds[0] == "cgroup2", options))
    return tuple(found.values())


def hierarchies() -> tuple[Hierarchy, ...]:
    """The hierarchies of this machine. Raises `LabError` when there is none."""
    found = parse(Path("/proc/self/mountinfo").read_text())
    if not found:
        raise LabError("this machine has no control groups mounted", "mount them at /sys/fs/cgroup")
    return found


def folders(lab: str, group: str) -> list[Path]:
    """The folder of a group in every hierarchy."""
    return [one.mount / TOP / lab / group for one in hierarchies()]


def make(lab: str, group: str) -> list[Path]:
    """Make a group in every hierarchy and return its folders; what an earlier boot left inside is removed."""
    every = hierarchies()
    pure = len(every) == 1 and every[0].unified
    for one in every:
        folder = one.mount
        for name in (TOP, lab, group):
            if pure:
                _delegate(folder)
            folder = folder / name
            folder.mkdir(exist_ok=True)
            if "cpuset" in one.options:
                _inherit_cpuset(folder)
        for child in folder.iterdir():
            if child.is_dir():
                _remove(child)
    return folders(lab, group)


def _delegate(folder: Path) -> None:
    for controller in (folder / "cgroup.controllers").read_text().split():
        with suppress(OSError):  # a controller that can't be delegated is one that hosts don't have
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(folder: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())
    (folder / "cgroup.clone_children").write_text("1")


def cpus(lab: str, group: str, count: int | None) -> None:
    """Let the processes of a group use so many CPUs' time and no more, where the kernel can count it; None: all."""
    quota = -1 if count is None else count * PERIOD_US
    for one in hierarchies():
        folder = one.mount / TOP / lab / group
        if (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{'max' if count is None else quota} {PERIOD_US}")
        elif (folder / "cpu.cfs_quota_us").exists():
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))


def remove(lab: str, group: str | None = None) -> None:
    """Remove a group, or all groups of a lab, from every hierarchy."""
    for one in hierarchies():
        top = one.mount / TOP
        _remove(top / lab / group if group else top / lab)
        with suppress(OSError):  # another lab is still there
            top.rmdir()


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + KERNEL_WITHIN_S
    while folder.is_dir():
        try:
            for path, _, _ in os.walk(folder, topdown=False):
                os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError as error:  # the kernel takes a moment to let go of the dead
            if time.monotonic() > deadline:
                raise LabError(f"{folder} can't be removed: {error.strerror}") from error
            time.sleep(0.02)


def _lead(lab: str, group: str) -> tuple[Path, bool]:
    """The folder through which a group is killed and frozen, and whether it is v2."""
    every = hierarchies()
    chosen = next((one for one in every if one.unified), None)
    chosen = chosen or next((one for one in every if "freezer" in one.options), every[0])
    return chosen.mount / TOP / lab / group, chosen.unified


def members(lab: str, group: str) -> Iterator[int]:
    """The processes of a group and of those beneath it."""
    folder, _ = _lead(lab, group)
    for path, _, _ in os.walk(folder):
        with suppress(OSError):
            yield from map(int, (Path(path) / "cgroup.procs").read_text().split())


def alive(lab: str, group: str) -> bool:
    """Whether a group has a process."""
    return next(members(lab, group), None) is not None


def kill(lab: str, group: str) -> None:
    """Kill every process of a group at once, and wait until they are gone."""
    folder, unified = _lead(lab, group)
    if not folder.is_dir():
        return
    deadline = time.monotonic() + KERNEL_WITHIN_S
    while alive(lab, group):
        if unified and (folder / "cgroup.kill").exists():
            (folder / "cgroup.kill").write_text("1")
        else:
            for pid in members(lab, group):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        freeze(lab, group, False)
        if time.monotonic() > deadline:
            raise LabError(f"processes in {folder} do not die")
        time.sleep(0.02)


def freeze(lab: str, group: str, frozen: bool) -> None:
    """Stop every process of a group from running, or let it run again."""
    folder, unified = _lead(lab, group)
    if unified:
        (folder / "cgroup.freeze").write_text("1" if frozen else "0")
    else:
        (folder / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
    deadline = time.monotonic() + KERNEL_WITHIN_S
    while is_frozen(lab, group) != frozen:
        if time.monotonic() > deadline:
            raise LabError(f"{folder} does not {'freeze' if frozen else 'thaw'}")
        time.sleep(0.01)


def is_frozen(lab: str, group: str) -> bool:
    """Whether a group is frozen."""
    folder, unified = _lead(lab, group)
    try:
        if unified:
            return "frozen 1" in (folder / "cgroup.events").read_text()
        return (folder / "freezer.state").read_text().strip() == "FROZEN"
    except FileNotFoundError:
        return False
