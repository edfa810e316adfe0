"""The watchdog of a host's own balancer: the script with a real shell, a made up curl and a made up /proc."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import within

from quorate.render import watchdog

CURL = """\
case $* in
*' -V') exit 0 ;;
*num_connects*) echo >>"$0.looks"; . "$0.again" ;;
*) echo >>"$0.row"; read -r code <"$0.pipe"; exit "$code" ;;
esac
"""
HANGS = "echo 1:000; exit 28"


class Watchdog:
    """The script, beside a balancer whose two threads sleep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {"curl": CURL, "systemctl": 'echo "$*" >>"$0.asked"'}.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        os.mkfifo(folder / "curl.pipe")
        self.pipe = os.open(folder / "curl.pipe", os.O_RDWR)
        self.put("curl.again", HANGS)
        for pid in ("70", "71"):
            (folder / f"proc/{pid}/task/{pid}").mkdir(parents=True)
            self.thread(pid, "S")
        self.put("procs", "70\n71\n")
        text = watchdog.script(unit="haproxy.service", port=2384).replace("/proc/", f"{folder}/proc/")
        self.put("script", text.replace('"/sys/fs/cgroup/$group"', str(folder / "procs")).replace("sleep 1", "sleep 0"))
        env = {"PATH": f"{folder}:/usr/bin:/bin"}
        with (folder / "out").open("w") as out:
            argv = ["/bin/sh", str(folder / "script")]
            self.process = subprocess.Popen(argv, env=env, stdout=out, stderr=out, start_new_session=True)

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def thread(self, pid: str, state: str) -> None:
        for name, text in {"stat": f"{pid} (haproxy) {state} 1 70 0\n", "schedstat": "900 10 3\n"}.items():
            self.put(f"proc/{pid}/task/{pid}/{name}", text)

    def silent(self, code: int = 28) -> None:
        """The questions in a row end like this; back when they are asked again."""
        rows = self.said("curl.row").count("\n")
        os.write(self.pipe, f"{code}\n".encode())
        assert within(20, lambda: self.said("curl.row").count("\n") > max(rows, 1))

    def said(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.pipe)


@pytest.fixture
def dog(tmp_path: Path) -> Iterator[Watchdog]:
    made = Watchdog(tmp_path)
    try:
        assert within(20, lambda: made.said("curl.row") != "")
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("state", ["T", "S"])
def test_one_that_hangs_is_killed(dog: Watchdog, state: str) -> None:
    dog.thread("71", state)
    dog.silent()
    assert dog.said("systemctl.asked") == "kill -s KILL haproxy.service\n"
    assert dog.said("curl.looks").count("\n") == watchdog.LOOKS
    assert dog.said("out") == "the balancer hangs: it is killed\n"
    dog.silent(7)
    dog.silent(0)
    assert dog.said("systemctl.asked").count("\n") == 1


@pytest.mark.parametrize(
    ("again", "state", "procs"),
    [
        ("echo 1:204", "S", "70\n71\n"),
        ("echo 0:000; exit 28", "S", "70\n71\n"),
        ("echo 1:000; exit 52", "S", "70\n71\n"),
        (f'[ -s "$0.looks" ] && [ "$(wc -l <"$0.looks")" = 1 ] || {{ echo 1:204; exit; }}\n{HANGS}', "S", "70\n71\n"),
        (HANGS, "R", "70\n71\n"),
        (HANGS, "D", "70\n71\n"),
        ('echo 901 10 4 >"${0%/*}/proc/71/task/71/schedstat"; ' + HANGS, "S", "70\n71\n"),
        (HANGS, "S", ""),
        (HANGS, "S", "70\n72\n"),
    ],
    ids=["answers", "never asked", "closes", "answers late", "busy", "disk", "ran", "ended", "unseen"],
)
def test_silence_that_proves_nothing(dog: Watchdog, again: str, state: str, procs: str) -> None:
    dog.thread("71", state)
    dog.put("curl.again", again)
    dog.put("procs", procs)
    dog.silent()
    assert dog.said("systemctl.asked") == dog.said("out") == ""


@pytest.mark.parametrize("code", [0, 7, 52], ids=["all answered", "refused", "cut off"])
def test_no_silence_no_suspicion(dog: Watchdog, code: int) -> None:
    dog.silent(code)
    assert dog.said("systemctl.asked") == dog.said("curl.looks") == ""


@pytest.mark.parametrize("bad", [{"unit": "a b", "port": 1}, {"unit": "a.service", "port": 0}], ids=str)
def test_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        watchdog.script(**bad)  # type: ignore[arg-type]
