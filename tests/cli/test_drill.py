"""`quorate drill` from words to exit code; the drill itself is made up."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import Hosts, Quorate

from quorate.report.drill.report import DrillReport, Fault, Run, StreamStats
from quorate.state.holder import Holder


def report(*, new: float = 0.1, lost: int = 0, healthy: float | None = 1.0) -> DrillReport:
    felt = {stream: StreamStats(new, 1, 100, {"reset": 1}) for stream in ("new", "kept", "writes", "watch")}
    run = Run(1, 5.0, "lb01 nginx", 2.0, felt, lost=lost, healthy=healthy)
    fault = Fault("balancer-killed", "balancer's main process killed", {"new": 0.15}, [run])
    return DrillReport("tiny", "quorate", "2026-11-25T10:00:00+00:00", 60.0, "0.1.0", faults=[fault])


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch, hosts: Hosts) -> list[dict[str, Any]]:
    """What each drill was told; it is instead of `found[0]`."""
    told: list[dict[str, Any]] = []

    async def drill(_cluster: object, secrets: Any, via: Any, **more: Any) -> DrillReport:
        # It has the administrator's key, and the lock.
        assert secrets.key("admin").startswith(b"-----BEGIN")
        await via.run("master01", "echo at work")
        told.append(more)
        made: DrillReport = found[0]
        for fault in made.faults:
            for run in fault.runs:
                more["on_run"](fault, run)
        return made

    monkeypatch.setattr("quorate.cli.drill.measure", drill)
    return told


found: list[DrillReport] = [report()]


@pytest.fixture
def finds() -> Callable[[DrillReport], None]:
    """Sets what the next drills find."""

    def set(drilled: DrillReport) -> None:
        found[0] = drilled

    set(report())
    return set


def test_faults_and_their_goals_are_listed_without_a_cluster(quorate: Quorate, file: Path) -> None:
    file.unlink()
    code, out, _ = quorate("drill", "--list")
    assert code == 0
    assert "balancer-killed" in out
    assert "0.15 s" in out
    code, out, _ = quorate("drill", "--list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["apiserver-terminated"]["goals"] == {"new": 0, "kept": 0, "writes": 0}
    assert rows["worker-lost"]["goals"] == {}
    assert rows["scheduler-killed"]["loops"] == 6


def test_nothing_is_broken_without_a_yes(quorate: Quorate, hosts: Hosts) -> None:
    code, _, err = quorate("drill")
    assert code == 1
    assert "drill asks first, and there is no terminal" in err
    assert "--yes" in err
    assert hosts.scripts == []
    assert hosts.took == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fault", "earthquake"], 64, "there is no fault earthquake"),
        (["--runs", "0"], 64, "--runs 0: at least 1 is needed"),
        (["--every", "0"], 64, "--every 0: seconds above 0 are needed"),
        (["--compare", "nowhere.json"], 1, "--compare nowhere.json"),
        (["--compare", "cluster.yaml"], 1, "--compare cluster.yaml"),
        (["--output", "nowhere/a.json"], 1, "nowhere/a.json"),
        (["--html", "nowhere/a.html"], 1, "nowhere/a.html"),
    ],
)
def test_bad_words_touch_no_host(quorate: Quorate, hosts: Hosts, words: Sequence[str], code: int, said: str) -> None:
    ended, _, err = quorate("drill", "--yes", *words)
    assert (ended, hosts.scripts, hosts.took) == (code, [], [])
    assert said in err


def test_a_cluster_that_was_never_applied_is_not_drilled(quorate: Quorate, hosts: Hosts) -> None:
    code, _, err = quorate("drill", "--yes")
    assert code == 1
    assert "has no key of the administrator" in err
    assert hosts.took == []


@pytest.fixture
def applied(file: Path) -> Path:
    """A state folder with keys, as after an apply."""
    from datetime import UTC, datetime

    from quorate.spec.load import load
    from quorate.state.store import Store

    cluster = load(file)
    Store.beside(file, cluster.name).secrets(cluster, datetime.now(UTC), persist=True)
    return file


def test_a_drill_is_told_run_by_run_and_as_a_table(
    quorate: Quorate, hosts: Hosts, applied: Path, drills: list[dict[str, Any]], finds: Callable[[DrillReport], None]
) -> None:
    words = ("--fault", "balancer-killed", "--fault", "leader-lost", "--runs", "3", "--seed", "7", "--every", "0.1")
    code, out, err = quorate("drill", "--yes", *words)
    assert (code, err) == (0, "")
    assert "balancer's main process killed, run 1 on lb01 nginx: new 0.1" in out
    assert "Nothing was lost and everything healed." in out
    (told,) = drills
    assert (told["runs"], told["seed"], tuple(told["faults"])) == (3, 7, ("balancer-killed", "leader-lost"))
    assert (told["pace"].new, told["pace"].kept, told["pace"].writes) == (0.1, 0.1, 0.1)
    assert sorted(hosts.took) == ["master01", "node01"]


def test_the_report_is_kept_and_compared(
    quorate: Quorate, applied: Path, drills: list[dict[str, Any]], finds: Callable[[DrillReport], None]
) -> None:
    code, out, _ = quorate("drill", "--yes", "--json", "--output", "a.json", "--html", "a.html")
    assert code == 0
    assert DrillReport.read(out) == DrillReport.read(Path("a.json").read_text()) == DrillReport.read(report().text())
    assert "balancer&#x27;s main process killed" in Path("a.html").read_text()
    finds(report(new=0.4))
    code, out, _ = quorate("drill", "--yes", "--compare", "a.json")
    assert code == 0
    assert "compared with tiny" in out
    assert "+0.3" in out


@pytest.mark.parametrize(
    ("drilled", "words", "code"),
    [
        (report(), (), 0),
        (report(new=0.4), (), 0),
        (report(new=0.4), ("--strict",), 8),
        (report(), ("--strict",), 0),
        (report(lost=1), (), 8),
        (report(healthy=None), (), 8),
        (DrillReport(**{**vars(report()), "problem": "the cluster is not healthy: x"}), (), 8),
    ],
)
def test_exit_codes(
    quorate: Quorate,
    applied: Path,
    drills: list[dict[str, Any]],
    finds: Callable[[DrillReport], None],
    drilled: DrillReport,
    words: Sequence[str],
    code: int,
) -> None:
    finds(drilled)
    found, out, err = quorate("drill", "--yes", *words)
    assert (found, err) == (code, "")
    assert drilled.problem in out


def test_no_drill_beside_another_run(
    quorate: Quorate, hosts: Hosts, applied: Path, drills: list[dict[str, Any]], finds: Callable[[DrillReport], None]
) -> None:
    hosts.holder = Holder("token", "somebody@elsewhere", 4711, "apply", "now").record
    code, _, err = quorate("drill", "--yes")
    assert (code, drills) == (10, [])
    assert "somebody@elsewhere" in err
