"""What labs there are, how their hosts are, and a shell on one of them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quorate.artifact.root import ensure_tools
from quorate.lab import cgroup, machine
from quorate.lab.record import LabInfo, every, need


@dataclass(frozen=True)
class HostStatus:
    """How one simulated host is."""

    name: str
    address: str
    state: Literal["running", "frozen", "off"]
    cut: bool


def hosts(lab: LabInfo) -> tuple[HostStatus, ...]:
    """How each host of a lab is."""
    found = []
    for one in lab.machines:
        state: Literal["running", "frozen", "off"] = "running" if machine.is_on(lab, one) else "off"
        if state == "running" and cgroup.is_frozen(lab.id, one.name):
            state = "frozen"
        found.append(HostStatus(one.name, one.address, state, one.cut_mark.exists()))
    return tuple(found)


def listing(*, cache: Path | None = None) -> tuple[tuple[LabInfo, tuple[HostStatus, ...]], ...]:
    """Every lab with its hosts."""
    return tuple((lab, hosts(lab)) for lab in every(cache))


def ssh_argv(lab: LabInfo, host: str, command: Sequence[str] = (), user: str = "root") -> list[str]:
    """The OpenSSH client's command line for a host of the lab; it reads no settings of yours."""
    options = [
        f"UserKnownHostsFile={lab.known_hosts}",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
    ]
    flags = [word for option in options for word in ("-o", option)]
    target = f"{user}@{lab.machine(host).address}"
    return ["ssh", "-F", "/dev/null", "-i", str(lab.key), *flags, target, *command]


def ssh(name: str, host: str, command: Sequence[str] = (), *, cache: Path | None = None) -> int:
    """Open a shell, or run a command, on a host as root; returns its exit code."""
    ensure_tools(("ssh",))
    return subprocess.run(ssh_argv(need(name, cache), host, command), check=False).returncode
