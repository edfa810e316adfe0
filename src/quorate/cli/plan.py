"""`quorate plan`: what apply would change."""

from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.words import DEFAULT, File, Hosts, Json, Limit, Only, Replace, Svg, Verbose, Without

if TYPE_CHECKING:
    from quorate.cli.output import Output

CHANGES = 2
"""Exit code when there is something to change."""


def plan(
    *,
    file: File = DEFAULT,
    only: Only = (),
    host: Hosts = (),
    limit: Limit = (),
    replace: Replace = (),
    without: Without = (),
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Show what apply would change; changes nothing.

    All stages are shown, where there are several. --only and --host show a part of the plan, --limit and --without what
    an apply with them would do. Texts that change are shown as diffs, new ones with -v. Exit code 0: no changes, 2:
    changes, 6: a host did not answer.
    """
    from quorate.cli.output import Output, run

    with Output(svg=svg, title="quorate plan") as out:
        return run(
            _plan(out, file, only, host, limit, frozenset(replace), frozenset(without), verbose=verbose, json=json)
        )


async def _plan(
    out: "Output",
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
    from quorate.cli.look import about, busy, door, known, look, selected
    from quorate.cli.output import dump
    from quorate.core import TransportError
    from quorate.report import plan as text
    from quorate.spec.load import load

    cluster = load(file)
    known(cluster, (*host, *sorted(replaced | without)), only)
    only_on = selected(cluster, limit)
    async with door(cluster, file, asks=not json) as via:
        with busy(None if json else out, "reading artifacts") as emit:
            told = emit if out.lively else lambda _event: None
            looked = await look(cluster, file, via, emit, replaced=replaced, without=without, told=told)
    looked = looked.limited(only_on)
    shown = looked.shown.only(only, host)
    code = TransportError.exit_code if shown.unreachable else CHANGES if shown.lines else 0
    if json:
        dump({"cluster": cluster.name, "exit_code": code, **shown.as_dict()})
        return code
    text.lines(out.console, shown, about(looked), verbose=verbose)
    text.notes(out.console, shown, verbose=verbose)
    text.verdict(out.console, cluster.name, shown)
    return code
