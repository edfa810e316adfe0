"""SSH to the lab's hosts: the lab's key, the hosts' own keys, and the settings for the cluster's loader."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from quorate import atomic
from quorate.lab.record import LabInfo

HOST_KEYS = ("ed25519", "ecdsa")
WRITTEN = "# Written by `quorate lab up`, removed by `quorate lab down`."


def _private(kind: str) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def write_key(path: Path, kind: str = "ed25519") -> str:
    """Make an SSH key pair at `path` and `path`.pub unless there is one; returns the public line."""
    public = path.with_name(f"{path.name}.pub")
    if not public.is_file():
        key = _private(kind)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        atomic.write(path, secret)
        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        atomic.write(public, line + b"\n", mode=0o644)
    return public.read_text().strip()


def write_settings(lab: LabInfo, host_keys: dict[str, tuple[str, ...]]) -> None:
    """Pin the keys of hosts that have no pin yet, and write `ssh.yaml` beside the cluster file.

    `host_keys` is by host name. A pin that is there stays, whatever key the host has now: a machine that was
    replaced is refused until `quorate trust --replace`.
    """
    kept = _pins(lab)
    pinned = {name for line in kept for name in _names(line)}
    fresh = [machine for machine in lab.machines if machine.address not in pinned]
    added = [f"{machine.address} {line}" for machine in fresh for line in host_keys.get(machine.name, ())]
    _write_pins(lab, [*kept, *added])
    settings = {"user": "root", "port": 22, "key": str(lab.key), "known_hosts": str(lab.known_hosts)}
    lab.ssh_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    atomic.write(lab.ssh_file, f"{WRITTEN}\n{text}".encode())


def forget(lab: LabInfo, address: str) -> None:
    """Take away the pinned keys of a host that goes: the next one at its address is another machine."""
    _write_pins(lab, [line for line in _pins(lab) if address not in _names(line)])


def _pins(lab: LabInfo) -> list[str]:
    return lab.known_hosts.read_text().splitlines() if lab.known_hosts.exists() else []


def _names(line: str) -> list[str]:
    """The servers that a line of known_hosts is about."""
    return line.split(" ", 1)[0].split(",")


def _write_pins(lab: LabInfo, lines: list[str]) -> None:
    atomic.write(lab.known_hosts, "".join(f"{line}\n" for line in lines).encode())


def remove_settings(lab: LabInfo) -> Path | None:
    """Take `ssh.yaml` away, if it is this lab's, and put aside the state of the cluster that was on its hosts.

    That cluster is gone with its disks: another one on hosts of the same names is not it. The folder that its state is
    in now; None when there was none.
    """
    if _lab_key(lab.ssh_file) != lab.key:
        return None
    lab.ssh_file.unlink()
    return _put_aside(lab.ssh_file.parent)


def put_aside_stale(lab: LabInfo) -> Path | None:
    """The same for a new lab that finds the state of one that is gone without a word: its cache was removed, say."""
    key = _lab_key(lab.ssh_file)
    if key is None or (key.exists() and key != lab.key):
        return None
    lab.ssh_file.unlink()
    return _put_aside(lab.ssh_file.parent)


def _lab_key(ssh_file: Path) -> Path | None:
    """The key of the lab that wrote the settings; None when nobody has, or no lab."""
    try:
        text = ssh_file.read_text()
    except FileNotFoundError:
        return None
    found = re.search('^key: "(.*)"$', text, re.MULTILINE) if WRITTEN in text else None
    return Path(found[1]) if found else None


def _put_aside(folder: Path) -> Path | None:
    """Rename a state folder, or remove it when nothing is in it."""
    if any(folder.iterdir()):
        name = f"{folder.name}.gone-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        return folder.rename(folder.with_name(name))
    folder.rmdir()
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    return None
