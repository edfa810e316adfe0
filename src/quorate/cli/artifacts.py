"""`quorate artifacts`: what will be installed, and where it comes from."""

from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich.table import Table

from quorate.artifact.export import export, listing
from quorate.artifact.resolve import resolve
from quorate.cli.output import Output, busy, print_json
from quorate.plan.words import many, short, size
from quorate.report.console import NAME
from quorate.report.event import Said
from quorate.spec.load import load


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
