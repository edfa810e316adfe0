"""Several runs of pytest at once: their counts are summed up, and one that fails ends the others."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

LANES = Path(__file__).parents[1] / ".ci/lanes"
GOOD = "echo '.. [100%]'; echo '2 passed, 1 skipped in 0.10s'"
ALSO_GOOD = "sleep 0.3; echo '===== 3 passed in 61.00s (0:01:01) ====='"
BAD = "echo 'FAILED test_x.py::test_y'; echo '1 failed, 4 passed in 0.20s'; exit 1"
LONG = "trap 'echo torn down; echo 1 passed in 5.00s; exit 2' INT; touch {}; while :; do sleep 0.05; done"


def start(*commands: str) -> "subprocess.Popen[str]":
    words = [word if word == "--" else f'sh -c "{word}"' for word in commands]
    return subprocess.Popen([sys.executable, str(LANES), *words], stdout=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said.splitlines()


def test_counts_of_all_phases_are_in_the_last_line() -> None:
    code, lines = ended(start(GOOD, ALSO_GOOD, "--", GOOD))
    assert code == 0
    assert lines.count(".. [100%]") == 2
    assert re.fullmatch(r"7 passed, 2 skipped in \d+\.\d\ds \(0:00:\d\d\)", lines[-1])


def test_one_that_fails_ends_the_others_and_has_the_last_word(tmp_path: Path) -> None:
    code, lines = ended(
        start(LONG.format(tmp_path / "on"), f"while ! [ -e {tmp_path}/on ]; do :; done; {BAD}", "--", GOOD)
    )
    assert code == 1
    assert lines.index("torn down") < lines.index("FAILED test_x.py::test_y")
    assert lines[-1].startswith("1 failed, 5 passed in ")


def test_one_without_a_closing_line_is_an_error() -> None:
    code, lines = ended(start(GOOD, "--", "exit 3"))
    assert code == 1
    assert lines[-1].startswith("2 passed, 1 skipped, 1 error in ")


def test_ctrl_c_reaches_all_and_nothing_else_begins(tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    process = start(*(LONG.format(mark) for mark in marks), "--", BAD)
    while not all(mark.exists() for mark in marks):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, lines = ended(process)
    assert code == 1
    assert lines.count("torn down") == 2
    assert lines[-1].startswith("2 passed in ")


def test_make_test_runs_every_story_once() -> None:
    root = LANES.parents[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "-n", "test"], cwd=root, env=plain, capture_output=True, text=True, check=True
    ).stdout
    # Those that need no host: each half names what the other one runs, to leave it out.
    words = [word for word in said.replace("'", " ").split() if word.startswith("tests/")]
    assert [path for path in words if not (root / path).exists()] == []
    stories = sorted(str(path.relative_to(root)) for path in (root / "tests/lab").glob("test_*.py"))
    assert sorted(word for word in words if word.startswith("tests/lab/")) == stories
