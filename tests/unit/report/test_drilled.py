"""A drill's report as values: JSON and back, the arithmetic of runs, the words for progress and verdict."""

import json
from dataclasses import replace

import pytest
from drilled_samples import KINDS, drilled, fault

from quorate.report.drill.report import DrillReport, Fault, Run, StreamStats, spread
from quorate.report.drill.sums import cell, goals, led, run_line, signed, told, total, up, verdict, wrong


def run(gap: float, failed: int = 0, **more: object) -> Run:
    return Run(
        **{
            "number": 1,
            "at": 0,
            "target": "lb01",
            "outage": 1,
            "healthy": 1,
            "felt": {"new": StreamStats(gap, failed, 50)},
            **more,
        }
    )


def one(*runs: Run, goal: float = 0.5) -> Fault:
    return Fault("f", "a fault", {"new": goal}, runs)


def test_a_report_comes_back_from_json_as_it_was() -> None:
    made = drilled(runs=2)
    read = DrillReport.read(made.text())
    assert read == made
    assert read.text() == made.text()
    assert any(run.ticks["new"][0].ok for fault in read.faults for run in fault.runs if run.ticks)
    assert read.faults[0].worst == made.faults[0].worst
    assert json.loads(made.text())["cluster"] == "three-masters"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"faults": 3}', '{"faults": [], "survival": []}', "null"])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        DrillReport.read(text)


def test_percentiles_are_by_nearest_rank() -> None:
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert spread([4, 1, 3, 2]) == (2, 4, 4)
    assert spread(list(range(1, 201))) == (100, 198, 200)
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_kubelets_that_are_late_miss_a_goal() -> None:
    late, never = run(0.1, kubelets={"w1": 0.6, "w2": 10.001}), run(0.1, kubelets={"w1": None})
    fault = replace(one(late), kubelets=10.0)
    assert fault.unheard
    assert run_line(fault, late).endswith("new 0.10 s, kubelets 10.01 s (goal 10), healthy after 1.00 s")
    assert "kubelets never (goal 10)" in run_line(fault, never)
    assert goals(replace(drilled(2), faults=[fault])) == (1, 2)
    assert not replace(fault, runs=[run(0.1)]).unheard
    assert goals(replace(drilled(2), faults=[replace(fault, runs=[run(0.1)])])) == (1, 1)
    assert not replace(fault, kubelets=None).unheard


def test_no_rounding_hides_a_missed_goal() -> None:
    assert up(0.0501) == 0.06
    assert up(0.07) == 0.07
    assert [told(each) for each in (0, 0.051, 2, 99.999, 123.4)] == ["0.00", "0.06", "2.00", "100.00", "123"]
    assert [signed(each) for each in (0.1, -0.1, 0.0, -0.001)] == ["+0.10", "-0.10", "0.00", "0.00"]


def test_a_cell_has_the_numbers_of_the_runs_that_count() -> None:
    found = cell(one(run(0.1, 2), run(0.3, 1), run(9, 9, problem="lost the host")), "new")
    assert found is not None
    assert (found.p50, found.most, found.failed, found.total, found.missed) == (0.1, 0.3, 3, 100, False)
    assert found.change is None
    assert cell(one(run(0.1)), "kept") is None
    assert cell(one(run(0.6)), "new").missed  # type: ignore[union-attr]
    assert cell(one(run(0.1, 1), goal=0), "new").missed  # type: ignore[union-attr]
    assert not cell(one(run(9), goal=0), "new").missed  # type: ignore[union-attr]


def test_a_change_is_above_zero_when_it_takes_longer_than_before() -> None:
    now, past = one(run(0.3)), one(run(0.1), run(0.2))
    assert cell(now, "new", past).change == 0.1  # type: ignore[union-attr]
    assert cell(past, "new", now).change == -0.1  # type: ignore[union-attr]
    assert cell(now, "new", one()).change is None  # type: ignore[union-attr]


def test_a_total_tells_the_worst() -> None:
    runs = [
        run(0.1, one_owner=0.2, takeovers={"etcd": 0.9, "lease x": 1}, lost=1),
        run(0.1, takeovers={"etcd": 0.4}, moved=["a/b"], healthy=None),
        run(0.1, problem="no", lost=1, disorder=1, healthy=None),
    ]
    found = total(one(*runs))
    assert (found.lost, found.disorder, list(found.moved), found.healthy, found.sick) == (2, 1, ["a/b"], 1, 1)
    assert (found.owner, found.ownerless, dict(found.takeovers)) == (0.2, 1, {"etcd": 0.9, "lease x": 1})
    assert total(one(run(0.1))).ownerless == 0
    told = "; ".join(wrong(one(*runs)))
    for word in ("2 acknowledged writes lost", "1 answer that no order", "a/b", "not healthy in time", "run 1: no"):
        assert word in told
    report = replace(drilled(1), faults=[one(*runs)])
    assert led(report) == ("etcd", "kube-controller-manager", "kube-scheduler", "lease x")
    assert verdict(report) == "Something went wrong in 1 of 1 fault. The goal was reached."


def test_the_verdict_counts_goals_that_were_measured() -> None:
    report = drilled(1)
    fine = replace(report, faults=[one(run(0.1)), *report.faults[-1:]])
    assert goals(fine) == (1, 1)
    missed = replace(report, faults=[one(run(0.1)), one(run(0.6))])
    assert verdict(missed) == "Nothing was lost and everything healed. 1 of 2 goals was missed."
    assert verdict(replace(report, faults=report.faults[-1:])) == "No fault was tried."
    assert "no goal" in verdict(replace(report, faults=[fault(KINDS[-1], 1)]))


def test_progress_is_a_line_per_run() -> None:
    short = run(
        0.31, felt={"new": StreamStats(0.6, 3, 50), "writes": StreamStats(0.1, 0, 20), "watch": StreamStats(1, 0, 1)}
    )
    assert (
        run_line(one(short), short)
        == "a fault, run 1 on lb01: new 0.60 s (goal 0.5), writes 0.10 s, healthy after 1.00 s"
    )
    failed = run(0.02, 3, healthy=None, lost=1, disorder=2, moved=["a/b"])
    line = run_line(one(failed, goal=0), failed)
    assert line.endswith(
        "new 0.02 s (3 failed, goal 0), 1 write lost, 2 out of order, 1 pod moved, not healthy in time"
    )
    void = run(1, problem="the probe died")
    assert run_line(one(void), void) == "a fault, run 1 on lb01: does not count: the probe died"
