"""Reports of drills side by side, as tables in Markdown: what each setting's users felt of each fault."""

from collections.abc import Mapping, Sequence

from weather import Weather

from quorate.report.drill.sums import talk, told
from quorate.report.drill.report import DrillReport, Fault, spread

OURS = "quorate"
STREAMS = {
    "new": "New connections",
    "kept": "A kept connection",
    "writes": "Writes",
}


def markdown(reports: Sequence[DrillReport], weathers: Sequence[Weather]) -> str:
    """The whole document: for each cluster a table for each stream, one of failed requests, and the weather."""
    lines = [
        "# Drills",
        "",
        "Longest time without a success, in seconds: median / longest of all runs, and in how many times the longest "
        f"of {OURS} that is.",
    ]
    for cluster in dict.fromkeys(report.cluster for report in reports):
        mine = sorted((each for each in reports if each.cluster == cluster), key=lambda each: each.settings != OURS)
        lines += ["", f"## {cluster}", "", mine[0].about.get("topology", ""), "", *_whose(mine)]
        for stream, title in STREAMS.items():
            lines += ["", f"### {title}", "", *_table(mine, stream)]
        if any(fault.heard for each in mine for fault in each.faults):
            lines += ["", "### Until kubelets heard the API again", "", *_kubelets(mine)]
        lines += ["", "### Failed requests of new connections, on average of a run", "", *_failed(mine)]
    if weathers:
        lines += ["", "## Bad weather", "", *_weather(weathers)]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(first: str, rest: Sequence[str]) -> list[str]:
    return [_row(first, *rest), f"|---|{'---|' * len(rest)}"]


def _whose(reports: Sequence[DrillReport]) -> list[str]:
    """Whose settings, what they are, runs of each fault, and what went wrong, if anything."""
    rows = _head("settings", ["runs", "what they are", "wrong"])
    for each in reports:
        rows.append(_row(each.settings, each.about.get("runs", ""), each.about.get("settings", ""), _wrong(each)))
    return rows


def _wrong(report: DrillReport) -> str:
    runs = [run for fault in report.faults for run in fault.runs]
    counts = {
        "writes lost": sum(run.lost for run in runs),
        "out of order": sum(run.disorder for run in runs),
        "pods moved": sum(len(run.moved) for run in runs),
        "runs not healthy in time": sum(run.healthy is None for run in runs),
        "runs that do not count": sum(bool(run.problem) for run in runs),
    }
    return "; ".join([*(f"{count} {what}" for what, count in counts.items() if count), report.problem]).strip("; ")


def _faults(reports: Sequence[DrillReport]) -> dict[str, str]:
    """Titles of the faults that were tried, by name."""
    return {fault.name: fault.title for report in reports for fault in report.faults if fault.counted}


def _named(report: DrillReport, name: str) -> Fault | None:
    return next((fault for fault in report.faults if fault.name == name and fault.counted), None)


def _table(reports: Sequence[DrillReport], stream: str) -> list[str]:
    rows = _head("fault", [each.settings for each in reports])
    for name, title in _faults(reports).items():
        found = [_named(each, name) for each in reports]
        gaps = [fault.gaps(stream) if fault else [] for fault in found]
        ours = next((each for each, report in zip(gaps, reports, strict=True) if report.settings == OURS), [])
        rows.append(_row(title, *(_cell(each, report, ours) for each, report in zip(gaps, reports, strict=True))))
    return rows


def _cell(gaps: Sequence[float], report: DrillReport, ours: Sequence[float]) -> str:
    if not gaps:
        return "-"
    middle, _, most = spread(gaps)
    text = f"{told(middle)} / {told(most)}"
    if report.settings != OURS and ours and max(ours) > 0:
        ratio = most / max(ours)
        text += f" (×{ratio:.1f})" if ratio < 10 else f" (×{ratio:.0f})"
    wanted = report.about.get("runs", "")
    return text if wanted == str(len(gaps)) else f"{text}, {len(gaps)} runs"


def _kubelets(reports: Sequence[DrillReport]) -> list[str]:
    rows = _head("fault", [each.settings for each in reports])
    for name, title in _faults(reports).items():
        found = [talk(fault) if (fault := _named(each, name)) else None for each in reports]
        cells = (f"{told(one.p50)} / {told(one.most)} ({one.slowest})" if one else "-" for one in found)
        rows.append(_row(title, *cells))
    return rows


def _failed(reports: Sequence[DrillReport]) -> list[str]:
    rows = _head("fault", [each.settings for each in reports])
    for name, title in _faults(reports).items():
        cells = []
        for report in reports:
            fault = _named(report, name)
            counts = [run.felt["new"].failed for run in fault.counted if "new" in run.felt] if fault else []
            cells.append(f"{sum(counts) / len(counts):.1f}" if counts else "-")
        rows.append(_row(title, *cells))
    return rows


def _weather(weathers: Sequence[Weather]) -> list[str]:
    columns = ["minutes", "loss", "jitter", "busy CPUs", "moves", "elections", "marked down", "failed new", "passed"]
    rows = _head("cluster", columns)
    for each in weathers:
        new = each.probe.get("new")
        rows.append(
            _row(
                each.cluster,
                f"{each.minutes:g}",
                f"{each.loss} %",
                each.jitter,
                str(each.burners),
                str(_sum(each.moves)),
                str(max(each.elections.values(), default=0)),
                str(sum(map(len, each.marked.values()))),
                f"{new.failed} of {new.total}" if new else "-",
                "yes" if each.passed else "no",
            )
        )
    return rows


def _sum(counts: Mapping[str, int]) -> int:
    return sum(counts.values())
