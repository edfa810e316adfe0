"""The longest gap of every run of a fault, a dot each, against the goal: one small SVG per stream."""

from collections import Counter
from collections.abc import Sequence

from quorate.report.drill.report import STREAMS, Fault, Run
from quorate.report.drill.scale import nice
from quorate.report.drill.sums import misses, told
from quorate.report.drill.timeline import TITLES
from quorate.report.markup import Html, join, number, tag

_WIDTH, _HEIGHT, _EDGE = 260.0, 112.0, 10.0
_FLOOR = 88.0
_STEP = 6.0
"""Distance of two dots above each other."""


def strips(fault: Fault, name: str) -> Html:
    """One picture per stream that the runs have; `name` makes their ids their own."""
    shown = [stream for stream in STREAMS if fault.gaps(stream)]
    return tag("div", *(_strip(fault, stream, f"{name}-{stream}") for stream in shown), class_="strips")


def _strip(fault: Fault, stream: str, name: str) -> Html:
    runs = [run for run in fault.counted if stream in run.felt]
    gaps, goal = fault.gaps(stream), fault.goals.get(stream)
    most = max(*gaps, goal or 0.0, 0.001) * 1.08
    words = TITLES.get(stream, stream)
    said = f"{words}: longest gap of each of {len(runs)} runs, at most {told(max(gaps))} s"
    inside = [
        tag("title", said + ("" if not goal else f", goal {goal:g} s"), id=name),
        tag("text", words, x=_EDGE, y=14, class_="name"),
        tag("text", f"max {told(max(gaps))} s", x=_WIDTH - _EDGE, y=14, class_="max"),
        _axis(most),
        *([_goal(goal, most)] if goal else []),
        *([_without(runs, stream)] if goal == 0 else []),
        tag("g", *_dots(runs, stream, goal, most)),
    ]
    return tag(
        "svg",
        *inside,
        class_="strip",
        viewBox=f"0 0 {number(_WIDTH)} {number(_HEIGHT)}",
        role="img",
        aria_labelledby=name,
    )


def _x(seconds: float, most: float) -> float:
    return _EDGE + seconds / most * (_WIDTH - 2 * _EDGE)


def _axis(most: float) -> Html:
    step = nice(most / 4)
    found = [tag("path", class_="axis", d=f"M{number(_EDGE)} {number(_FLOOR)}H{number(_WIDTH - _EDGE)}")]
    for count in range(int(most / step) + 1):
        x = _x(count * step, most)
        found.append(tag("path", class_="axis", d=f"M{number(x)} {number(_FLOOR)}v4"))
        found.append(tag("text", f"{count * step:g}" + " s" * (not count), x=x, y=_FLOOR + 17, class_="number"))
    return join(found)


def _goal(goal: float, most: float) -> Html:
    x = _x(goal, most)
    line = tag("path", class_="goal", d=f"M{number(x)} 26V{number(_FLOOR)}")
    before = x > _WIDTH / 2
    class_ = "aim before" if before else "aim"
    return join([line, tag("text", f"goal {goal:g} s", x=x - 4 if before else x + 4, y=34, class_=class_)])


def _without(runs: Sequence[Run], stream: str) -> Html:
    """The goal that no request fails is no length: said in words."""
    failed = sum(run.felt[stream].failed for run in runs)
    words = f"goal 0 failed: {failed} failed" if failed else "goal 0 failed: reached"
    return tag("text", words, x=_EDGE, y=34, class_="aim missed" if failed else "aim")


def _dots(runs: Sequence[Run], stream: str, goal: float | None, most: float) -> list[Html]:
    """Dots that would lie on each other are stacked; a run that missed the goal is a diamond."""
    places = [round(_x(run.felt[stream].gap, most) / _STEP) for run in runs]
    step = min(_STEP, (_FLOOR - 46) / max(Counter(places).values()))
    stacked: Counter[int] = Counter()
    found = []
    for run, place in sorted(zip(runs, places, strict=True), key=lambda each: each[0].felt[stream].gap):
        felt = run.felt[stream]
        x, y = _x(felt.gap, most), _FLOOR - 5 - step * stacked[place]
        stacked[place] += 1
        tip = tag("title", f"run {run.number}: {told(felt.gap)} s, {felt.failed} of {felt.total} failed")
        shape = (
            tag("path", class_="dot missed", d=f"M{number(x)} {number(y - 4)}l4 4l-4 4l-4 -4z")
            if misses(felt, goal)
            else tag("circle", class_="dot", cx=x, cy=y, r=2.7)
        )
        found.append(tag("g", tip, shape))
    return found
