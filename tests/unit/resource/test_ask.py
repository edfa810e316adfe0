"""The askers: many questions in one script, each answer to its own question."""

import subprocess
from pathlib import Path

import pytest

from quorate.resource import ask


def asked(questions: dict[str, list[str]]) -> dict[str, list[str]]:
    done = subprocess.run(["/bin/sh", "-c", ask.script(questions)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ask.answers(questions, done.stdout)


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o604)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("to some where")
    (tmp_path / "dangling").symlink_to("/nonexistent")
    names = ["gone", "file", "empty", "folder", "link", "dangling"]
    found = asked({"path": [str(tmp_path / name) for name in names]})["path"]
    states = [dict(line.split("=", 1) for line in answer.splitlines()) for answer in found]
    assert states[0] == {}
    assert states[1]["sha256"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert states[1]["mode"] == "0604"
    assert states[2]["type"] == "file"
    assert states[2]["sha256"].startswith("e3b0c442")
    assert states[3]["type"] == "directory"
    assert states[4] == {"type": "link", "target": "to some where"}
    assert states[5] == {"type": "link", "target": "/nonexistent"}


@pytest.mark.parametrize("noise", ["exit 1", "false", "echo error >&2", "cat"])
def test_one_question_never_spoils_another(noise: str) -> None:
    first, *rest = asked({"script": ["echo a=1", noise, "echo b=2; echo c=3"]})["script"]
    assert first == "a=1\n"
    assert rest == ["", "b=2\nc=3\n"]


def test_an_answer_that_did_not_come_is_empty() -> None:
    questions = {"path": ["/a"], "script": [":", ":"], "unit": ["u.service"], "binary": ["/b"]}
    assert ask.answers(questions, "") == {"path": [""], "script": ["", ""], "unit": [""], "binary": [""]}


def test_units() -> None:
    output = (
        "Id=a.service\nActiveState=active\nLoadState=loaded\nNeedDaemonReload=no\n\n"
        "Id=b.service\nActiveState=inactive\nLoadState=not-found\nNeedDaemonReload=no\n"
        "\x01\na.service enabled\na.service stale\n"
    )
    found = ask.answers({"unit": ["b.service", "a.service"]}, f"\x02unit\n{output}")["unit"]
    assert found == ["", "active=active\nenabled=enabled\nreload=no\nloaded=stale"]
