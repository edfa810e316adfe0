"""`quorate history`: what was done to the cluster, by whom, and how it ended."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from quorate.cli.output import Output
    from quorate.state.history import JournalRun

Last = Annotated[int, Parameter(name="-n", help="How many runs, the newest ones; 0 for all.")]
One = Annotated[int | None, Parameter(name="--run", help="Show the steps of the run with this number.")]


def history(*, file: File = DEFAULT, last: Last = 20, run: One = None, json: Json = False) -> int:
    """Show what was done to the cluster: when, by whom, how it ended and how long it took. No host is asked.

    A run that was killed, or whose machine died, has no end in the journal and is shown as cut off.
    """
    from quorate.cli.output import Output, dump
    from quorate.core import UsageError
    from quorate.spec.load import load
    from quorate.state.history import read
    from quorate.state.store import Store

    cluster = load(file)
    runs = read(Store.beside(file, cluster.name).path / "journal.jsonl")
    if run is not None:
        found = next((each for each in runs if each.number == run), None)
        if found is None:
            there = f"there are runs 1 to {len(runs)}" if runs else "the journal is empty"
            raise UsageError(f"{cluster.name} has no run {run}", there)
        if json:
            dump({"cluster": cluster.name, "run": found.as_dict(steps=True)})
        else:
            _steps(Output(), found)
        return 0
    shown = runs[-last:] if last > 0 else runs
    if json:
        dump({"cluster": cluster.name, "runs": [each.as_dict() for each in shown]})
    elif shown:
        show(Output(), shown)
    else:
        Output().say(f"Nothing was done to {cluster.name} from this folder.")
    return 0


def show(out: "Output", runs: "Sequence[JournalRun]") -> None:
    """Print a line for each run."""
    from rich.table import Table
    from rich.text import Text

    from quorate.plan.words import line
    from quorate.report.console import NAME, QUIET

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    for title in ("run", "when (UTC)", "who", "verb", "result"):
        table.add_column(title, no_wrap=True, justify="right" if title == "run" else "left")
    for title in ("changed", "failed", "seconds"):
        table.add_column(title, no_wrap=True, justify="right")
    for each in runs:
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        table.add_row(
            Text(str(each.number), NAME),
            Text(line(each.time).removesuffix("+00:00").replace("T", " "), QUIET),
            *(Text(line(word, 40)) for word in (each.who, each.verb)),
            _result(each.result),
            *(str(each.count(word) or "") for word in ("changed", "failed")),
            seconds,
        )
    out.console.print(table)


def _result(result: str) -> "Text":
    from rich.text import Text

    from quorate.report.console import BAD, GOOD, WARN

    return Text(result, {"done": GOOD, "failed": BAD, "under way": ""}.get(result, WARN))


def _steps(out: "Output", run: "JournalRun") -> None:
    from quorate.plan.words import line
    from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN

    styles = {"changed": GOOD, "failed": BAD, "skipped": WARN}
    by = f"  {run.who}" if run.who else ""
    out.say((f"run {run.number}  ", NAME), f"{run.time}{by}  {run.verb}  {run.result}")
    for waived in run.begin.get("waived", ()):
        out.say(("waived  ", WARN), line(str(waived), 300))
    stage = ""
    for step in run.steps:
        if (now := str(step.get("stage", ""))) != stage:
            stage = now
            out.say((f"stage {line(stage, 40)}", "bold underline"))
        seconds = step.get("seconds", 0.0)
        place = "/".join(str(step.get(part, "")) for part in ("host", "kind", "name"))
        result = str(step.get("result", ""))
        out.say((f"{result:<8}", styles.get(result, "")), f"{seconds:>7.1f} s  ", (place, NAME))
        if why := step.get("error") or step.get("because"):
            out.say((line(str(why), 300), QUIET), indent=19)
    if error := run.end.get("error"):
        out.say((line(str(error), 300), QUIET))
