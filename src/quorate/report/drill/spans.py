"""What was so for a while, as bars of a timeline: who held the virtual IP, who led, how services were."""

from collections.abc import Iterator, Mapping, Sequence

from quorate.plan.words import line
from quorate.report.drill.report import Span
from quorate.report.drill.scale import Scale
from quorate.report.markup import Html, join, tag

GOOD = frozenset({"active", "answers", "healthy", "ok", "ready", "running", "up"})
"""States that are as they should be: drawn as a thin line."""
COMING = frozenset({"activating", "deactivating", "reloading", "starting", "stopping"})
"""States on the way from one to another."""
NOBODY = frozenset({"", "-", "none", "nobody"})
"""Labels that name no holder."""
NAMES = 220.0
"""Where the names of lanes end, in pixels."""
LETTER = 6.4
"""Width of a letter of the labels."""
_ROW = 22.0
"""Height of a row."""
_COLOURS = 6
_LONGEST = 34
"""Letters of a lane's name that fit."""


def spans(found: Sequence[Span], axis: Scale, y: float) -> tuple[Html, float]:
    """All lanes below `y`, and where they end: holders first, then states."""
    colours, lanes = _colours(found), []
    for lane, rows in _rows(found).items():
        bars = [bar for at, row in enumerate(rows) for bar in _bars(row, colours, axis, y + _ROW * at)]
        lanes.append(tag("g", tag("text", line(lane, _LONGEST), x=NAMES, y=y + 15, class_="lane"), *bars))
        y += _ROW * len(rows) + 2
    return join(lanes), y


def _rows(found: Sequence[Span]) -> dict[str, list[list[Span]]]:
    """By lane, in rows without overlap: two hosts that hold the same address stand below each other."""
    lanes: dict[str, list[list[Span]]] = {lane: [] for lane in sorted({each.lane: 0 for each in found}, key=_state)}
    for span in sorted(found, key=lambda span: span.begin):
        rows = lanes[span.lane]
        row = next((each for each in rows if each[-1].end <= span.begin + 1e-6), None)
        if row is None:
            rows.append([span])
        else:
            row.append(span)
    return lanes


def _state(lane: str) -> bool:
    """Whether a lane tells of a state, not of a holder."""
    return lane != "virtual IP" and not lane.endswith("leader")


def _colours(found: Sequence[Span]) -> dict[str, str]:
    """A colour for each holder, the same in all lanes of a run."""
    names = sorted({span.label for span in found if not _state(span.lane)} - NOBODY)
    return {name: f"host{at % _COLOURS}" for at, name in enumerate(names)}


def _bars(row: Sequence[Span], colours: Mapping[str, str], axis: Scale, y: float) -> Iterator[Html]:
    for span in row:
        kind = _kind(span, colours)
        if not kind or span.end < axis.begin or span.begin > axis.end:
            continue
        left, right, high = axis.x(span.begin), axis.x(span.end), 4.0 if kind == "fine" else 16.0
        yield tag(
            "g",
            tag("title", f"{span.lane}: {span.label}, from {span.begin:.2f} s to {span.end:.2f} s"),
            tag(
                "rect",
                class_=f"span {kind}",
                x=left,
                y=y + (_ROW - high) / 2,
                width=max(right - left, 1.5),
                height=high,
            ),
        )
        if kind != "fine" and right - left >= len(span.label) * LETTER + 8:
            yield tag("text", span.label, x=left + 5, y=y + 15, class_="on")


def _kind(span: Span, colours: Mapping[str, str]) -> str:
    """How a bar looks; nothing for a lane that nobody holds."""
    if not _state(span.lane):
        return colours.get(span.label, "")
    return "fine" if span.label in GOOD else "coming" if span.label in COMING else "ill"
