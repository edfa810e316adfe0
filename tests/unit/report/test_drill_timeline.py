"""The pictures of a drill: the axis, what is drawn of thousands of tries, spans that overlap."""

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from quorate.report.drill.report import Fault, Run, Sample, Span, StreamStats
from quorate.report.drill.scale import nice, scale
from quorate.report.drill.spans import NAMES
from quorate.report.drill.strip import strips
from quorate.report.drill.timeline import longest, narrowed, timeline


def ok(*ends: float) -> list[Sample]:
    return [Sample(end - 0.01, 0.01, True) for end in ends]


RUN = Run(
    7,
    0,
    "lb01",
    outage=2,
    healthy=1,
    felt={"new": StreamStats(1.0, 1, 100)},
    ticks={
        "new": [*ok(*(at / 50 for at in range(-50, 20)), *(at / 50 for at in range(70, 160))), Sample(0.5, 0.1, False)]
    },
)


def draw(run: Run, **goals: float) -> ElementTree.Element:
    return ElementTree.fromstring(timeline(run, goals, "x"))


def found(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [each for each in root.iter() if each.attrib.get("class") == kind]


def test_a_short_run_has_one_scale() -> None:
    axis = scale(-1, 9, [(-1, 4)], 100, 1100)
    assert (axis.x(-1), axis.x(0), axis.x(9)) == (100, 200, 1100)
    assert (axis.x(-5), axis.x(50)) == (100, 1100)
    assert axis.narrow == ()
    assert axis.labels() == list(range(-1, 10))


@pytest.mark.parametrize("wide", [[(-0.5, 1.0)], [(-0.5, 1), (29.5, 31)], [(-0.5, 1), (1.1, 2), (88, 95)]])
def test_a_long_run_has_room_for_what_is_short(wide: list[tuple[float, float]]) -> None:
    axis = scale(-0.8, 90, wide, 200, 1000)
    assert axis.times > 5
    assert (axis.x(-0.8), axis.x(90)) == (200, pytest.approx(1000))
    assert axis.x(1) - axis.x(0) == pytest.approx(axis.times * (axis.x(20) - axis.x(19)))
    assert all(axis.x(b) - axis.x(a) >= 39 for a, b in axis.narrow)
    places = [axis.x(at / 10) for at in range(-8, 901)]
    assert all(a < b for a, b in pairwise(places))
    labels = axis.labels()
    assert 0 in labels
    assert all(axis.x(b) - axis.x(a) >= 36 for a, b in pairwise(labels))


def test_nice_steps() -> None:
    assert [nice(each) for each in (0.03, 0.05, 1.1, 2, 60)] == pytest.approx([0.05, 0.05, 2, 2, 100])


def test_the_longest_gap_lies_where_it_was_felt() -> None:
    assert longest(RUN, "new") == pytest.approx((0.38, 1.4))
    assert longest(RUN, "kept") is None
    never = replace(RUN, ticks={"new": ok(-1, -0.5)}, healthy=2)
    assert longest(never, "new") == (0, 4)
    silent = replace(RUN, ticks={"new": ok(-1, 3)}, healthy=None)
    assert longest(silent, "new") == (0, 3)


def test_the_gap_is_shaded_and_has_its_length() -> None:
    root = draw(RUN, new=0.5)
    (gap,) = found(root, "gap")
    left, right = float(gap.attrib["x"]), float(gap.attrib["x"]) + float(gap.attrib["width"])
    (good,), (bad,) = found(root, "tick good"), found(root, "tick bad")
    at = 0
    for move, dash in re.findall(r"[Mm](\d+)[^h]*h(\d+)", good.attrib["d"]):
        at += int(move)
        assert not left + 1 < at < right - 1
        at += int(dash)
    assert left < float(re.findall(r"M(\d+)", bad.attrib["d"])[0]) < right
    (label,) = [each.text for each in root.iter("text") if "length" in each.attrib.get("class", "")]
    assert label == "1.00 s (goal 0.5)"
    assert found(draw(RUN, new=2), "length")[0].text == "1.00 s"


def test_one_failure_among_thousands_is_seen() -> None:
    ticks = [Sample(at / 1000, 0.001, at != 7000) for at in range(20000)]
    root = draw(replace(RUN, outage=10, healthy=10, ticks={"new": ticks}))
    assert len(found(root, "tick bad")) == 1
    assert len(found(root, "tick good")[0].attrib["d"]) < 8000


def test_two_holders_at_once_are_drawn_below_each_other() -> None:
    spans = [
        Span("nginx on lb01", 0, 1, "failed"),
        Span("nginx on lb01", 1, 3, "active"),
        Span("virtual IP", -9, 1.5, "lb01"),
        Span("virtual IP", 1, 3, "lb02"),
        Span("etcd leader", 0, 1, ""),
        Span("etcd leader", 1, 3, "lb02"),
    ]
    root = draw(replace(RUN, spans=spans))
    lanes = [each.text for each in found(root, "lane")]
    assert lanes == ["new connections", "virtual IP", "etcd leader", "nginx on lb01"]
    first, second, leader = (each for each in root.iter("rect") if "host" in each.attrib["class"])
    assert first.attrib["y"] != second.attrib["y"]
    assert second.attrib["class"] == leader.attrib["class"]
    assert float(first.attrib["x"]) == NAMES + 12
    assert [found(root, f"span {kind}")[0].attrib["height"] for kind in ("ill", "fine")] == ["16", "4"]


def test_the_marks_do_not_lie_on_each_other() -> None:
    words = found(draw(replace(RUN, outage=0.02, healthy=0.01)), "when")
    assert len({each.attrib["y"] for each in words}) == 3
    assert narrowed(RUN) == 1


def test_dots_are_one_per_run() -> None:
    runs = [replace(RUN, number=at, felt={"new": StreamStats(0.1 if at else 0.4, 0, 9)}) for at in range(60)]
    root = ElementTree.fromstring(strips(Fault("f", "f", {"new": 0.2}, runs), "s"))
    assert len(found(root, "dot")) == 59
    assert len(found(root, "dot missed")) == 1
    assert len({(each.attrib["cx"], each.attrib["cy"]) for each in found(root, "dot")}) == 59
    assert all(26 < float(each.attrib["cy"]) < 88 for each in found(root, "dot"))
    assert "goal 0.2 s" in [each.text for each in root.iter("text")]
