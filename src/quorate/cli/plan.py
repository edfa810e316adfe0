"""`quorate plan`: what apply would change."""

from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.look import about, look
from quorate.cli.names import known, selected
from quorate.cli.output import Output, busy, dump
from quorate.core import TransportError
from quorate.report import plan as plan_text
from quorate.spec.load import load

CHANGES = 2
"""Exit code when there is something to change."""


async def show_plan(
    out: Output,
    file: Path,
    only: tuple[str, ...],
    host: tuple[str, ...],
    limit: tuple[str, ...],
    replaced: frozenset[str],
    without: frozenset[str],
    *,
    verbose: bool,
    json: bool,
) -> int:
    """Print the difference between the file and the hosts, all or a part of it."""
    cluster = load(file)
    known(cluster, (*host, *sorted(replaced | without)), only)
    only_on = selected(cluster, limit)
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "reading artifacts") as emit:
            told = emit if out.lively else lambda _event: None
            looked = await look(cluster, file, via, emit, replaced=replaced, without=without, told=told)
    looked = looked.limited(only_on)
    shown = looked.shown.only(only, host)
    code = TransportError.exit_code if shown.unreachable else CHANGES if shown.lines else 0
    if json:
        dump({"cluster": cluster.name, "exit_code": code, **shown.as_dict()})
        return code
    plan_text.lines(out.console, shown, about(looked), verbose=verbose)
    plan_text.notes(out.console, shown, verbose=verbose)
    plan_text.verdict(out.console, cluster.name, shown)
    return code
