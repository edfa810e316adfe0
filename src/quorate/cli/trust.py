"""`quorate trust`: show the hosts' SSH keys and pin them."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.cli.names import demand_known
from quorate.cli.output import Output, busy, interactive, print_json
from quorate.core import QuorateError, TransportError
from quorate.plan.words import many
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec.load import load
from quorate.spec.ssh import ssh_of
from quorate.transport.password import Prompt
from quorate.transport.trust import SeenKey, pin, scan


async def pin_keys(out: Output, file: Path, replace: tuple[str, ...], *, yes: bool, json: bool) -> int:
    """Show the hosts' keys and pin those that are new or, on the hosts of `replace`, changed."""
    cluster = load(file)
    demand_known(cluster, tuple(name for name in replace if not name.startswith("jump host")), ())
    targets = {host.name: ssh_of(cluster, host) for host in cluster.hosts}
    with busy(None if json else out, "asking hosts for their keys"):
        keys, unreachable = await scan(targets, prompt=Prompt(allowed=not json))
    refused = [key for key in keys if key.state == "changed" and key.host not in replace]
    to_pin = [key for key in keys if key.state != "same" and key not in refused]
    if not json:
        print_keys(out, keys, unreachable)
    if to_pin and not yes:
        if json or not interactive():
            raise QuorateError("keys are pinned only after a yes", "compare the fingerprints, then add --yes")
        if out.ask(f"Pin {many(len(to_pin), 'key')}?  Only yes pins.").lower() not in ("yes", "y"):
            raise QuorateError("not pinned: there was no yes", "nothing was changed")
    files = {ssh.known_hosts for ssh in targets.values()}
    written = 0
    for path in files:
        keys_of_file = [key for key in to_pin if key.host not in targets or targets[key.host].known_hosts == path]
        if path is not None:
            written += len(pin(path, keys_of_file, replace_changed=bool(replace)))
    if json:
        rows = [
            {"host": k.host, "address": k.address, "port": k.port, "algorithm": k.algorithm}
            | {"fingerprint": k.fingerprint, "state": k.state, "pinned": list(k.pinned), "refused": k in refused}
            for k in keys
        ]
        print_json({"keys": rows, "written": written, "unreachable": {each.host: each.message for each in unreachable}})
    elif written:
        out.say((f"{many(written, 'key')} pinned", "bold green"))
    elif not refused and not unreachable:
        out.say("All keys are pinned and the same.")
    if refused and not json:
        names = " ".join(f"--replace {key.host}" for key in refused)
        raise TransportError(
            f"the host key of {', '.join(key.host for key in refused)} has changed; it was not pinned",
            f"if you know why (the host was reinstalled), run `quorate trust {names}`",
        )
    return TransportError.exit_code if refused or unreachable else 0


def print_keys(out: Output, keys: Sequence[SeenKey], unreachable: Sequence[TransportError]) -> None:
    """Print the keys, and who did not show one."""
    styles = {"new": WARN, "same": GOOD, "changed": BAD}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("", no_wrap=True)
    table.add_column("host", style=NAME, no_wrap=True)
    table.add_column("address", no_wrap=True)
    table.add_column("fingerprint", overflow="fold")
    for key in keys:
        place = key.address if key.port == 22 else f"{key.address}:{key.port}"
        fingerprint = Text(f"{key.algorithm.removeprefix('ssh-')} ", QUIET).append(key.fingerprint, "default")
        if key.state == "changed":
            fingerprint.append("\npinned is " + ", ".join(key.pinned), QUIET)
        table.add_row(Text(key.state, styles[key.state]), key.host, place, fingerprint)
    out.console.print(table)
    for error in unreachable:
        out.say(("unreachable  ", BAD), (error.host, NAME), "  ", error.message)
    out.console.print()
