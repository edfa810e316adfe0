"""The page of a drill: safe, whole in itself, well-formed, and saying what the report says."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from drilled_samples import drilled

from quorate.report.drill.page import page
from quorate.report.drill.report import STREAMS, DrillReport, Fault, Sample, StreamStats
from quorate.report.markup import Html, join, tag

NOW, PAST = drilled(5), drilled(5, slow=2.0)
EVIL = "</title></style><script>alert(1)</script><img src=http://x onerror='a'>\"'&\x1b[31m\u202e"


def tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


def texts(root: ElementTree.Element, path: str) -> Iterator[str]:
    return ("".join(each.itertext()) for each in root.iterfind(path))


def evil(value: Any) -> Any:
    """The same with hostile text in place of every text."""
    if isinstance(value, StreamStats):
        return replace(value, words={EVIL: 3})
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, dict):
        return {key if key in STREAMS else evil(key): evil(each) for key, each in value.items()}
    if isinstance(value, Sample):
        return value
    if isinstance(value, list):
        return [evil(each) for each in value]
    if isinstance(value, tuple):
        return tuple(evil(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: evil(getattr(value, each.name)) for each in fields(value)})
    return value


def test_hostile_text_stays_text() -> None:
    bad = evil(NOW)
    bad = replace(
        bad,
        faults=[
            replace(bad.faults[0], runs=[*bad.faults[0].runs, replace(bad.faults[0].runs[0], problem="")]),
            *bad.faults[1:],
        ],
    )
    text = page(bad, evil(PAST))
    root = tree(text)
    assert not list(root.iter("script"))
    assert not list(root.iter("img"))
    assert len(list(root.iter("style"))) == 1
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in next(texts(root, "head/title"))


def test_keys_are_not_shown() -> None:
    text = page(replace(NOW, settings="-----BEGIN PRIVATE KEY-----\nMII"), None)
    assert "MII" not in text


def test_the_page_needs_nothing_else() -> None:
    text = page(NOW, PAST)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    root = tree(text)
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    for each in root.iter():
        assert "src" not in each.attrib
        reference = each.attrib.get("href", "data:,")
        assert reference == "data:," or reference.removeprefix("#") in ids
    policy = next(each for each in root.iter("meta") if "http-equiv" in each.attrib)
    assert policy.attrib["content"].startswith("default-src 'none'")


def test_the_page_is_well_formed_for_a_browser() -> None:
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            opened.extend([tag] * (tag not in ("meta", "link")))

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in ("meta", "link", "path", "rect", "circle")

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(page(NOW, PAST))
    assert not opened


def test_pictures_have_names() -> None:
    pictures = list(tree(page(NOW, None)).iter("svg"))
    assert len(pictures) == 9 * 5
    for each in pictures:
        title = each.find("title")
        assert title is not None
        assert title.attrib["id"] == each.attrib["aria-labelledby"]
        assert title.text


def gaps(text: str) -> dict[str, ElementTree.Element]:
    """The rows of the first table by their fault."""
    return {next(texts(row, "th")): row for row in next(tree(text).iter("tbody")).iterfind("tr")}


def cells(row: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()).strip() for each in row.iterfind("td")]


def test_every_fault_and_goal_is_shown() -> None:
    rows = gaps(page(NOW, None))
    assert list(rows) == [fault.title for fault in NOW.faults]
    for fault in NOW.faults[:-1]:
        shown = cells(rows[fault.title])
        assert len(shown) == 1 + 3 * 5
        for at, stream in enumerate(("new", "kept", "writes")):
            goal = fault.goals.get(stream)
            mark = "✗" if fault.missed(stream) else "✓"
            words = "–" if goal is None else f"{mark} {goal:g}" if goal else f"{mark} 0 failed"
            assert shown[4 + 5 * at] == words
            assert float(shown[3 + 5 * at]) == pytest.approx(max(fault.gaps(stream)), abs=0.0101)
    assert cells(rows["balancer link cut"]) == ["skipped: the balancers share one cable"]


def test_missed_goals_are_marked_with_more_than_a_colour() -> None:
    text = page(drilled(5, slow=4.0), None)
    row = gaps(text)["apiserver hung"]
    assert [each.text for each in row.iter("span") if each.attrib.get("aria-label") == "missed"] == ["✗"] * 3
    assert 'class="dot missed"' in text
    assert "goal 2)" in text
    good = page(drilled(5, slow=0.5), None)
    assert "dot missed" not in good
    assert 'class="verdict"' in good


def test_a_failed_request_misses_the_goal_of_none() -> None:
    fault = next(each for each in NOW.faults if each.name == "apiserver-terminated")
    runs = [replace(run, felt={**run.felt, "new": replace(run.felt["new"], failed=3)}) for run in fault.runs[:1]]
    text = page(replace(NOW, faults=[replace(fault, runs=runs)]), None)
    assert cells(gaps(text)[fault.title])[4:6] == ["✗ 0 failed", "3"]
    assert "goal 0 failed: 3 failed" in text


def test_changes_have_the_sign_of_what_takes_longer() -> None:
    better, worse = (gaps(page(a, b))["master host lost"] for a, b in ((NOW, PAST), (PAST, NOW)))
    assert cells(better)[4].startswith("−")
    assert cells(worse)[4].startswith("+")
    assert [each.attrib["class"] for each in (better[5], worse[5])] == ["n shorter", "n longer"]
    other = replace(PAST, about={**PAST.about, "pace": "50 ms"}, settings="advert 3 s")
    text = page(NOW, other)
    assert "settings advert 3 s" in text
    assert "Not alike: pace 50 ms (now 20 ms)." in text
    assert "Not alike" not in page(NOW, PAST)


def test_survival_calm_and_trouble_are_told() -> None:
    first = NOW.faults[0]
    bad = replace(first.runs[1], lost=2, moved=["default/web"], healthy=None)
    void = replace(first.runs[2], problem="a host was gone")
    report = replace(NOW, faults=[replace(first, runs=[first.runs[0], bad, void])])
    said = " ".join(tree(page(report, None)).itertext())
    for words in (
        "two of three members of etcd",
        "2 acknowledged writes lost",
        "default/web",
        "a host was gone",
        "3000",
    ):
        assert words in said
    assert 'class="verdict flawed"' in page(report, None)


def large() -> DrillReport:
    """Twenty faults of thirty runs with a minute of tries each."""
    slow = next(fault for fault in drilled(30).faults if fault.name == "worker-host")
    return replace(NOW, faults=[replace(slow, name=f"fault-{at}") for at in range(20)])


def test_twenty_faults_stay_below_two_megabytes() -> None:
    report = large()
    assert sum(len(each) for each in report.faults[0].worst.ticks.values()) > 8000  # type: ignore[union-attr]
    assert len(page(report, None).encode()) < 2_000_000


def test_nothing_but_skipped_faults_is_a_page_too() -> None:
    tree(page(replace(NOW, faults=[Fault("x", "x", skipped="no")], calm={}, survival=[]), None))


def test_markup_escapes_what_is_no_markup() -> None:
    assert tag("td", "<b>", Html("<i/>"), class_='a"b', aria_label=None) == '<td class="a&quot;b">&lt;b&gt;<i/></td>'
    assert tag("path", stroke_width=-0.04, x=12.26) == '<path stroke-width="0" x="12.3"/>'
    assert join(["a", "&"], ", ") == "a, &amp;"
    assert not re.search("[<>]", str(join([EVIL])))
