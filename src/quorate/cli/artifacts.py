"""`quorate artifacts`: what will be installed, and where it comes from."""

import re
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich.table import Table

from quorate.artifact.export import export, listing
from quorate.artifact.export_path import export_path
from quorate.artifact.resolve import resolve
from quorate.cli.output import Output, busy, print_json
from quorate.core import UsageError
from quorate.execute.carried import deliveries, usual
from quorate.execute.upgrading import running
from quorate.plan.words import many, short, size
from quorate.report.console import NAME, QUIET, WARN
from quorate.report.event import Said
from quorate.spec.load import load
from quorate.spec.words import VERSION
from quorate.state.past import Past
from quorate.state.store import Store


async def export_way(out: Output, file: Path, folder: Path, start: str | None, *, json: bool) -> int:
    """Write all that the way to the file's versions needs, a folder for each version.

    It begins at the Kubernetes `start` with what goes with that, else at what runs as the state folder knows it.
    Raises UsageError for a `start` that is no version.
    """
    if start is not None and not re.fullmatch(VERSION.pattern, start):
        raise UsageError(f"--from {start} is no whole version", VERSION.fix)
    cluster = load(file)
    past = Past(Store.beside(file, cluster.name), file, cluster)
    releases = usual(cluster, start) if start else running(past)
    with busy(None if json else out, "reading artifacts") as emit:
        found = await deliveries(cluster, file, releases, emit, assumed=start is not None)
        written = await export_path(found, folder, lambda text: emit(Said(text)))
    was, kubernetes = releases.get("kubernetes"), dict.fromkeys(supply.versions["kubernetes"] for supply, _ in found)
    if json:
        folders = [asdict(each) for each in written]
        told = {"source": cluster.artifacts.source, "from": was, "kubernetes": list(kubernetes), "folders": folders}
        print_json({**told, "exported": str(folder)})
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for each in written:
        table.add_row(each.name, size(each.size), "" if each.anew else "was there already")
    out.console.print(table)
    out.console.print()
    if was:
        out.say(("the way  ", QUIET), f"{was}, then Kubernetes {', '.join(kubernetes)}")
    else:
        alone = "no apply has noted here what runs, so this is the file's version alone; `--from VERSION` begins a way"
        out.say((alone, WARN))
    out.say(f"{folder} has it all: use it with `artifacts: {{source: directory, directory: {folder}}}`")
    return 0


async def list_artifacts(out: Output, file: Path, folder: Path | None, *, json: bool) -> int:
    """Fetch and verify what the cluster needs, print it, and write it to `folder` if one is named."""
    cluster = load(file)
    with busy(None if json else out, "reading artifacts") as emit:
        supply = await resolve(cluster, lambda text: emit(Said(text)), beside=file.absolute().parent)
        if folder is not None:
            emit(Said(f"writing {folder}"))
            await export(supply, folder)
    rows = listing(supply)
    source = cluster.artifacts.source
    if json:
        print_json(
            {"source": source, "artifacts": [asdict(row) for row in rows], "exported": str(folder) if folder else None}
        )
        return 0
    for kind, group in groupby(rows, key=lambda row: row.kind):
        of_kind = list(group)
        versions = {row.version for row in of_kind}
        common_version = versions.pop() if len(versions) == 1 else ""
        out.say((kind, NAME), (f"  {common_version}", "bright_black"))
        table = Table(
            box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, width=min(out.console.width, 100)
        )
        table.add_column(width=1)
        table.add_column(overflow="fold", ratio=3)
        table.add_column(overflow="fold", style="bright_black", ratio=2)
        table.add_column(justify="right", no_wrap=True, width=8)
        table.add_column(style="bright_black", no_wrap=True, width=12)
        for row in of_kind:
            table.add_row("", row.name, "" if common_version else row.version, size(row.size), short(row.sha256))
        out.console.print(table)
    out.console.print()
    total = size(sum(row.size for row in rows))
    out.say((many(len(rows), "artifact"), NAME), f", {total} unpacked, source {source}")
    if folder is not None:
        out.say(f"{folder} is written: use it with `artifacts: {{source: directory, directory: {folder}}}`")
    return 0
