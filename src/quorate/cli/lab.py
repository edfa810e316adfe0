"""`quorate lab`: simulated hosts on this machine. Each event is a JSON line with --json."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json

if TYPE_CHECKING:
    from quorate.lab.record import LabInfo

Host = Annotated[str, Parameter(help="Name of the host.")]
Name = Annotated[
    str, Parameter(name="--name", help="Name of the lab, instead of the one of the cluster file.", show_default=False)
]


def _sayer(*, json: bool) -> Callable[[str], None]:
    if json:
        from quorate.report import jsonl
        from quorate.report.event import Said

        emit = jsonl.to()
        return lambda text: emit(Said(text))
    return lambda text: print(text, flush=True)


def _named(file: Path, name: str) -> str:
    """The lab that is meant: by name, or that of the cluster file."""
    if name:
        return name
    from quorate.spec.load import load

    return load(file).name


def up(
    *,
    file: File = DEFAULT,
    internet: Annotated[bool, Parameter(negative="--no-internet", help="Let hosts out through this machine.")] = True,
    json: Json = False,
) -> int:
    """Boot a simulated host for each host of the cluster file, and write SSH settings that `apply` uses.

    Again, it makes the lab what the file says now.
    """
    from quorate.lab.up import up as bring_up
    from quorate.spec.load import load

    say = _sayer(json=json)
    lab = bring_up(load(file), file, say, internet=internet)
    if json:
        _hosts_json(lab)
        return 0
    flag = "" if file == DEFAULT else f" -f {file}"
    print(f"lab {lab.name} is up. Next: quorate apply{flag}")
    return 0


def down(*, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Take the lab away, with its hosts' disks and everything that it had on this machine."""
    from quorate.lab.up import down as take_down

    take_down(_named(file, name), _sayer(json=json))
    return 0


def listing(*, json: Json = False) -> int:
    """List labs and how their hosts are."""
    from dataclasses import asdict

    from quorate.cli.output import Output, dump
    from quorate.lab.listing import listing as labs

    found = labs()
    if json:
        rows = [
            {"name": lab.name, "file": str(lab.cluster_file), "hosts": [asdict(host) for host in hosts]}
            for lab, hosts in found
        ]
        dump({"labs": rows})
        return 0
    out = Output()
    if not found:
        out.say("There is no lab. `quorate lab up -f cluster.yaml` boots one.")
    for lab, hosts in found:
        out.say((lab.name, "bold"), "  ", (str(lab.cluster_file), "bright_black"))
        width = max(len(host.name) for host in hosts)
        for host in hosts:
            style = {"running": "green", "frozen": "yellow", "off": "bright_black"}[host.state]
            cut = ("  cable cut", "bold red") if host.cut else ""
            out.say(f"{host.name:<{width}}  {host.address:<15}  ", (host.state, style), cut, indent=2)
    return 0


def ssh(
    host: Host,
    /,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, help="What to run there, after --.")],
    file: File = DEFAULT,
    name: Name = "",
) -> int:
    """Open a shell, or run a command, on a simulated host as root; the exit code is the command's."""
    from quorate.lab.listing import ssh as shell

    return shell(_named(file, name), host, command)


def _hosts_json(lab: "LabInfo") -> None:
    import json as text

    for machine in lab.machines:
        entry = {"event": "host", "host": machine.name, "address": machine.address, "key": str(lab.key)}
        print(text.dumps(entry), flush=True)


def _fault(word: str, host: str, file: Path, name: str, *, json: bool) -> int:
    from quorate.lab import fault

    lab = _named(file, name)
    getattr(fault, word)(lab, host)
    done = {"cut": "is cut off", "heal": "has its cable again", "kill": "has no power", "start": "answers"}
    done |= {"freeze": "hangs", "thaw": "runs on"}
    done["replace"] = f"is a new machine; `quorate trust --replace {host}` pins its SSH host keys"
    _sayer(json=json)(f"{host} {done[word]}")
    return 0


def cut(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Pull a host's network cable; it stays out over reboots."""
    return _fault("cut", host, file, name, json=json)


def heal(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Put a host's network cable in again."""
    return _fault("heal", host, file, name, json=json)


def kill(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Cut a host's power: every process ends at once."""
    return _fault("kill", host, file, name, json=json)


def start(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Boot a host that is off, from the disk it had."""
    return _fault("start", host, file, name, json=json)


def replace(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Throw a host away for good and boot a new machine in its place: empty disk, new SSH host keys, same address.

    The new keys are not pinned: `quorate trust --replace HOST` does that, as for any new machine.
    """
    return _fault("replace", host, file, name, json=json)


def freeze(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Hang a host: its processes stop, its kernel still answers ping."""
    return _fault("freeze", host, file, name, json=json)


def thaw(host: Host, /, *, file: File = DEFAULT, name: Name = "", json: Json = False) -> int:
    """Let a frozen host run on."""
    return _fault("thaw", host, file, name, json=json)
