"""One run on one time axis, as SVG: what the probe felt above, who held and led what and how services were below."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from quorate.report.drill.report import STREAMS, Run, Sample
from quorate.report.drill.scale import Scale, scale
from quorate.report.drill.spans import LETTER, NAMES, spans
from quorate.report.drill.sums import misses, told
from quorate.report.markup import Html, join, number, tag

TITLES = {"new": "new connections", "kept": "kept connection", "writes": "writes", "watch": "watch"}
"""The streams in words."""

_WIDTH, _LEFT, _RIGHT = 1080.0, NAMES + 12, 1066.0
_LANE = 30.0
"""Height of a stream's lane."""

Gap = tuple[float, float]


def timeline(run: Run, goals: Mapping[str, float], name: str) -> Html:
    """The picture; `name` makes its ids its own."""
    axis = _axis(run)
    top = 22.0 + 14.0 * max(mark.row for mark in _marks(run, axis))
    streams = [stream for stream in STREAMS if run.ticks.get(stream)]
    lanes, height = [], top
    for stream in streams:
        lanes.append(_stream(run, stream, goals.get(stream), axis, height))
        height += _LANE
    height += 10.0 * bool(streams and run.spans)
    below, height = spans(run.spans, axis, height)
    said = f"Run {run.number} on {run.target}: the probe's tries, and what it caused, by seconds from the fault."
    return tag(
        "svg",
        tag("title", said, id=f"{name}-title"),
        _paper(axis, top, height),
        *lanes,
        below,
        _lines(run, axis, top, height),
        _numbers(axis, height),
        class_="timeline",
        viewBox=f"0 0 {number(_WIDTH)} {number(height + 26)}",
        role="img",
        aria_labelledby=f"{name}-title",
    )


def narrowed(run: Run) -> float:
    """How many times narrower the tinted stretches are drawn; 1 when there are none."""
    return _axis(run).times


def _over(run: Run) -> float:
    """When all was healthy; if never, when the probe ended."""
    if run.healthy is not None:
        return run.outage + run.healthy
    ends = [tick.at + tick.seconds for ticks in run.ticks.values() for tick in ticks]
    return max([run.outage, *ends, *(span.end for span in run.spans)])


def _axis(run: Run) -> Scale:
    """From shortly before the fault to shortly after all was healthy, wide where something happens."""
    end = max(_over(run), 0.5) * 1.02
    gaps = [gap for stream in STREAMS if (gap := longest(run, stream))]
    most = max((b - a for a, b in gaps), default=0.0)
    room = max(most, 0.5, end * 0.02)
    wide = [(-0.5 * room, 1.2 * room), (run.outage - 0.3 * room, run.outage + 1.2 * room)]
    wide += [(a - 0.3 * room, b + 0.3 * room) for a, b in gaps if b - a >= 0.25 * most]
    wide += [(at - 0.2 * room, at + 0.2 * room) for at in run.takeovers.values()]
    return scale(-max(room, end * 0.04), end, wide, _LEFT, _RIGHT)


def longest(run: Run, stream: str) -> Gap | None:
    """Where a stream's longest time without a success lay, between the fault and when all was healthy."""
    over = _over(run)
    ends = sorted(tick.at + tick.seconds for tick in run.ticks.get(stream, ()) if tick.ok)
    if not run.ticks.get(stream):
        return None
    inside = [0.0, *(end for end in ends if 0 <= end <= over), over]
    return max(pairwise(inside), key=lambda gap: gap[1] - gap[0])


def _paper(axis: Scale, top: float, height: float) -> Html:
    """The stretches drawn narrower, tinted."""
    return join(
        tag("rect", class_="narrow", x=axis.x(a), y=top, width=axis.x(b) - axis.x(a), height=height - top)
        for a, b in axis.narrow
    )


def _numbers(axis: Scale, y: float) -> Html:
    found = []
    for at in axis.labels():
        x = axis.x(at)
        found.append(tag("path", class_="axis", d=f"M{number(x)} {number(y)}v4"))
        found.append(tag("text", f"{at:g} s" if at == 0 else f"{at:g}", x=x, y=y + 17, class_="number"))
    base = tag("path", class_="axis", d=f"M{number(_LEFT)} {number(y)}H{number(_RIGHT)}")
    return join([base, *found])


