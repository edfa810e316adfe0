"""Ctrl-C and its kin, at a process of its own: what runs ends, the rest is told, terminal and journal are in order."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import CLUSTER

CHILD = Path(__file__).with_name("slow_apply.py")
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
WHILE = 30.0
"""Seconds in which anything must have happened."""


class Apply:
    """The process, in a folder of its own; `tty` gives it a terminal."""

    def __init__(self, folder: Path, seconds: float, *words: str, tty: bool = False, quiet: bool = False) -> None:
        self.folder = folder
        (folder / "cluster.yaml").write_text(CLUSTER)
        argv = [sys.executable, str(CHILD), str(folder), str(seconds), "--yes", *words]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
        environment.pop("NO_COLOR", None)
        self.terminal, out = pty.openpty() if tty else os.pipe()
        before = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if quiet else None
        self.process = subprocess.Popen(
            argv, stdin=out if tty else subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
            start_new_session=not tty, preexec_fn=before if not tty else self._own_terminal,
        )  # fmt: skip
        os.close(out)
        self.said = b""

    @staticmethod
    def _own_terminal() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def listen(self, enough: Callable[[], bool]) -> None:
        """Take what it says until that is enough, or it has ended."""
        end = time.monotonic() + WHILE
        while not enough():
            assert time.monotonic() < end, f"waited in vain; it said {self.said.decode()}"
            if select.select([self.terminal], [], [], 0.02)[0]:
                try:
                    data = os.read(self.terminal, 65536)
                except OSError:  # a terminal without anybody at its other side
                    data = b""
                if not data:
                    return
                self.said += data

    @property
    def hosts(self) -> list[str]:
        """What the hosts were told so far."""
        log = self.folder / "hosts.log"
        return log.read_text().splitlines() if log.exists() else []

    def begun(self) -> None:
        self.listen(lambda: any(line.startswith("begin") for line in self.hosts))

    def settled(self) -> None:
        """Whatever begins together has begun."""
        count, since = 0, time.monotonic()

        def still() -> bool:
            nonlocal count, since
            if len(self.hosts) != count:
                count, since = len(self.hosts), time.monotonic()
            return time.monotonic() - since > 0.5

        self.listen(still)

    def ended(self) -> int:
        """Its exit code; all that it said is in `said`."""
        self.listen(lambda: False)
        code = self.process.wait(timeout=WHILE)
        os.close(self.terminal)
        return code

    @property
    def text(self) -> str:
        return self.said.decode()

    @property
    def journal(self) -> dict[str, Any]:
        """Its last line."""
        entry: dict[str, Any] = json.loads((self.folder / ".quorate/tiny/journal.jsonl").read_text().splitlines()[-1])
        return entry


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_once_lets_what_runs_end(number: signal.Signals, tmp_path: Path) -> None:
    apply = Apply(tmp_path, 2.0)
    apply.begun()
    apply.settled()
    before = apply.hosts
    apply.process.send_signal(number)
    assert apply.ended() == 130
    begun = [line for line in apply.hosts if line.startswith("begin")]
    assert begun == [line for line in before if line.startswith("begin")], "a step began after the signal"
    assert [line for line in apply.hosts if line.startswith("cut")] == []
    assert len([line for line in apply.hosts if line.startswith("end")]) == len(begun)
    assert "stopping: running steps end, Ctrl-C again aborts" in apply.text
    assert "not done  master01" in apply.text
    assert "quorate apply" in apply.text.splitlines()[-1]
    assert "goes on where this stopped" in apply.text
    assert apply.journal["stopped"] is True
    assert apply.journal["changed"] > 0
    assert apply.journal["left"] > 0
    assert f"{apply.journal['changed']} changed" in apply.text
    assert not (tmp_path / ".quorate/tiny/last-applied.yaml").exists()


def test_twice_aborts_at_once(tmp_path: Path) -> None:
    apply = Apply(tmp_path, 600)
    apply.begun()
    apply.process.send_signal(signal.SIGINT)
    apply.listen(lambda: "stopping" in apply.text)
    began = time.monotonic()
    apply.process.send_signal(signal.SIGINT)
    assert apply.ended() == 130
    assert time.monotonic() - began < 10
    assert any(line.startswith("cut") for line in apply.hosts)
    assert apply.hosts[-1] == "closed"
    assert "not done" in apply.text
    assert apply.journal["stopped"] is True


def test_a_closed_terminal_is_no_second_signal(tmp_path: Path) -> None:
    """The shell and the kernel may both send it."""
    apply = Apply(tmp_path, 0.6)
    apply.begun()
    apply.process.send_signal(signal.SIGHUP)
    apply.listen(lambda: "stopping" in apply.text)
    apply.process.send_signal(signal.SIGHUP)
    assert apply.ended() == 130
    assert [line for line in apply.hosts if line.startswith("cut")] == []


def test_nohup_is_respected(tmp_path: Path) -> None:
    apply = Apply(tmp_path, 0.05, quiet=True)
    apply.begun()
    apply.process.send_signal(signal.SIGHUP)
    assert apply.ended() == 0
    assert apply.journal["ok"] is True


@pytest.mark.parametrize("count", [1, 2])
def test_the_terminal_is_put_in_order(count: int, tmp_path: Path) -> None:
    apply = Apply(tmp_path, 0.6 if count == 1 else 600, tty=True)
    apply.begun()
    apply.listen(lambda: HIDE in apply.said)
    os.write(apply.terminal, b"\x03")
    if count == 2:
        apply.listen(lambda: "stopping" in apply.text)
        os.write(apply.terminal, b"\x03")
    assert apply.ended() == 130
    assert apply.said.rindex(SHOW) > apply.said.rindex(HIDE)
    assert "goes on where this stopped" in apply.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_anything_is_changed_it_just_ends(number: signal.Signals, tmp_path: Path) -> None:
    """While it looks at the hosts: here, as it takes the lock."""
    (tmp_path / "hold").touch()
    apply = Apply(tmp_path, 600, tty=True)
    apply.listen(lambda: "held" in apply.hosts)
    apply.listen(lambda: HIDE in apply.said)
    apply.process.send_signal(number)
    assert apply.ended() == 130
    assert "interrupted" in apply.text
    assert apply.said.rindex(SHOW) > apply.said.rindex(HIDE)
    assert not (tmp_path / ".quorate").exists()
    assert apply.hosts[-1] == "closed"


def test_a_terminal_that_is_closed_ends_it_in_order(tmp_path: Path) -> None:
    apply = Apply(tmp_path, 0.6, tty=True)
    apply.begun()
    os.close(apply.terminal)
    assert apply.process.wait(timeout=WHILE) == 130
    assert apply.hosts[-1] == "closed"
    assert [line for line in apply.hosts if line.startswith("cut")] == []
    assert apply.journal["stopped"] is True


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_reader_that_has_seen_enough_does_not_end_it(words: tuple[str, ...], tmp_path: Path) -> None:
    apply = Apply(tmp_path, 0.1, *words)
    apply.begun()
    os.close(apply.terminal)
    assert apply.process.wait(timeout=WHILE) == 0
    assert apply.journal["ok"] is True
    assert (tmp_path / ".quorate/tiny/last-applied.yaml").exists()


WAITS = """
import asyncio
from quorate.cli.interrupt import as_interrupt
from quorate.cli.output import run

async def wait():
    try:
        print("begun", flush=True)
        await asyncio.sleep(60)
    finally:
        print("in order", flush=True)

with as_interrupt():
    run(wait())
"""


@pytest.mark.parametrize("background", [False, True])
def test_sigterm_ends_a_job_in_the_background_too(background: bool) -> None:
    """A shell without job control lets it ignore SIGINT, and no more than that."""
    before = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None
    argv = [sys.executable, "-c", WAITS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=before) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "begun\n"
        job.terminate()
        assert job.stdout.readline() == "in order\n"
        assert job.wait(WHILE) != 0
