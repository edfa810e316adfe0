"""This machine's kernel settings: remembered when the first lab comes up, put back when the last one goes.

Hosts share this machine's kernel. Their network settings, processes and mounts are their own; keys such as
`kernel.panic` or `vm.overcommit_memory` are not, and kubelet and systemd write them. So the values found are
remembered in /run/quorate, which is gone after a reboot just as the settings are.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.artifact.root import locked
from quorate.lab.network import exists
from quorate.lab.record import LabInfo

RUN = Path("/run/quorate")
SYS = Path("/proc/sys")
FORWARD = "net/ipv4/ip_forward"
LIMITS = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}
"""Raised to at least this: all hosts' root is one user to the kernel."""
KEPT = (
    FORWARD,
    *LIMITS,
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/pid_max",
    "kernel/sysrq",
    "kernel/core_uses_pid",
    "kernel/core_pattern",
    "kernel/printk",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "vm/swappiness",
    "vm/max_map_count",
    "fs/file-max",
    "fs/nr_open",
    "fs/protected_hardlinks",
    "fs/protected_symlinks",
    "fs/protected_regular",
    "fs/protected_fifos",
)
"""What Kubernetes, systemd's own sysctl files and common tuning guides write."""


@contextmanager
def whole_machine() -> Iterator[None]:
    """Only one process at a time changes labs on this machine."""
    with locked(RUN / "lock"):
        yield


def read(keys: tuple[str, ...] = KEPT) -> dict[str, str]:
    """The present value of each key that this kernel has."""
    found = {}
    for key in keys:
        with suppress(OSError):
            found[key] = (SYS / key).read_text().strip()
    return found


def write(values: Mapping[str, str]) -> None:
    """Set what differs; a key that can't be written is left."""
    for key, value in values.items():
        with suppress(OSError):
            if (SYS / key).read_text().strip() != value:
                (SYS / key).write_text(value)


def _known() -> tuple[dict[str, str], dict[str, str]]:
    """Values to put back, and the labs that are up: name by bridge."""
    try:
        raw = json.loads((RUN / "machine.json").read_text())
    except FileNotFoundError:
        return {}, {}
    labs = {bridge: name for bridge, name in raw["labs"].items() if exists(bridge)}
    return dict(raw["values"]), labs


def bridges() -> dict[str, str]:
    """The labs that are up on this machine, of every user and cache: name by bridge."""
    return _known()[1]


def enter(lab: LabInfo) -> None:
    """Count the lab in, once its bridge is there, and give hosts what they need."""
    values, labs = _known()
    values = values or read()
    _save(values, {**labs, lab.bridge: lab.name})
    wanted = {key: str(max(least, int(values.get(key, "0")))) for key, least in LIMITS.items()}
    if lab.internet or len(lab.gateways) > 1:
        wanted[FORWARD] = "1"
    write(wanted)


def leave(lab: LabInfo) -> None:
    """Count the lab out; with the last one everything is put back."""
    values, labs = _known()
    labs.pop(lab.bridge, None)
    if labs:
        _save(values, labs)
        return
    write(values)
    (RUN / "machine.json").unlink(missing_ok=True)


def _save(values: Mapping[str, str], labs: Mapping[str, str]) -> None:
    part = RUN / "machine.json.part"
    part.write_text(json.dumps({"values": dict(values), "labs": dict(labs)}))
    part.rename(RUN / "machine.json")
