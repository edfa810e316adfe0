"""The journal: what a crash leaves of it, what is told of a run, and what never gets into it."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.cli.history import _print_steps, print_runs
from quorate.cli.output import Output
from quorate.core import Key, QuorateError
from quorate.render import fallback
from quorate.report.event import Said, StageBegun, StepDone, StepFailed, StepSkipped, StepStarted
from quorate.state import journal
from quorate.state.history import JournalRun, read
from quorate.state.store import Store

ETCD, API = Key("m1", "unit", "etcd.service"), Key("m1", "unit", "kube-apiserver.service")
KEY = "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.beside(tmp_path / "cluster.yaml", "c")


def runs(store: Store) -> list[JournalRun]:
    return read(store.path / "journal.jsonl")


def test_a_run_from_its_beginning_to_its_end(store: Store) -> None:
    heard: list[object] = []
    with journal.run(store, "apply", create=3, file="abc") as run:
        emit = run.also(heard.append)
        emit(StepStarted(ETCD, "etcd"))
        emit(StepDone(ETCD, "etcd", True, 1.23456))
        emit(StepDone(Key("m1", "file", "/a"), "etcd", False, 0.1))
        assert runs(store)[0].result == "under way"
        emit(StepFailed(API, "apiserver", "line one\nline two", 2.0))
        emit(StepSkipped(Key("m1", "ready", "apiserver"), "apiserver", API))
        run.end(ok=False, changed=1, failed=1, skipped=1, seconds=4.5)
    assert len(heard) == 5
    (told,) = runs(store)
    assert (told.verb, told.result, told.seconds) == ("apply", "failed", 4.5)
    assert told.who.count("@") == 1
    assert told.begin["pid"] == os.getpid()
    assert told.begin["create"] == 3
    assert [(step["name"], step["result"], step["seconds"]) for step in told.steps] == [
        ("etcd.service", "changed", 1.235),
        ("kube-apiserver.service", "failed", 2.0),
        ("apiserver", "skipped", 0.0),
    ]
    assert told.steps[1]["error"] == "line one line two"
    assert told.steps[2]["because"] == str(API)
    assert [told.count(word) for word in ("changed", "failed", "skipped")] == [1, 1, 1]


def test_an_error_and_an_interruption_are_ends_too(store: Store) -> None:
    with pytest.raises(QuorateError), journal.run(store, "apply"):
        raise QuorateError("etcd is on fire")
    with pytest.raises(KeyboardInterrupt), journal.run(store, "destroy"):
        raise KeyboardInterrupt
    failed, stopped = runs(store)
    assert (failed.result, failed.end["error"]) == ("failed", "etcd is on fire")
    assert (stopped.number, stopped.verb, stopped.result) == (2, "destroy", "stopped")


KILLED = """
import os, signal, sys
from pathlib import Path
from quorate.core import Key
from quorate.state import journal
from quorate.state.store import Store
from quorate.report.event import StepDone
with journal.run(Store(Path(sys.argv[1])), "apply") as run:
    for number in range(3):
        run.take(StepDone(Key("m1", "file", f"/{number}"), "etcd", True, 0.5))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_cut_off_and_its_steps_are_known(store: Store) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, store.path], check=False)
    assert done.returncode == -signal.SIGKILL
    (told,) = runs(store)
    assert told.result == "cut off"
    assert told.seconds is None
    assert told.count("changed") == 3
    told.begin["place"] = "another machine"
    assert told.result == "cut off"


def test_a_torn_line_spoils_only_itself(store: Store) -> None:
    path = store.path / "journal.jsonl"
    with journal.run(store, "apply") as run:
        run.end(ok=True, changed=7)
    torn = path.read_bytes()
    path.write_bytes(torn + b'{"run": "x", "event": "be')
    with journal.run(store, "destroy") as run:
        run.end(ok=True)
    assert [(each.verb, each.result) for each in runs(store)] == [("apply", "done"), ("destroy", "done")]
    path.write_bytes(b"\xff\xfe[1]\n\n" + b"[" * 100000 + b"\n" + path.read_bytes())
    assert [each.count("changed") for each in runs(store)] == [7, 0]


def test_runs_of_before_runs_had_a_beginning(store: Store) -> None:
    store.journal({"time": "2026-11-01T10:00:00+00:00", "verb": "apply", "ok": True, "changed": 5, "seconds": 2})
    store.journal({"time": "2026-11-02T10:00:00+00:00", "verb": "destroy", "clean": ["m1"], "lost": ["m2"]})
    old, gone = runs(store)
    assert (old.verb, old.result, old.who, old.count("changed"), old.seconds) == ("apply", "done", "", 5, 2.0)
    assert (gone.verb, gone.result, gone.time[:10]) == ("destroy", "failed", "2026-11-02")


def test_no_key_gets_into_it(store: Store) -> None:
    def fail() -> None:
        with journal.run(store, "apply") as run:
            run.take(StepFailed(ETCD, "etcd", KEY, 1.0))
            run.take(Said(KEY))
            raise QuorateError(f"failed: {KEY}")

    with pytest.raises(QuorateError):
        fail()
    text = (store.path / "journal.jsonl").read_text()
    assert "MIIabc" not in text
    assert len(text.splitlines()) == 3


