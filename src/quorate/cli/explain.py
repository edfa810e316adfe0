"""`quorate explain`: what happens when something fails, from the cluster file alone."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.cli.output import Output, print_json
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec import whatif
from quorate.spec.load import load
from quorate.spec.outlook import outlook
from quorate.spec.survival import Outcome, Reads
from quorate.spec.whatif import Case


def show_losses(file: Path, svg: Path | None, *, offline: bool, json: bool) -> int:
    """Print what each loss means, what may fail at once, and where the cluster is weak."""
    cluster = load(file, offline=offline)
    if json:
        print_json(whatif.as_dict(cluster))
        return 0
    with Output(svg=svg, title="quorate explain") as out:
        outlook_now, pairs = outlook(cluster), whatif.pairs(cluster)
        out.say(
            (cluster.name, NAME),
            " " if outlook_now.may_fail else ": ",
            (outlook_now.text, f"bold {GOOD}" if outlook_now.may_fail else WARN),
        )
        out.console.print()
        out.console.print(_table(whatif.cases(cluster)))
        out.console.print()
        spare = ", ".join(
            f"{may} of {of} {whatif.NOUNS[role][0]}{'' if of == 1 else 's'}"
            for role, (may, of) in whatif.tolerance(cluster).items()
        )
        out.say((f"{'may fail':<20}", QUIET), spare)
        if pairs.all:
            out.say((f"{'two hosts at once':<20}", QUIET), f"{pairs.survived} of {pairs.all} pairs are survived")
        for loss in pairs.fatal:
            out.say((f"{'':<20}not ", QUIET), str(loss))
        weaknesses = whatif.weaknesses(cluster)
        if weaknesses:
            out.console.print()
        for each in weaknesses:
            out.say(("! ", WARN), each)
    return 0


def _table(cases: list[Case]) -> Table:
    """One row for each loss."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("what fails", style=NAME, min_width=16, ratio=3)
    for column, width in (("API", 6), ("writes", 6), ("control loops", 7), ("pods on other hosts", 11)):
        table.add_column(column, width=width)
    table.add_column("meaning", ratio=6)
    for case in cases:
        table.add_row(case.what, *_cells(case.outcome), case.meaning)
    return table


def _cells(outcome: Outcome) -> list[Text]:
    def mark(well: bool) -> Text:
        return Text("yes", GOOD) if well else Text("no", BAD)

    api = Text("memory", WARN) if outcome.reads is Reads.MEMORY else mark(outcome.reads is Reads.YES)
    return [api, mark(outcome.writes), mark(outcome.loops), mark(outcome.pods)]
