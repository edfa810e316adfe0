"""`quorate plan`: what apply would change."""

from pathlib import Path

from quorate.cli.connect import connected
from quorate.cli.look import host_titles, look
from quorate.cli.names import demand_known, selected_hosts
from quorate.cli.output import Output, busy, print_json
from quorate.core import TransportError
from quorate.report import plan as plan_text
from quorate.spec.load import load

EXIT_CHANGES = 2
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
    demand_known(cluster, (*host, *sorted(replaced | without)), only)
    only_hosts = selected_hosts(cluster, limit)
    async with connected(cluster, file, asks=not json) as via:
        with busy(None if json else out, "reading artifacts") as emit:
            on_event = emit if out.lively else lambda _event: None
            looked = await look(cluster, file, via, emit, replaced=replaced, without=without, on_event=on_event)
    looked = looked.limited(only_hosts)
    shown = looked.shown.only(only, host)
    code = TransportError.exit_code if shown.unreachable else EXIT_CHANGES if shown.lines else 0
    if json:
        print_json({"cluster": cluster.name, "exit_code": code, **shown.as_dict()})
        return code
    plan_text.lines(out.console, shown, host_titles(looked), verbose=verbose)
    plan_text.notes(out.console, shown, verbose=verbose)
    plan_text.verdict(out.console, cluster.name, shown)
    return code
