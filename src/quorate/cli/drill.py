"""`quorate drill`: break things on purpose, and measure what users of the API notice."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, BreakLock, File, Json, Yes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.cli.output import Output
    from quorate.drill.probe_config import Pace
    from quorate.report.drill.report import DrillReport, Fault, Run

Names = Annotated[
    tuple[str, ...],
    Parameter(name="--fault", help="Only this fault; may be given again.", negative=(), show_default=False),
]
Runs = Annotated[int, Parameter(name="--runs", help="How often each fault is tried, at a random moment.")]
Seed = Annotated[int, Parameter(name="--seed", help="Where chance begins: moments and victims.")]
Every = Annotated[float, Parameter(name="--every", help="Seconds between two requests that read.")]
Html = Annotated[Path | None, Parameter(name="--html", help="Write the report as one HTML page.")]
Kept = Annotated[Path | None, Parameter(name="--output", help="Write the report as JSON.")]
Before = Annotated[Path | None, Parameter(name="--compare", help="An earlier report (JSON) to compare with.")]
List = Annotated[bool, Parameter(name="--list", help="Only name the faults and their goals.", show_default=False)]
Strict = Annotated[bool, Parameter(name="--strict", help="A goal that is missed is a failure.", show_default=False)]

WRITES = 0.05
"""Seconds between two writes: each is one commit of etcd, with an fsync on a majority of the members."""


def drill(
    *,
    file: File = DEFAULT,
    fault: Names = (),
    runs: Runs = 1,
    seed: Seed = 0,
    every: Every = 0.02,
    html: Html = None,
    output: Kept = None,
    compare: Before = None,
    list_: List = False,
    strict: Strict = False,
    yes: Yes = False,
    break_lock: BreakLock = False,
    json: Json = False,
) -> int:
    """Break things on purpose, one after another, and measure from here what users of the API notice.

    Everything that is broken is healed, also after Ctrl-C; by a timer on its host if this process dies. Exit code 8
    when an acknowledged write was lost, something did not heal, or pods were started again though their host lived.
    """
    from quorate.cli.output import Output, demand_terminal, run

    out = Output()
    if list_:
        return _list(out, json=json)
    if not yes:
        demand_terminal("drill", "add --yes: it breaks things on purpose")
    return run(
        _drill(
            out,
            file,
            fault,
            runs=_positive("--runs", runs),
            seed=seed,
            pace=_pace(every),
            files=(html, output, compare),
            strict=strict,
            yes=yes,
            breaks=break_lock,
            json=json,
        )
    )


def _positive(option: str, number: int) -> int:
    from quorate.core import UsageError

    if number < 1:
        raise UsageError(f"{option} {number}: at least 1 is needed", f"write a number, or leave {option} out")
    return number


def _pace(every: float) -> "Pace":
    from quorate.core import UsageError
    from quorate.drill.probe_config import Pace

    try:
        return Pace(new=every, kept=every, writes=max(every, WRITES))
    except ValueError as error:
        raise UsageError(f"--every {every:g}: {error}", "write seconds, or leave --every out") from None


def _list(out: "Output", *, json: bool) -> int:
    from rich.table import Table

    from quorate.cli.output import dump
    from quorate.drill.catalog import FAULTS
    from quorate.report.console import NAME, QUIET

    if json:
        rows = (vars(each) for each in FAULTS)
        dump([{name: row[name] for name in ("name", "title", "seconds", "goals", "loops", "kubelets")} for row in rows])
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("fault", style=NAME, no_wrap=True)
    table.add_column("what")
    for column in ("new", "kept", "writes", "loops", "kubelets"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in FAULTS:
        goals = [*(each.goals.get(name) for name in ("new", "kept", "writes")), each.loops, each.kubelets]
        table.add_row(each.name, each.title, *("" if goal is None else f"{goal:g} s" for goal in goals))
    out.console.print(table)
    return 0


async def _drill(
    out: "Output",
    file: Path,
    names: "Sequence[str]",
    *,
    runs: int,
    seed: int,
    pace: "Pace",
    files: tuple[Path | None, Path | None, Path | None],
    strict: bool,
    yes: bool,
    breaks: bool,
    json: bool,
) -> int:
    from quorate.cli.look import busy, there
    from quorate.cli.writer import writing
    from quorate.core import QuorateError
    from quorate.drill.catalog import named
    from quorate.procedure.kubeconfig import administrator
    from quorate.spec.load import load
    from quorate.state.store import Store

    cluster, wanted, (html, kept, compare) = there(load(file), file), named(names), files
    before = _read(compare)
    for path in (html, kept):
        _demand_place(path)
    secrets = administrator(cluster, Store.beside(file, cluster.name))
    question = (
        f"This breaks {cluster.name} on purpose, {len(wanted) * runs} times, and heals it.  Go on?  Only yes does."
    )
    if not yes and not await out.agreed(question):
        raise QuorateError("not drilled", "nothing was broken")

    def on_run(fault: "Fault", run: "Run") -> None:
        if not json:
            _tell(out, fault, run)

    async with writing(out, cluster, file, "drill", breaks=breaks, yes=yes, json=json) as (via, _):
        from quorate.drill.runner import drill as measure

        with busy(None if json else out, "drilling") as emit:
            found = await measure(
                cluster, secrets, via, faults=names, runs=runs, seed=seed, pace=pace, emit=emit, on_run=on_run
            )
    _write(found, before, html, kept)
    if json:
        print(found.text(), end="", flush=True)
    else:
        from quorate.report.console import BAD
        from quorate.report.drill.table import table

        out.console.print()
        table(out.console, found, before)
        if found.problem:
            out.say((found.problem, BAD))
    return _code(found, strict=strict)


def _read(path: Path | None) -> "DrillReport | None":
    """A report, packed or not."""
    import gzip
    import zlib

    from quorate.core import QuorateError
    from quorate.report.drill.report import DrillReport

    if path is None:
        return None
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        return DrillReport.read(text.decode("utf-8"))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise QuorateError(f"--compare {path}: {error}") from None


def _demand_place(path: Path | None) -> None:
    """Refuse a file that can't be written, before an hour of measuring and not after it."""
    from quorate.core import QuorateError

    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise QuorateError(f"{path}: can't be written", "name another place")


def _write(found: "DrillReport", before: "DrillReport | None", html: Path | None, kept: Path | None) -> None:
    if kept is not None:
        kept.write_text(found.text(), encoding="utf-8")
    if html is not None:
        from quorate.report.drill.page import page

        html.write_text(page(found, before), encoding="utf-8")


def _tell(out: "Output", fault: "Fault", run: "Run") -> None:
    """One line for a run."""
    from quorate.report.console import BAD, QUIET
    from quorate.report.drill.sums import run_line

    fine = not (run.problem or run.lost or run.disorder or run.moved or run.healthy is None)
    out.say((run_line(fault, run), QUIET if fine else BAD))


def _code(found: "DrillReport", *, strict: bool) -> int:
    from quorate.core import VerifyFailed

    missed = any(fault.late or fault.unheard or any(map(fault.missed, fault.goals)) for fault in found.faults)
    return 0 if found.ok and not (strict and missed) else VerifyFailed.exit_code
