"""Verbs of the lab: simulated hosts on this machine."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, File, Json

Host = Annotated[str, Parameter(help="Name of the host.")]
Name = Annotated[
    str, Parameter(name="--name", help="Name of the lab, instead of the one of the cluster file.", show_default=False)
]


def up(
    *,
    file: File = DEFAULT_FILE,
    internet: Annotated[bool, Parameter(negative="--no-internet", help="Let hosts out through this machine.")] = True,
    json: Json = False,
) -> int:
    """Boot a simulated host for each host of the cluster file, and write SSH settings that `apply` uses.

    Again, it makes the lab what the file says now.
    """
    from quorate.cli.lab import boot

    return boot(file, internet=internet, json=json)


def down(*, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Take the lab away, with its hosts' disks and everything that it had on this machine."""
    from quorate.cli.lab import take_away

    return take_away(file, name, json=json)


def list_(*, json: Json = False) -> int:
    """List labs and how their hosts are."""
    from quorate.cli.lab import list_labs

    return list_labs(json=json)


def ssh(
    host: Host,
    /,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, help="What to run there, after --.")],
    file: File = DEFAULT_FILE,
    name: Name = "",
) -> int:
    """Open a shell, or run a command, on a simulated host as root; the exit code is the command's."""
    from quorate.cli.lab import open_shell

    return open_shell(file, name, host, command)


def cut(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Pull a host's network cable; it stays out over reboots."""
    return _change_host("cut", host, file, name, json=json)


def heal(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Put a host's network cable in again."""
    return _change_host("heal", host, file, name, json=json)


def kill(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Cut a host's power: every process ends at once."""
    return _change_host("kill", host, file, name, json=json)


def start(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Boot a host that is off, from the disk it had."""
    return _change_host("start", host, file, name, json=json)


def replace(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Throw a host away for good and boot a new machine in its place: empty disk, new SSH host keys, same address.

    The new keys are not pinned: `quorate trust --replace HOST` does that, as for any new machine.
    """
    return _change_host("replace", host, file, name, json=json)


def freeze(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Hang a host: its processes stop, its kernel still answers ping."""
    return _change_host("freeze", host, file, name, json=json)


def thaw(host: Host, /, *, file: File = DEFAULT_FILE, name: Name = "", json: Json = False) -> int:
    """Let a frozen host run on."""
    return _change_host("thaw", host, file, name, json=json)


def _change_host(what: str, host: str, file: Path, name: str, *, json: bool) -> int:
    from quorate.cli.lab import change_host

    return change_host(what, host, file, name, json=json)
