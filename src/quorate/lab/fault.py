"""Faults of simulated hosts: a cut cable, a power cut, a hang, a dead machine. Each takes names: of lab and host."""

from pathlib import Path

from quorate.lab import cgroup, machine, network
from quorate.lab.record import LabError, LabInfo, Machine, need
from quorate.lab.up import replace, require_root, start

__all__ = ["cut", "freeze", "heal", "kill", "replace", "start", "thaw"]


def _find(lab: str, host: str, cache: Path | None) -> tuple[LabInfo, Machine]:
    require_root()
    found = need(lab, cache)
    return found, found.machine(host)


def cut(lab: str, host: str, *, cache: Path | None = None) -> None:
    """Pull the host's network cable; it stays out over reboots."""
    _, one = _find(lab, host, cache)
    one.cut_mark.touch()
    network.plug([one.cable], False)


def heal(lab: str, host: str, *, cache: Path | None = None) -> None:
    """Put the host's network cable in again."""
    _, one = _find(lab, host, cache)
    one.cut_mark.unlink(missing_ok=True)
    network.plug([one.cable], True)


def kill(lab: str, host: str, *, cache: Path | None = None) -> None:
    """Cut the host's power: every process ends at once, and nothing answers any more."""
    machine.power_off(*_find(lab, host, cache))


def freeze(lab: str, host: str, *, cache: Path | None = None) -> None:
    """Stop every process of the host from running, as a hung machine does; its kernel still answers ping."""
    found, one = _find(lab, host, cache)
    _need_power(found, one)
    cgroup.freeze(found.id, one.name, True)


def thaw(lab: str, host: str, *, cache: Path | None = None) -> None:
    """Let a frozen host run on."""
    found, one = _find(lab, host, cache)
    _need_power(found, one)
    cgroup.freeze(found.id, one.name, False)


def _need_power(lab: LabInfo, one: Machine) -> None:
    if not machine.is_on(lab, one):
        raise LabError(f"host {one.name} is off", f"`quorate lab start {one.name}` boots it")
