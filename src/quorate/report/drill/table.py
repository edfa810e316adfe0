"""A drill in the terminal: what clients felt against the goals, what happened inside, what was skipped, the verdict."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from quorate.plan.words import clean, line, many
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.report.drill.report import DrillReport, Fault
from quorate.report.drill.sums import (
    FELT,
    Cell,
    Talk,
    cell,
    led,
    same,
    signed,
    talk,
    told,
    total,
    verdict,
    wrong,
)

_NONE = Text("-", QUIET)


def table(console: Console, drilled: DrillReport, before: DrillReport | None) -> None:
    """The whole report; no line is longer than the console is wide."""
    tried = [fault for fault in drilled.faults if fault.runs]
    if tried:
        _print(console, "longest time without a success, in seconds", _gaps(tried, before))
        _print(console, "within, in seconds: the worst of all runs", _inside(tried, led(drilled)))
    if heard := [(fault, found) for fault in tried if (found := talk(fault))]:
        _print(console, "until kubelets heard the API again, in seconds from the fault", _kubelets(heard))
    _notes(console, "went wrong", BAD, [(fault.title, why) for fault in tried for why in wrong(fault)])
    _notes(console, "skipped", WARN, [(fault.title, fault.skipped) for fault in drilled.faults if fault.skipped])
    if before:
        past = f"compared with {before.cluster}, settings {before.settings}, {before.began}"
        console.print(Text(clean(past), QUIET))
    console.print(Text(verdict(drilled), f"bold {GOOD}" if drilled.ok else BAD))


def _print(console: Console, title: str, rows: Table) -> None:
    console.print(Text(title, NAME))
    console.print(rows)
    console.print()


def _new(*columns: str) -> Table:
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    rows.add_column("fault", overflow="fold")
    for column in columns:
        rows.add_column(column, justify="right", no_wrap="\n" not in column)
    return rows


def _gaps(tried: Sequence[Fault], before: DrillReport | None) -> Table:
    """A line per stream of each fault; the change is that of the longest gap against the earlier report."""
    rows = _new("", "p50", "p99", "max", *["change"] * bool(before), "goal", "", "failed")
    rows.columns[1].justify = "left"
    for fault in tried:
        name = Text(line(fault.title))
        name.append(f"\n{many(len(fault.counted), 'run')}", QUIET)
        past, lines = same(fault, before), []
        for stream in FELT:
            found = cell(fault, stream, past)
            lines.append([Text(stream, QUIET), *(_cells(found, bool(before)) if found else [_NONE] * 3)])
        inner = [Text("\n").join(column) for column in _columns(lines, len(rows.columns) - 1)]
        rows.add_row(name, *inner, end_section=True)
    return rows


def _columns(lines: Sequence[Sequence[Text]], count: int) -> list[list[Text]]:
    """The same by column, short lines filled."""
    return [[each[at] if at < len(each) else Text() for each in lines] for at in range(count)]


def _cells(found: Cell, compared: bool) -> list[Text]:
    most = Text(told(found.most), BAD if found.missed else NAME)
    goal = Text() if found.goal is None else Text(f"{found.goal:g}" if found.goal else "0 failed")
    mark = Text() if found.goal is None else Text("✗", BAD) if found.missed else Text("✓", GOOD)
    style = BAD if found.missed and not found.goal else "" if found.failed else QUIET
    failed = Text(f"{found.failed}/{found.total}", style)
    return [Text(told(found.p50)), Text(told(found.p99)), most, *[_change(found)] * compared, goal, mark, failed]


def _change(found: Cell) -> Text:
    if found.change is None:
        return _NONE
    return Text(signed(found.change), WARN if found.change > 0 else QUIET)


def _inside(tried: Sequence[Fault], names: Sequence[str]) -> Table:
    """A line per fault."""
    heads = [name.removeprefix("kube-").replace("-", "-\n") for name in names]
    rows = _new("lost\nwrites", "one VIP\nowner", *heads, "pods\nmoved", "healthy\nafter")
    for fault in tried:
        found = total(fault)
        healthy = Text("-", QUIET) if found.healthy is None else Text(told(found.healthy))
        rows.add_row(
            fault.name,
            _count(found.lost),
            Text("never", BAD) if found.ownerless else _seconds(found.owner),
            *(_seconds(found.takeovers.get(name), fault.loops) for name in names),
            _count(len(found.moved)),
            Text("never", BAD) if found.sick else healthy,
        )
    return rows


def _kubelets(heard: Sequence[tuple[Fault, Talk]]) -> Table:
    """A line per fault."""
    rows = _new("p50", "max", "slowest", "goal", "")
    rows.columns[3].justify = "left"
    for fault, found in heard:
        goal = Text() if found.goal is None else Text(f"{found.goal:g}")
        mark = Text() if found.goal is None else Text("✗", BAD) if found.missed else Text("✓", GOOD)
        most = Text(told(found.most), BAD if found.missed else NAME)
        rows.add_row(fault.name, told(found.p50), most, Text(line(found.slowest), QUIET), goal, mark)
    return rows


def _count(count: int) -> Text:
    return Text(str(count), BAD if count else QUIET)


def _seconds(seconds: float | None, goal: float | None = None) -> Text:
    if seconds is None:
        return _NONE
    return Text(told(seconds), BAD if goal is not None and seconds > goal else "")


def _notes(console: Console, word: str, style: str, notes: Sequence[tuple[str, str]]) -> None:
    if not notes:
        return
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    grid.add_column(style=style, no_wrap=True)
    grid.add_column(max_width=30)
    grid.add_column(ratio=1, style=QUIET)
    for title, why in notes:
        grid.add_row(word, line(title), line(why))
    console.print(grid)
    console.print()
