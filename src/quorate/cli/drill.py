"""`quorate drill`: break things on purpose, and measure what users of the API notice."""

import gzip
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from quorate.cli.connect import there
from quorate.cli.output import Output, busy, dump
from quorate.cli.writer import writing
from quorate.core import QuorateError, UsageError, VerifyFailed
from quorate.drill.catalog import FAULTS, named
from quorate.drill.probe_config import Pace
from quorate.drill.runner import drill as measure
from quorate.procedure.kubeconfig import administrator
from quorate.report.console import BAD, NAME, QUIET
from quorate.report.drill.page import page
from quorate.report.drill.report import DrillReport, Fault, Run
from quorate.report.drill.sums import run_line
from quorate.report.drill.table import table
from quorate.spec.load import load
from quorate.state.store import Store

WRITES = 0.05
"""Seconds between two writes: each is one commit of etcd, with an fsync on a majority of the members."""


def _positive(option: str, number: int) -> int:
    if number < 1:
        raise UsageError(f"{option} {number}: at least 1 is needed", f"write a number, or leave {option} out")
    return number


def _pace(every: float) -> Pace:
    try:
        return Pace(new=every, kept=every, writes=max(every, WRITES))
    except ValueError as error:
        raise UsageError(f"--every {every:g}: {error}", "write seconds, or leave --every out") from None


def list_faults(out: Output, *, json: bool) -> int:
    """Print the faults and their goals."""
    if json:
        rows = (vars(each) for each in FAULTS)
        dump([{name: row[name] for name in ("name", "title", "seconds", "goals", "loops", "kubelets")} for row in rows])
        return 0
    faults = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    faults.add_column("fault", style=NAME, no_wrap=True)
    faults.add_column("what")
    for column in ("new", "kept", "writes", "loops", "kubelets"):
        faults.add_column(column, justify="right", no_wrap=True)
    for each in FAULTS:
        goals = [*(each.goals.get(name) for name in ("new", "kept", "writes")), each.loops, each.kubelets]
        faults.add_row(each.name, each.title, *("" if goal is None else f"{goal:g} s" for goal in goals))
    out.console.print(faults)
    return 0


async def run_faults(
    out: Output,
    file: Path,
    names: Sequence[str],
    *,
    runs: int,
    seed: int,
    every: float,
    files: tuple[Path | None, Path | None, Path | None],
    strict: bool,
    yes: bool,
    breaks: bool,
    json: bool,
) -> int:
    """Try each of these faults, all without any, `runs` times, with `every` seconds between two requests that read."""
    runs, pace = _positive("--runs", runs), _pace(every)
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

    def on_run(fault: Fault, run: Run) -> None:
        if not json:
            _tell(out, fault, run)

    async with writing(out, cluster, file, "drill", breaks=breaks, yes=yes, json=json) as (via, _):
        with busy(None if json else out, "drilling") as emit:
            found = await measure(
                cluster, secrets, via, faults=names, runs=runs, seed=seed, pace=pace, emit=emit, on_run=on_run
            )
    _write(found, before, html, kept)
    if json:
        print(found.text(), end="", flush=True)
    else:
        out.console.print()
        table(out.console, found, before)
        if found.problem:
            out.say((found.problem, BAD))
    return _code(found, strict=strict)


def _read(path: Path | None) -> DrillReport | None:
    """A report, packed or not."""
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
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise QuorateError(f"{path}: can't be written", "name another place")


def _write(found: DrillReport, before: DrillReport | None, html: Path | None, kept: Path | None) -> None:
    if kept is not None:
        kept.write_text(found.text(), encoding="utf-8")
    if html is not None:
        html.write_text(page(found, before), encoding="utf-8")


def _tell(out: Output, fault: Fault, run: Run) -> None:
    """One line for a run."""
    fine = not (run.problem or run.lost or run.disorder or run.moved or run.healthy is None)
    out.say((run_line(fault, run), QUIET if fine else BAD))


def _code(found: DrillReport, *, strict: bool) -> int:
    missed = any(fault.late or fault.unheard or any(map(fault.missed, fault.goals)) for fault in found.faults)
    return 0 if found.ok and not (strict and missed) else VerifyFailed.exit_code
