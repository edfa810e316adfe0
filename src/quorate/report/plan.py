"""A plan on the console: by host and component, new things one line each, changed texts as diffs."""

from collections.abc import Iterator
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quorate.plan.show import SIGNS, Line, Shown, Sort
from quorate.plan.words import many, size
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN, say

_STYLES = {
    Sort.CREATE: GOOD,
    Sort.CHANGE: WARN,
    Sort.REMOVE: BAD,
    Sort.RESTART: WARN,
    Sort.RELOAD: WARN,
    Sort.WAIT: QUIET,
}
_COLUMN = 44
"""Most names and paths are shorter; longer ones push their detail to the right."""


def lines(console: Console, shown: Shown, about: dict[str, str], *, verbose: bool = False) -> None:
    """Every change, stage after stage; `about` says what a host is. New texts are shown whole only with `verbose`."""
    for part in _staged(console, shown):
        _hosts(console, part, about, verbose=verbose)


def _staged(console: Console, shown: Shown) -> Iterator[Shown]:
    """The stages, each with its heading where there are several."""
    for number, name in enumerate(shown.stages, 1):
        part = shown.of(name)
        if len(shown.stages) > 1:
            say(
                console,
                (f"stage {number} of {len(shown.stages)}: {name}  ", f"{NAME} underline"),
                (part.summary, QUIET),
            )
            console.print()
        yield part


def _hosts(console: Console, shown: Shown, about: dict[str, str], *, verbose: bool) -> None:
    for host, mine in groupby(shown.lines, key=lambda line: line.key.host):
        of_host = list(mine)
        say(console, (host, NAME), f"  {about.get(host, '')}  ", (_counts(of_host), QUIET))
        for component, group in groupby(of_host, key=lambda line: line.component):
            say(console, (component, "cyan"), indent=2)
            for line in group:
                _line(console, line, verbose=verbose)
        console.print()


def overview(console: Console, shown: Shown, about: dict[str, str]) -> None:
    """One row per host, for a plan too long to be read before a yes."""
    for part in _staged(console, shown):
        _rows(console, part, about)


def _rows(console: Console, shown: Shown, about: dict[str, str]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style=QUIET)
    table.add_column("host", style=NAME)
    for title in ("create", "change", "restart"):
        table.add_column(title, justify="right")
    table.add_column("to send", justify="right")
    table.add_column("roles", style=QUIET)
    for host, mine in groupby(shown.lines, key=lambda line: line.key.host):
        part = Shown(tuple(mine))
        restarts = part.count(Sort.RESTART, Sort.RELOAD)
        counts = (part.count(Sort.CREATE), part.count(Sort.CHANGE, Sort.REMOVE), restarts)
        sent = size(part.send) if part.send else ""
        table.add_row(host, *(str(count or "") for count in counts), sent, about.get(host, ""))
    console.print(table)
    console.print()


def notes(console: Console, shown: Shown, *, verbose: bool = False) -> None:
    """What a reader should know besides: new keys and certificates, hosts that did not answer."""
    new = [note for note in shown.notes if note.endswith(": new")]
    other = [note for note in shown.notes if note not in new]
    if verbose:
        other, new = list(shown.notes), []
    if new:
        say(console, (f"{many(len(new), 'certificate')} will be issued (-v names them)", QUIET))
    for note in other:
        say(console, (note, WARN))
    if shown.notes:
        console.print()
    unreachable(console, shown)


def unreachable(console: Console, shown: Shown) -> None:
    """The hosts that did not answer, with the reason."""
    for host, why in (shown.unreachable or {}).items():
        reason = why.removeprefix(f"{host}: ")
        say(console, ("unreachable  ", BAD), (host, NAME), f"  {reason}")
    if shown.unreachable:
        console.print()


def verdict(console: Console, cluster: str, shown: Shown) -> None:
    """The last line."""
    away = f"; {many(len(shown.unreachable), 'host')} not seen" if shown.unreachable else ""
    if shown.lines:
        say(console, (f"{cluster}: ", NAME), shown.summary, (away, BAD))
    elif shown.hosts:
        looked = f"{many(shown.looked, 'thing')} on {many(len(shown.hosts), 'host')}"
        say(console, (f"{cluster}: no changes", f"{GOOD} bold"), f", {looked} are as the file says", (away, BAD))
    else:
        say(console, (f"{cluster}: no host answers", BAD))


def _counts(mine: list[Line]) -> str:
    counts = [(SIGNS[sort], sum(1 for line in mine if line.sort is sort)) for sort in (Sort.CREATE, Sort.CHANGE)]
    counts.append(("!", sum(1 for line in mine if line.sort in (Sort.RESTART, Sort.RELOAD))))
    return " ".join(f"{sign}{count}" for sign, count in counts if count)


def _line(console: Console, line: Line, *, verbose: bool) -> None:
    style = _STYLES[line.sort]
    sort = line.kind if line.kind in ("certificate", "kubeconfig") else ""
    text = ", ".join(filter(None, (sort, line.detail)))
    name = f"{line.name:<{_COLUMN}}" if text else line.name
    say(console, (f"{SIGNS[line.sort]} ", style), f"{name}  " if text else name, (text, QUIET), indent=4)
    if line.diff and (verbose or line.sort is Sort.CHANGE):
        for each in line.diff:
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(each[:1], QUIET)
            console.print(Text("        " + each, style=colour), soft_wrap=True)