def test_a_full_disk_is_told_at_the_end_and_stops_no_step(store: Store) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill() -> None:
        with journal.run(store, "apply") as run:
            size = (store.path / "journal.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
            run.take(StepDone(ETCD, "etcd", True, 1.0))
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            run.end(ok=True)

    try:
        with pytest.raises(QuorateError, match=r"journal\.jsonl: "):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert runs(store)[0].result == "done"


def test_what_can_not_be_read(tmp_path: Path) -> None:
    assert read(tmp_path / "journal.jsonl") == []
    with pytest.raises(QuorateError, match="can't be read"):
        read(tmp_path)


def test_it_is_json_lines(store: Store) -> None:
    with journal.run(store, "apply") as run:
        run.end(ok=True)
    entries = [json.loads(line) for line in (store.path / "journal.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["begin", "end"]
    assert len({entry["run"] for entry in entries}) == 1
    assert {"time", "who", "pid", "verb"} <= entries[0].keys()
    assert "token" not in entries[0]


def test_of_several_stages_each_step_has_its_own(store: Store) -> None:
    with journal.run(store, "apply") as run:
        run.take(StageBegun("join", 1, 2))
        run.take(StepDone(ETCD, "etcd", True, 1.0))
        run.take(StageBegun("leave", 2, 2))
        run.take(StepDone(API, "apiserver", True, 1.0))
        run.end(ok=True)
    (told,) = runs(store)
    assert told.stages == ["join", "leave"]
    assert [(step["name"], step["stage"]) for step in told.steps] == [
        ("etcd.service", "join"),
        ("kube-apiserver.service", "leave"),
    ]
    as_dict = told.as_dict(steps=True)
    assert as_dict["stages"] == ["join", "leave"]
    assert [step["stage"] for step in as_dict["steps"]] == ["join", "leave"]


def upgraded(store: Store, *begun: str, **end: object) -> JournalRun:
    """A run of an upgrade of three stages, of which some began; a master's change did not hold."""
    said = {"operation": "upgrade", "stages": ["etcd 3.7.3", "control plane 1.37.2", "nodes 1.37.2"]}
    versions = {"from": {"kubernetes": "1.36.3", "etcd": "3.6.16"}, "to": {"kubernetes": "1.37.2", "etcd": "3.7.3"}}
    with journal.run(store, "apply", **said, **versions) as run:
        for number, stage in enumerate(begun, 1):
            run.take(StageBegun(stage, number, 3))
        if end.get("failed"):
            error = f"exit code 1\n{'x ' * 2000}\nit did not hold, and {fallback.BACK}:\nended at once"
            run.take(StepFailed(API, "apiserver", error, 9.0))
        run.end(**{"ok": False, **end})
    return runs(store)[-1]


def test_an_upgrade_is_told_with_its_versions_its_stages_and_what_went_back(store: Store) -> None:
    told = upgraded(store, "etcd 3.7.3", "control plane 1.37.2", failed=1)
    assert told.moves == {"kubernetes": ("1.36.3", "1.37.2"), "etcd": ("3.6.16", "3.7.3")}
    assert told.ways == {"etcd 3.7.3": "done", "control plane 1.37.2": "failed", "nodes 1.37.2": "not begun"}
    assert told.went_back == {str(API): True}
    plain = json.loads(json.dumps(told.as_dict()))
    assert (plain["operation"], plain["from"]["etcd"], plain["to"]["etcd"]) == ("upgrade", "3.6.16", "3.7.3")
    assert plain["went_back"] == {str(API): True}
    assert plain["ways"]["nodes 1.37.2"] == "not begun"


def test_one_that_was_postponed_says_who_is_left(store: Store) -> None:
    told = upgraded(store, "etcd 3.7.3", "control plane 1.37.2", "nodes 1.37.2", postponed=["n2 (node)"])
    assert (told.result, told.ways["nodes 1.37.2"]) == ("postponed", "postponed")
    assert told.as_dict()["postponed"] == ["n2 (node)"]
    assert told.went_back == {}
    assert upgraded(store, failed=1, postponed=["n2 (node)"]).result == "failed"


def test_what_became_of_what_did_not_hold() -> None:
    assert fallback.went_back(f"it did not hold, and {fallback.SILENT}:") is False
    assert fallback.went_back("exit code 1") is None
    for phrase in (fallback.BACK, fallback.SILENT):
        assert phrase in fallback.heard("apiserver", "abc")


def test_an_upgrade_on_the_console(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    told = upgraded(store, "etcd 3.7.3", "control plane 1.37.2", failed=1)
    with Output(svg=None, title="") as out, out.console.capture() as shown:
        print_runs(out, [told])
        _print_steps(out, told)
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert lines[1].endswith("upgrade kubernetes 1.36.3 to 1.37.2, etcd 3.6.16 to 3.7.3")
    assert "failed    stage control plane 1.37.2" in lines
    assert "not begun stage nodes 1.37.2" in lines
    assert f"went back  {API}: what ran before is back" in lines
