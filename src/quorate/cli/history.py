"""`quorate history`: what was done to the cluster, by whom, and how it ended."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from quorate.cli.output import Output, print_json
from quorate.core import UsageError
from quorate.plan.words import line
from quorate.render.fallback import BACK, SILENT
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.spec.load import load
from quorate.state.history import JournalRun, read
from quorate.state.store import Store


def show_history(file: Path, last: int, run: int | None, *, json: bool) -> int:
    """Print the last runs, all for 0, or the steps of one. Raises UsageError for a run that is not there."""
    cluster = load(file)
    runs = read(Store.beside(file, cluster.name).path / "journal.jsonl")
    if run is not None:
        chosen = next((each for each in runs if each.number == run), None)
        if chosen is None:
            hint = f"there are runs 1 to {len(runs)}" if runs else "the journal is empty"
            raise UsageError(f"{cluster.name} has no run {run}", hint)
        if json:
            print_json({"cluster": cluster.name, "run": chosen.as_dict(steps=True)})
        else:
            _print_steps(Output(), chosen)
        return 0
    shown = runs[-last:] if last > 0 else runs
    if json:
        print_json({"cluster": cluster.name, "runs": [each.as_dict() for each in shown]})
    elif shown:
        print_runs(Output(), shown)
    else:
        Output().say(f"Nothing was done to {cluster.name} from this folder.")
    return 0


def print_runs(out: Output, runs: Sequence[JournalRun]) -> None:
    """Print a line for each run."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    for title in ("run", "when (UTC)", "who", "verb", "result"):
        table.add_column(title, no_wrap=True, justify="right" if title == "run" else "left")
    for title in ("changed", "failed", "seconds"):
        table.add_column(title, no_wrap=True, justify="right")
    if any(each.operation for each in runs):
        table.add_column("what")
    for each in runs:
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        table.add_row(
            Text(str(each.number), NAME),
            Text(line(each.time).removesuffix("+00:00").replace("T", " "), QUIET),
            *(Text(line(word, 40)) for word in (each.who, each.verb)),
            _result_text(each.result),
            *(str(each.count(word) or "") for word in ("changed", "failed")),
            seconds,
            *([Text(_what(each), QUIET)] if any(one.operation for one in runs) else ()),
        )
    out.console.print(table)


def _what(run: JournalRun) -> str:
    """The operation in a line: `upgrade kubernetes 1.36.3 to 1.37.2`."""
    moves = ", ".join(f"{part} {was} to {goal}" for part, (was, goal) in run.moves.items())
    return line(f"{run.operation} {moves}".strip())


def _result_text(result: str) -> Text:
    return Text(result, {"done": GOOD, "failed": BAD, "under way": ""}.get(result, WARN))


def _print_steps(out: Output, run: JournalRun) -> None:
    styles = {"changed": GOOD, "failed": BAD, "skipped": WARN}
    by = f"  {run.who}" if run.who else ""
    out.say((f"run {run.number}  ", NAME), f"{run.time}{by}  {run.verb}  {run.result}")
    for waived in run.begin.get("waived", ()):
        out.say(("waived  ", WARN), line(str(waived), 300))
    if run.operation:
        out.say((_what(run), NAME))
        for name, became in run.ways.items():
            out.say((f"{became:<10}", QUIET), f"stage {line(name, 40)}")
    for key, back in run.went_back.items():
        out.say(("went back  ", WARN), line(f"{key}: {BACK if back else SILENT}", 300))
    for each in run.postponed:
        out.say(("postponed  ", WARN), line(each, 300))
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
