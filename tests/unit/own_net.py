"""A network namespace of a test's own, in which real programs change real rules and routes."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from waiting import within

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")

OPTIONS = {"net": "net", "mnt": "mount"}
"""Of unshare and nsenter, by kind of namespace."""


class Net:
    """A network namespace, held by a process, and a folder of this machine."""

    spaces: Sequence[str] = ("net",)
    """Kinds of namespaces, as /proc calls them: with "mnt" one of mounts, too."""

    def __init__(self, holder: int, folder: Path) -> None:
        self.holder, self.folder = holder, folder
        self.running: list[subprocess.Popen[str]] = []
        self.enter = ["nsenter", *(f"--{OPTIONS[each]}=/proc/{holder}/ns/{each}" for each in self.spaces), "--"]

    def begin(self, *argv: str) -> subprocess.Popen[str]:
        """A process in the namespace, in a group of its own as in a service's control group."""
        process = subprocess.Popen(
            [*self.enter, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> str:
        """End it as systemd does, with all that it started; returns what it said."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        return process.communicate(timeout=10)[0]

    def sh(self, script: str, check: bool = True) -> str:
        """What a script says; without `check` its exit code."""
        done = subprocess.run([*self.enter, "/bin/sh", "-ec", script], capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout if check else str(done.returncode)

    def within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Whether something becomes true in time."""
        return within(seconds, condition)


N = TypeVar("N", bound=Net)


@contextlib.contextmanager
def own_net(kind: type[N], folder: Path) -> Iterator[N]:
    """A namespace that is gone afterwards, with all that was begun in it; skips where there are none."""
    spaces = [f"--{OPTIONS[each]}" for each in kind.spaces]
    holder = subprocess.Popen(["unshare", *spaces, "sleep", "600"], stderr=subprocess.DEVNULL)
    made = kind(holder.pid, folder)
    try:
        own = os.readlink("/proc/self/ns/net")
        if not made.within(5, lambda: holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/net") != own):
            raise AssertionError("no namespace")
        if holder.poll() is not None:
            pytest.skip("no network namespaces here")
        yield made
    finally:
        for process in made.running:
            made.end(process)
        holder.kill()
        holder.wait()
