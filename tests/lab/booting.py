"""Simulated hosts for tests. A run that is killed leaves its own up: the next one, of whatever name, takes them away.

Each lab that tests boot has a file of its name that its process holds a lock on: who can take that lock knows that
nobody uses the lab any more. A user's own lab has none, and is never touched.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from quorate.artifact.root import default_cache
from quorate.lab.record import LabError, LabInfo
from quorate.lab.up import down, up
from quorate.spec.cluster import Cluster

SUFFIX = ".test"


def _holders() -> Path:
    folder = default_cache().resolve() / "labs-of-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _held(file: Path) -> Iterator[bool]:
    """Whether the lock is ours, for the block."""
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def clear_leftovers() -> None:
    """Take away the labs of test runs that are no more."""
    for file in sorted(_holders().glob(f"*{SUFFIX}")):
        with _held(file) as free:
            if free:
                with contextlib.suppress(LabError):
                    down(file.name.removesuffix(SUFFIX), print)
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def booted(cluster: Cluster, file: Path) -> Iterator[LabInfo]:
    """The hosts of a cluster, for the block."""
    mine = _holders() / f"{cluster.name}{SUFFIX}"
    with contextlib.ExitStack() as ours:
        with (_holders() / "beginning").open("a") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            clear_leftovers()
            assert ours.enter_context(_held(mine)), f"another run of tests uses lab {cluster.name}"
        with contextlib.suppress(LabError):
            down(cluster.name, print)  # of this name, whoever made it
        try:
            yield up(cluster, file, print)
        finally:
            with contextlib.suppress(LabError):  # a test may have taken it down itself
                down(cluster.name, print)
            mine.unlink(missing_ok=True)
