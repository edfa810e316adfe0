"""`quorate lab`: simulated hosts on this machine. Each event is a JSON line with --json."""

import json as json_text
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from quorate.cli.output import Output, print_json
from quorate.cli.verbs.options import file_flag
from quorate.lab import fault, listing, up
from quorate.lab.record import LabInfo
from quorate.report import jsonl
from quorate.report.event import Said
from quorate.spec.load import load


def boot(file: Path, *, internet: bool, json: bool) -> int:
    """Boot the hosts of a cluster file."""
    lab = up.up(load(file), file, _sayer(json=json), internet=internet)
    if json:
        _hosts_json(lab)
    else:
        print(f"lab {lab.name} is up. Next: quorate apply{file_flag(file)}")
    return 0


def take_away(file: Path, name: str, *, json: bool) -> int:
    """Take a lab away."""
    up.down(_named(file, name), _sayer(json=json))
    return 0


def list_labs(*, json: bool) -> int:
    """Print each lab and how its hosts are."""
    labs = listing.listing()
    if json:
        rows = [
            {"name": lab.name, "file": str(lab.cluster_file), "hosts": [asdict(host) for host in hosts]}
            for lab, hosts in labs
        ]
        print_json({"labs": rows})
        return 0
    out = Output()
    if not labs:
        out.say("There is no lab. `quorate lab up -f cluster.yaml` boots one.")
    for lab, hosts in labs:
        out.say((lab.name, "bold"), "  ", (str(lab.cluster_file), "bright_black"))
        width = max(len(host.name) for host in hosts)
        for host in hosts:
            style = {"running": "green", "frozen": "yellow", "off": "bright_black"}[host.state]
            cut = ("  cable cut", "bold red") if host.cut else ""
            out.say(f"{host.name:<{width}}  {host.address:<15}  ", (host.state, style), cut, indent=2)
    return 0


def open_shell(file: Path, name: str, host: str, command: Sequence[str]) -> int:
    """Run a command on a host, or a shell; its exit code."""
    return listing.ssh(_named(file, name), host, command)


def change_host(what: str, host: str, file: Path, name: str, *, json: bool) -> int:
    """Break a host or mend it, by the name of a function of `lab.fault`."""
    getattr(fault, what)(_named(file, name), host)
    done = {"cut": "is cut off", "heal": "has its cable again", "kill": "has no power", "start": "answers"}
    done |= {"freeze": "hangs", "thaw": "runs on"}
    done["replace"] = f"is a new machine; `quorate trust --replace {host}` pins its SSH host keys"
    _sayer(json=json)(f"{host} {done[what]}")
    return 0


def _sayer(*, json: bool) -> Callable[[str], None]:
    if json:
        emit = jsonl.to()
        return lambda text: emit(Said(text))
    return lambda text: print(text, flush=True)


def _named(file: Path, name: str) -> str:
    """The lab that is meant: by name, or that of the cluster file."""
    return name or load(file).name


def _hosts_json(lab: LabInfo) -> None:
    for machine in lab.machines:
        entry = {"event": "host", "host": machine.name, "address": machine.address, "key": str(lab.key)}
        print(json_text.dumps(entry), flush=True)
