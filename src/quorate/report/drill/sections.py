"""The tables of a drill's page: gaps against goals, what happened inside, survival, calm, and every run of a fault."""

from collections import Counter
from collections.abc import Sequence
from math import inf

from quorate.report.drill.report import STREAMS, DrillReport, Fault, Run, StreamStats
from quorate.report.drill.sums import FELT, Cell, Talk, cell, led, same, signed, talk, told, total, within
from quorate.report.drill.timeline import TITLES
from quorate.report.markup import Html, join, tag

_NONE = tag("td", "–", class_="none")


def anchor(fault: Fault) -> str:
    """Where a fault's section stands in the page."""
    return "fault-" + "".join(each if each.isascii() and each.isalnum() else "-" for each in fault.name)


def gaps(drilled: DrillReport, before: DrillReport | None) -> Html:
    """One row per fault: the longest gaps of each stream with goal, mark and change, and the failed requests."""
    heads = ("p50", "p99", "max", *["change"] * bool(before), "goal", "failed")
    first = [tag("th", "fault", rowspan=2, scope="col"), tag("th", "runs", rowspan=2, scope="col", class_="n")]
    groups = [tag("th", TITLES[stream], colspan=len(heads), scope="colgroup", class_="group") for stream in FELT]
    second = [_head(head, edge=not at) for _ in FELT for at, head in enumerate(heads)]
    rows = [tag("tr", _name(fault), *_row(drilled, fault, before, len(heads))) for fault in drilled.faults]
    return _table(
        "Longest time without a success, in seconds, over all runs of a fault",
        [tag("tr", *first, *groups), tag("tr", *second)],
        rows,
    )


def _row(drilled: DrillReport, fault: Fault, before: DrillReport | None, wide: int) -> list[Html]:
    if not fault.runs:
        return [tag("td", f"skipped: {fault.skipped or 'no runs'}", colspan=1 + wide * len(FELT), class_="skipped")]
    past = same(fault, before)
    found = [_number(str(len(fault.counted)))]
    for stream in FELT:
        one = cell(fault, stream, past)
        calm = drilled.calm[stream].gap if stream in drilled.calm else 0.0
        found += _cells(one, calm, bool(before)) if one else _untold(fault.goals.get(stream), wide)
    return found


def _cells(one: Cell, calm: float, compared: bool) -> list[Html]:
    gap_bad = "bad" if one.missed and one.goal else ""
    found = [
        _number(told(one.p50), "edge quiet"),
        _number(told(one.p99), "quiet"),
        _number(told(one.most), f"most {gap_bad}"),
    ]
    if compared:
        found.append(_NONE if one.change is None else _change(one.change, calm))
    found.append(_aim(one))
    failed_bad = "bad" if one.missed and not one.goal else "" if one.failed else "quiet"
    return [*found, _number(tag("span", str(one.failed), title=f"of {one.total}"), failed_bad)]


def _untold(goal: float | None, wide: int) -> list[Html]:
    """A stream that no run has; its goal is shown all the same."""
    aim = _NONE if goal is None else _number(f"{goal:g}" if goal else "0 failed", "quiet")
    return [tag("td", "–", class_="none edge"), *[_NONE] * (wide - 3), aim, _NONE]


def _change(change: float, calm: float) -> Html:
    """What lies within the probe's own resolution is no change worth a colour."""
    style = "quiet" if abs(change) <= calm or not change else "longer" if change > 0 else "shorter"
    return _number(signed(change, "−"), style)


def _aim(one: Cell | Talk) -> Html:
    if one.goal is None:
        return _NONE
    aim = f"{one.goal:g}" if one.goal else "0 failed"
    word, mark = ("missed", "✗") if one.missed else ("reached", "✓")
    return _number(
        join([tag("span", mark, class_=f"mark {word}", role="img", aria_label=word, title=word), f" {aim}"]), "aim"
    )


def inside(drilled: DrillReport) -> Html:
    """One row per fault: what must stay zero, and how long until everything was in its place; the worst of the runs."""
    names = led(drilled)
    heads = ["lost writes", "out of order", "pods moved", "one VIP owner", *(f"{name} leader" for name in names)]
    head = tag("tr", tag("th", "fault", scope="col"), *(_head(each) for each in [*heads, "all healthy"]))
    rows = []
    for fault in (each for each in drilled.faults if each.runs):
        found = total(fault)
        owner = _number("never", "bad") if found.ownerless else _seconds(found.owner)
        rows.append(
            tag(
                "tr",
                _name(fault),
                *(_count(each) for each in (found.lost, found.disorder, len(found.moved))),
                owner,
                *(_seconds(found.takeovers.get(name)) for name in names),
                _number("never", "bad") if found.sick else _seconds(found.healthy),
            )
        )
    return _table("What was lost, and seconds until all was in its place: the worst of all runs", [head], rows)


