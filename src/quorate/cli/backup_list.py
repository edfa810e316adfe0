"""`quorate backup list`: which there are, where they lie, how far each was proved."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.backup.catalog import Found, catalog
from quorate.backup.places import local_folder
from quorate.backup.proof import LEVELS
from quorate.backup.where import on_hosts, places
from quorate.cli.backup import FAILED
from quorate.cli.connect import connected
from quorate.cli.output import Output, print_json
from quorate.plan.words import line, size
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec.load import load


async def list_backups(out: Output, file: Path, to: Path | None, *, json: bool) -> int:
    """Show the backups of all places; FAILED where one can't be asked."""
    cluster = load(file)
    async with connected(cluster, file, asks=not json) as via:
        there = (*places(cluster, local_folder(cluster, file, to)), *on_hosts(cluster, via))
        found, lost = await catalog(there, cluster.name)
    if json:
        print_json({"cluster": cluster.name, "backups": [each.as_dict() for each in found], "not_asked": lost})
    else:
        if found:
            _table(out, found)
        else:
            out.say(f"There is no backup of {cluster.name}. `quorate backup` takes one.")
        for place, why in lost.items():
            out.say((f"{place}: {why}", BAD))
    return FAILED if lost else 0


def _table(out: Output, found: Sequence[Found]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("name", no_wrap=True)
    for title in ("taken (UTC)", "size", "revision", "proof", "where"):
        table.add_column(title, overflow="fold", justify="right" if title in ("size", "revision") else "left")
    for each in found:
        proof = Text(LEVELS.get(each.level, str(each.level)), GOOD if each.level else WARN)
        if each.fault:
            proof = Text(line(each.fault), BAD)
        elif each.manifest and each.manifest.degraded:
            proof.append(f"; {line(each.manifest.degraded)}", WARN)
        table.add_row(
            Text(line(each.name), NAME),
            Text(f"{each.taken:%Y-%m-%d %H:%M}", QUIET),
            size(each.size),
            str(each.manifest.etcd.revision) if each.manifest else "",
            proof,
            Text(", ".join(map(line, each.places)), QUIET),
        )
    out.console.print(table)
