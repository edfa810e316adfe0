"""A drill in the terminal."""

import io
from dataclasses import replace

import pytest
from drilled_samples import drilled
from rich.console import Console

from quorate.report.drill.report import DrillReport
from quorate.report.drill.table import table


def shown(report: DrillReport, before: DrillReport | None = None, width: int = 106) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    table(console, report, before)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


NOW, PAST = drilled(5), drilled(5, slow=2.0)


@pytest.mark.parametrize("width", [80, 106])
@pytest.mark.parametrize("before", [None, PAST])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int, before: DrillReport | None) -> None:
    long = replace(NOW.faults[-1], skipped="a reason that needs many words " * 8)
    text = shown(replace(NOW, faults=[*NOW.faults[:-1], long]), before, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = text.split()
    for fault in NOW.faults:
        assert set(fault.title.split()) <= set(words)


def row(text: str, title: str) -> list[str]:
    """The three lines of a fault in the first table."""
    lines = text.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith(title))
    return [line.removeprefix(title).removeprefix("5 runs").strip() for line in lines[at : at + 3]]


def test_goals_are_marked() -> None:
    slow = shown(drilled(5, slow=4.0))
    assert "✗" in row(slow, "apiserver hung")[1]
    assert "✗" not in shown(drilled(5, slow=0.5))
    reached = row(shown(NOW), "apiserver terminated")
    assert all("0 failed  ✓" in line for line in reached)
    assert "✓" not in "".join(row(shown(NOW), "worker lost"))


def test_changes_have_the_sign_of_what_takes_longer() -> None:
    better, worse = row(shown(NOW, PAST), "master host lost")[0], row(shown(PAST, NOW), "master host lost")[0]
    assert " -0." in better
    assert " +0." in worse
    assert "change" not in shown(NOW)
    assert "compared with three-masters" in shown(NOW, PAST)


def test_the_slowest_kubelet_is_named() -> None:
    text = shown(NOW)
    lines = text[text.index("until kubelets heard the API again") :].splitlines()[2:]
    assert lines[0].split()[0] == "balancer-killed"
    assert lines[0].split()[3:] == ["worker02", "10", "✓"]
    first = NOW.faults[0]
    never = replace(first, runs=[replace(first.runs[0], kubelets={"worker01": None, "worker02": 3.0})])
    (row,) = [each for each in shown(replace(NOW, faults=[never])).splitlines() if "worker01" in each]
    assert row.split() == ["balancer-killed", "3.00", "never", "worker01", "10", "✗"]
    silent = replace(first, runs=[replace(run, kubelets={}) for run in first.runs])
    assert "kubelets" not in shown(replace(NOW, faults=[silent]))


def test_what_went_wrong_is_listed() -> None:
    first = NOW.faults[0]
    bad = replace(first.runs[0], lost=2, moved=["kube-system/dns-1\x1b[2J"], healthy=None, one_owner=None)
    text = shown(replace(NOW, faults=[replace(first, runs=[bad, *first.runs[1:]])]))
    assert "2 acknowledged writes lost" in text
    assert "kube-system/dns-1" in text
    assert text.count("never") == 2
    assert "\x1b" not in text
    assert text.rstrip().splitlines()[-1].startswith("Something went wrong in 1 of 1 fault")


def test_a_report_without_runs_is_short() -> None:
    text = shown(replace(NOW, faults=NOW.faults[-1:]))
    assert "p50" not in text
    assert "balancers share one cable" in text
    assert "No fault was tried." in text
