"""`quorate drill`: break things on purpose, and measure what users of the API notice."""

import gzip
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from quorate.cli.connect import present_cluster
from quorate.cli.locked import sole_writer
from quorate.cli.output import Output, busy, print_json
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

SECONDS_BETWEEN_WRITES = 0.05
"""Seconds between two writes: each is one commit of etcd, with an fsync on a majority of the members."""


def _demand_positive(option: str, number: int) -> int:
    if number < 1:
        raise UsageError(f"{option} {number}: at least 1 is needed", f"write a number, or leave {option} out")
    return number


def _pace(every: float) -> Pace:
    try:
        return Pace(new=every, kept=every, writes=max(every, SECONDS_BETWEEN_WRITES))
    except ValueError as error:
        raise UsageError(f"--every {every:g}: {error}", "write seconds, or leave --every out") from None


def list_faults(out: Output, *, json: bool) -> int:
    """Print the faults and their goals."""
    if json:
        rows = (vars(each) for each in FAULTS)
        print_json(
            [{name: row[name] for name in ("name", "title", "seconds", "goals", "loops", "kubelets")} for row in rows]
        )
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
    runs, pace = _demand_positive("--runs", runs), _pace(every)
    cluster, wanted, (html_file, json_file, compare) = present_cluster(load(file), file), named(names), files
    earlier = _read_report(compare)
    for path in (html_file, json_file):
        _demand_place(path)
    secrets = administrator(cluster, Store.beside(file, cluster.name))
    question = (
        f"This breaks {cluster.name} on purpose, {len(wanted) * runs} times, and heals it.  Go on?  Only yes does."
    )
    if not yes and not await out.confirmed(question):
        raise QuorateError("not drilled", "nothing was broken")

    def on_run(fault: Fault, run: Run) -> None:
        if not json:
            _print_run(out, fault, run)

    async with sole_writer(out, cluster, file, "drill", breaks=breaks, yes=yes, json=json) as (via, _):
        with busy(None if json else out, "drilling") as emit:
            report = await measure(
                cluster, secrets, via, faults=names, runs=runs, seed=seed, pace=pace, emit=emit, on_run=on_run
            )
    _write_report(report, earlier, html_file, json_file)
    if json:
        print(report.text(), end="", flush=True)
    else:
        out.console.print()
        table(out.console, report, earlier)
        if report.problem:
            out.say((report.problem, BAD))
    return _exit_code(report, strict=strict)


def _read_report(path: Path | None) -> DrillReport | None:
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


def _write_report(
    report: DrillReport, earlier: DrillReport | None, html_file: Path | None, json_file: Path | None
) -> None:
    if json_file is not None:
        json_file.write_text(report.text(), encoding="utf-8")
    if html_file is not None:
        html_file.write_text(page(report, earlier), encoding="utf-8")


def _print_run(out: Output, fault: Fault, run: Run) -> None:
    """One line for a run."""
    fine = not (run.problem or run.lost or run.disorder or run.moved or run.healthy is None)
    out.say((run_line(fault, run), QUIET if fine else BAD))


def _exit_code(report: DrillReport, *, strict: bool) -> int:
    missed = any(fault.late or fault.unheard or any(map(fault.missed, fault.goals)) for fault in report.faults)
    return 0 if report.ok and not (strict and missed) else VerifyFailed.exit_code
