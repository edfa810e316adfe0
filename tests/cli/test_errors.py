"""One line, one hint, one exit code per class; JSON for programs; a traceback for bugs alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Quorate = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "verb", ["validate", "explain", "plan", "status", "verify", "kubeconfig", "artifacts", "trust"]
)
def test_missing_file(quorate: Quorate, verb: str) -> None:
    code, out, err = quorate(verb, "-f", "nowhere.yaml")
    assert code == 3
    assert out == ""
    assert err.startswith("error: can't read nowhere.yaml")
    assert "hint: name the file with -f" in err


@pytest.mark.parametrize("verb", ["explain", "plan", "status", "verify", "artifacts", "trust"])
def test_missing_file_for_programs(quorate: Quorate, verb: str) -> None:
    code, out, err = quorate(verb, "-f", "nowhere.yaml", "--json")
    said = json.loads(out)["error"]
    assert code == said["exit_code"] == 3
    assert said["class"] == "SpecError"
    assert said["hint"]
    assert err == ""


def test_all_problems_at_once(quorate: Quorate, file: Path) -> None:
    file.write_text(file.read_text().replace("[worker]", "[wroker]").replace("192.0.2.11", "nonsense"))
    code, _, err = quorate("validate")
    assert code == 3
    assert "wroker" in err
    assert "nonsense" in err
    assert err.count("Fix:") >= 2
    code, out, _ = quorate("validate", "--json")
    said = json.loads(out)
    assert code == 3
    assert not said["valid"]
    assert {problem["line"] for problem in said["error"]["problems"]} >= {4, 5}


def test_good_file(quorate: Quorate) -> None:
    assert quorate("validate") == (0, "cluster.yaml: cluster tiny, 2 hosts: no problems\n", "")
    assert json.loads(quorate("validate", "--json")[1])["valid"]


@pytest.mark.parametrize("words", [("plan", "--nonsense"), ("nonsense",), ("lab", "cut"), ("plan", "--file")])
def test_wrong_words_are_no_bug(quorate: Quorate, words: tuple[str, ...]) -> None:
    code, _, err = quorate(*words)
    assert code == 64
    assert err.startswith("error: ")
    assert "--help`" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 2


def test_wrong_words_for_programs(quorate: Quorate) -> None:
    code, out, err = quorate("plan", "--nonsense", "--json")
    assert code == json.loads(out)["error"]["exit_code"] == 64
    assert err == ""


def test_escape_sequences_do_not_reach_the_terminal(quorate: Quorate, file: Path) -> None:
    file.write_text('name: "a\\e]0;gotcha\\a"\nhosts: []\n')
    for words in (("validate",), ("validate", "--json"), ("plan", "-f", "\x1b[31mfile")):
        _, out, err = quorate(*words)
        assert "\x1b" not in out + err
        assert "\a" not in out + err


def test_a_bug_shows_lines_but_no_values(quorate: Quorate, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, *, offline: bool) -> None:
        secret = "hunter2"
        raise RuntimeError(f"length {len(secret)}")

    monkeypatch.setattr("quorate.cli.validate.load", broken)
    code, _, err = quorate("validate")
    assert code == 70
    assert "RuntimeError: length 7" in err
    assert "This is a bug" in err
    code, out, _ = quorate("validate", "--json")
    assert json.loads(out)["error"]["exit_code"] == code == 70


def test_interrupted(quorate: Quorate, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, *, offline: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("quorate.cli.validate.load", interrupt)
    code, _, err = quorate("validate")
    assert code == 130
    assert err.strip() == "interrupted"


def test_a_closed_pipe_is_quiet(file: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        [sys.executable, "-m", "quorate", "schema"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert run.stderr == ""


def test_help_stays_light(file: Path) -> None:
    code = (
        "import sys; from quorate.cli.main import LAB, VERBS, run; "
        "[run([*words, '--help']) for words in ([], *([verb] for verb in VERBS), *(['lab', verb] for verb in LAB))]; "
        "heavy = {'asyncssh', 'httpx2', 'pydantic', 'rich.live', 'cryptography', 'ruamel.yaml'} & set(sys.modules); "
        "print('HEAVY', sorted(heavy))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in run.stdout


def test_init_writes_once(quorate: Quorate, file: Path, tmp_path: Path) -> None:
    code, _, err = quorate("init")
    assert code == 3
    assert "is there already" in err
    file.unlink()
    assert quorate("init", "first")[0] == 0
    assert quorate("validate")[0] == 0
    assert quorate("init", "$(id)", "-f", "other.yaml")[0] == 3
    assert not (tmp_path / "other.yaml").exists()


def test_schema_and_graph_are_json(quorate: Quorate) -> None:
    assert json.loads(quorate("schema")[1])["title"] == "quorate cluster file"
    names = [part["name"] for part in json.loads(quorate("graph", "--json")[1])]
    assert names.index("etcd") < names.index("apiserver") < names.index("kubelet")
    assert "etcd" in quorate("graph")[1]