def kubelets(drilled: DrillReport) -> Html:
    """One row per fault: when kubelets heard the API again, and the slowest of them; empty where nobody told."""
    rows = []
    for fault in drilled.faults:
        if found := talk(fault):
            most = _number(told(found.most), "most bad" if found.missed else "most")
            name = tag("td", found.slowest, class_="prose")
            rows.append(tag("tr", _name(fault), _number(told(found.p50), "quiet"), most, name, _aim(found)))
    if not rows:
        return join([])
    heads = [tag("th", "fault", scope="col"), _head("p50"), _head("max"), tag("th", "slowest", scope="col")]
    head = tag("tr", *heads, _head("goal"))
    return _table("Seconds from the fault until kubelets heard the API again, over all runs", [head], rows)


def survival(drilled: DrillReport) -> Html:
    """What the topology survives, from the file alone."""
    rows = []
    for what, fate, meaning in drilled.survival:
        mark, style = ("✓", "reached") if fate == "survives" else ("✗", "missed")
        said = tag("td", tag("span", mark, class_=f"mark {style}", aria_hidden="true"), f" {fate}", class_="fate")
        rows.append(tag("tr", tag("th", what, scope="row"), said, tag("td", meaning, class_="prose")))
    head = tag("tr", *(tag("th", each, scope="col") for each in ("what fails", "the cluster", "what that means")))
    return _table("What this topology survives, computed from the cluster file", [head], rows)


def calm(drilled: DrillReport) -> Html:
    """What the probe met without any fault."""
    rows = [
        tag(
            "tr",
            tag("th", TITLES.get(stream, stream), scope="row"),
            _seconds(felt.gap),
            _number(str(felt.failed), "bad" if felt.failed else ""),
            _number(str(felt.total)),
        )
        for stream, felt in sorted(drilled.calm.items(), key=lambda each: _place(each[0]))
    ]
    heads = (_head(each) for each in ("longest gap, s", "failed", "requests"))
    head = tag("tr", tag("th", "stream", scope="col"), *heads)
    return _table("What the probe felt before the first fault", [head], rows, "scroll small")


def runs(fault: Fault) -> Html:
    """Every run of a fault, folded away, with the reasons of failures over all streams."""
    heads = ("run", "at, s", "outage, s", *STREAMS, "failed", "lost", "healthy, s")
    head = tag("tr", *(_head(each) for each in heads), tag("th", "hit, and what failed", scope="col"))
    table = _table(f"Every run of {fault.title}", [head], [_run(fault, run) for run in fault.runs])
    return tag("details", tag("summary", f"Every run ({len(fault.runs)})"), table)


def _run(fault: Fault, run: Run) -> Html:
    words: Counter[str] = Counter()
    for felt in run.felt.values():
        words.update(felt.words)
    void = [f"does not count: {run.problem}"] if run.problem else []
    heard = [f"{host} {within(inf if each is None else each)}" for host, each in run.kubelets.items()]
    void += [f"kubelets: {', '.join(heard)}"] if heard else []
    said = [run.target, *void, *(f"{word} {count}" for word, count in words.most_common())]
    return tag(
        "tr",
        *(_number(each) for each in (str(run.number), f"{run.at:.0f}", told(run.outage))),
        *(_felt(run.felt.get(stream)) for stream in STREAMS),
        _number(str(sum(felt.failed for felt in run.felt.values()))),
        _count(run.lost),
        _number("never", "bad") if run.healthy is None else _seconds(run.healthy),
        tag("td", " · ".join(said), class_="prose"),
        class_="void" if run.problem else None,
    )


def _felt(felt: StreamStats | None) -> Html:
    return _NONE if felt is None else _number(told(felt.gap))


def _place(stream: str) -> int:
    return STREAMS.index(stream) if stream in STREAMS else len(STREAMS)


def _name(fault: Fault) -> Html:
    title = tag("a", fault.title, href=f"#{anchor(fault)}") if fault.runs else fault.title
    return tag("th", title, scope="row")


def _head(words: str, edge: bool = False) -> Html:
    return tag("th", words, scope="col", class_="n edge" if edge else "n")


def _number(words: str, style: str = "") -> Html:
    return tag("td", words, class_=f"n {style}".strip())


def _count(count: int) -> Html:
    return _number(str(count), "bad" if count else "quiet")


def _seconds(seconds: float | None) -> Html:
    return _NONE if seconds is None else _number(told(seconds))


def _table(caption: str, head: Sequence[Html], rows: Sequence[Html], class_: str = "scroll") -> Html:
    """A table that scrolls by itself where the page is narrow."""
    table = tag("table", tag("caption", caption), tag("thead", *head), tag("tbody", *rows))
    return tag("div", table, class_=class_, role="region", aria_label=caption, tabindex=0)