class _Mark(NamedTuple):
    """A moment of the run: how its line looks, where it is, its words, and on which side and row they stand."""

    kind: str
    x: float
    words: str
    before: bool
    row: int


def _marks(run: Run, axis: Scale) -> list[_Mark]:
    """Fault, healing, and when all was healthy; words that would overlap others stand a row higher."""
    moments = [("fault", 0.0, "fault"), ("healed", run.outage, f"healed {told(run.outage)} s")]
    if run.healthy is not None:
        moments.append(("well", run.outage + run.healthy, f"all healthy {told(run.outage + run.healthy)} s"))
    found: list[_Mark] = []
    taken: list[float] = []
    for kind, at, words in moments:
        x, wide = axis.x(at), len(words) * LETTER + 10
        before = x + wide > _WIDTH
        begin = x - wide if before else x
        row = next((each for each, until in enumerate(taken) if begin >= until), len(taken))
        taken[row : row + 1] = [begin + wide]
        found.append(_Mark(kind, x, words, before, row))
    return found


def _lines(run: Run, axis: Scale, top: float, bottom: float) -> Html:
    found = []
    for mark in _marks(run, axis):
        y = top - 8 - 14 * mark.row
        found.append(tag("path", class_=f"mark {mark.kind}", d=f"M{number(mark.x)} {number(y - 10)}V{number(bottom)}"))
        x, class_ = (mark.x - 5, "when before") if mark.before else (mark.x + 5, "when")
        found.append(tag("text", mark.words, x=x, y=y, class_=class_))
    return join(found)


def _stream(run: Run, stream: str, goal: float | None, axis: Scale, y: float) -> Html:
    """Successes as faint ticks at their ends, failures higher and darker, the longest gap shaded with its length."""
    middle = y + _LANE / 2
    ticks = run.ticks[stream]
    found = [tag("text", TITLES.get(stream, stream), x=NAMES, y=middle + 4, class_="lane")]
    gap = longest(run, stream)
    if gap:
        found.append(
            tag(
                "rect", class_="gap", x=axis.x(gap[0]), y=y + 3, width=axis.x(gap[1]) - axis.x(gap[0]), height=_LANE - 6
            )
        )
    found.append(_dashes([tick for tick in ticks if tick.ok], axis, middle, "good"))
    found.append(_dashes([tick for tick in ticks if not tick.ok], axis, middle, "bad"))
    if gap:
        found.append(_length(run, stream, goal, gap, axis, middle))
    return tag("g", *found)


def _length(run: Run, stream: str, goal: float | None, gap: Gap, axis: Scale, middle: float) -> Html:
    felt = run.felt.get(stream)
    length = felt.gap if felt else gap[1] - gap[0]
    missed = bool(goal and felt and misses(felt, goal))
    words = f"{told(length)} s" + (f" (goal {goal:g})" if missed else "")
    wide, left, right = len(words) * LETTER + 8, axis.x(gap[0]), axis.x(gap[1])
    class_ = "length missed" if missed else "length"
    if right + wide <= _RIGHT:
        return tag("text", words, x=right + 5, y=middle + 4, class_=class_)
    return tag("text", words, x=left - 5, y=middle + 4, class_=f"{class_} before")


def _dashes(ticks: Sequence[Sample], axis: Scale, y: float, kind: str) -> Html:
    """Each pixel at most once, neighbours as one dash: thousands of ticks stay a few kilobytes."""
    ends = (tick.at + tick.seconds for tick in ticks)
    pixels = sorted({round(axis.x(end)) for end in ends if axis.begin <= end <= axis.end})
    if not pixels:
        return Html()
    path, begin, last, pen = [f"M{pixels[0]} {number(y)}"], pixels[0], pixels[0], pixels[0]
    for pixel in [*pixels[1:], None]:
        if pixel == last + 1 and pixel is not None:
            last = pixel
            continue
        path += [f"m{begin - pen} 0"] * (begin != pen) + [f"h{last + 1 - begin}"]
        pen = last + 1
        if pixel is not None:
            begin = last = pixel
    return tag("path", class_=f"tick {kind}", d="".join(path))
