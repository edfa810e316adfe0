"""The real program where its output is not as we like it: no traceback, no half line, the right exit code."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO

import pytest
from fake_hosts import CLUSTER

WORDS = [("explain",), ("explain", "--json"), ("validate",), ("validate", "--json"), ("graph",), ("--help",)]


def ran(folder: Path, *words: str, out: IO[bytes] | int = subprocess.PIPE, **env: str) -> CompletedProcess[bytes]:
    (folder / "cluster.yaml").write_text(CLUSTER)
    argv = [sys.executable, "-m", "quorate", *words]
    return subprocess.run(
        argv, cwd=folder, stdout=out, stderr=subprocess.PIPE, env=os.environ | env, check=False, timeout=60
    )


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_any_encoding_will_do(tmp_path: Path, words: tuple[str, ...], encoding: str) -> None:
    done = ran(tmp_path, *words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.decode(encoding)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_full_disk_is_an_error_in_a_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ran(tmp_path, *words, out=full)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "error: the output can't be written: No space left on device",
        "hint: write it to another place",
    ]


def test_a_fifo_is_no_cluster_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = ran(tmp_path, "validate", "-f", "pipe")
    assert done.returncode == 3
    assert "it is a FIFO" in done.stderr.decode()


@pytest.mark.parametrize(
    "words", [("--help",), ("apply", "--help"), ("lab",), ("--version",), ("schema",)], ids=" ".join
)
def test_help_that_nobody_reads_to_its_end_is_no_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = ran(tmp_path, *words, out=gone)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_picture_takes_the_place_of_nothing_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("cluster.yaml", "pipe", ".", "none/x.svg", "/dev/full"):
        done = ran(tmp_path, "explain", "--svg", place)
        assert done.returncode == 1, place
        assert done.stderr.decode().startswith(f"error: {place} is no place for a picture"), place
    assert (tmp_path / "cluster.yaml").read_text() == CLUSTER
    assert [ran(tmp_path, "explain", "--svg", "new.svg").returncode for _ in range(2)] == [0, 0]
    assert (tmp_path / "new.svg").read_bytes().startswith(b"<svg")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cluster.yaml", "new.svg", "pipe"]
