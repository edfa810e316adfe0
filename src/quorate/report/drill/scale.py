"""One time axis on which a gap of 50 ms and an outage of a minute can both be seen.

Stretches in which nothing happens are drawn narrower than those around the fault, its healing and the gaps. Each
kind has one scale of its own, so that lengths of the same kind can be compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_WIDE = 0.72
"""Share of the width for what is drawn wide."""
_WORTH = 5.0
"""Times narrower that the rest must become at least; below that one scale serves all."""
_LEAST = 40.0
"""Pixels of a narrow stretch at least; a shorter one is drawn wide like its neighbours."""
_APART = 36.0
"""Pixels between two labels of the axis."""
_EVERY = 64.0
"""Pixels between labels aimed at."""


@dataclass(frozen=True)
class Scale:
    """Seconds to pixels: straight between knots."""

    knots: Sequence[tuple[float, float]]
    """Seconds and pixels, both rising."""
    narrow: Sequence[tuple[float, float]] = ()
    """The stretches that are drawn narrower, in seconds."""
    times: float = 1.0
    """How many times narrower."""

    @property
    def begin(self) -> float:
        """Seconds at the left edge."""
        return self.knots[0][0]

    @property
    def end(self) -> float:
        """Seconds at the right edge."""
        return self.knots[-1][0]

    def x(self, seconds: float) -> float:
        """Pixels; what lies outside is put on the edge."""
        for (left, from_), (right, to) in pairwise(self.knots):
            if seconds <= right:
                return from_ + max(0.0, seconds - left) / (right - left) * (to - from_)
        return self.knots[-1][1]

    def labels(self) -> list[float]:
        """Where the axis has its numbers, the fault (0) before all others."""
        kept: list[float] = [0.0]
        for (left, from_), (right, to) in pairwise(self.knots):
            step = nice((right - left) / (to - from_) * _EVERY)
            for count in range(int(left // step), int(right // step) + 1):
                at = round(count * step, 6)
                if left <= at <= right and all(abs(self.x(at) - self.x(each)) >= _APART for each in kept):
                    kept.append(at)
        return sorted(kept)


def nice(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50 ... that is not below a number above 0."""
    power = 1e-3
    while True:
        for digit in (1, 2, 5):
            if digit * power >= least:
                return digit * power
        power *= 10


def scale(begin: float, end: float, wide: Iterable[tuple[float, float]], left: float, right: float) -> Scale:
    """The axis from `begin` to `end` seconds on `left` to `right` pixels; `wide` are the stretches to draw wide."""
    merged = _merge([(max(begin, a), min(end, b)) for a, b in wide if a < end and b > begin])
    edges = sorted({begin, end, *(edge for each in merged for edge in each)})
    between = [(a, b) for a, b in pairwise(edges) if not any(c <= a and b <= d for c, d in merged)]
    rest = sum(b - a for a, b in between)
    length = end - begin - rest
    times = (rest / length) * _WIDE / (1 - _WIDE) if length else 0.0
    if times < _WORTH:
        return Scale(((begin, left), (end, right)))
    pixels = (1 - _WIDE) * (right - left) / rest
    short = [(a, b) for a, b in between if (b - a) * pixels < _LEAST]
    if short:
        return scale(begin, end, [*merged, *short], left, right)
    knots, at = [(begin, left)], left
    for a, b in pairwise(edges):
        at += (b - a) * pixels * (1 if (a, b) in between else times)
        knots.append((b, at))
    return Scale(knots, between, times)


def _merge(stretches: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping or touching ones as one."""
    found: list[tuple[float, float]] = []
    for a, b in sorted(stretches):
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(b, found[-1][1]))
        else:
            found.append((a, b))
    return found
