"""The real program many times from one start: each run is a fork of this process, which has read all its code.

A run comes as a line of JSON on stdin, its exit code goes out as a line; after an empty line all of them have. Hosts
are made up, there is no network, and the clock runs FASTER than the world's, so that patience costs no time.
"""

import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_hosts
import pytest

import quorate
from quorate.cli import main
from quorate.core import TransportError
from quorate.execute import prepare
from quorate.transport import trust

FASTER = 50
AT_ONCE = 6
LONGEST = 60
"""Seconds after which a run hangs."""
OPEN: dict[str, Callable[[str], int]] = {
    "null": lambda _path: os.open(os.devnull, os.O_RDONLY),
    "file": lambda path: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    "full": lambda _path: os.open("/dev/full", os.O_WRONLY),
    "reader gone": lambda _path: gone(),
}


def gone() -> int:
    """A pipe that nobody reads from."""
    read, write = os.pipe()
    os.close(read)
    return write


def read_all() -> None:
    """Read all code once, for all runs."""
    for module in pkgutil.walk_packages(quorate.__path__, "quorate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def hurry() -> None:
    """Let the time of this process fly."""
    patch = pytest.MonkeyPatch()
    clock, wait = time.monotonic, selectors.EpollSelector.select

    def select(self: selectors.EpollSelector, timeout: float | None = None) -> Any:
        return wait(self, timeout / FASTER if timeout and timeout > 0 else timeout)

    patch.setattr(time, "monotonic", lambda: clock() * FASTER)
    patch.setattr(selectors.EpollSelector, "select", select)


def stage() -> None:
    """Hosts that are made up; a lab is for root, and we are not root."""
    patch = pytest.MonkeyPatch()
    made = fake_hosts.Hosts()
    fake_hosts.made_up(patch, made)
    patch.setattr("quorate.cli.artifacts.resolve", prepare.resolve)
    patch.setattr(os, "geteuid", lambda: 1000)

    async def look(host: str, *_more: object) -> TransportError:
        return TransportError("no route to it", "look at the cable", host=host)

    patch.setattr(trust, "_look", look)


def streams(case: dict[str, Any]) -> None:
    """What a Python that begins makes of its three descriptors."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        how = case[name]
        if how == "closed":
            os.close(number)
            setattr(sys, name, None)
            continue
        handle = OPEN[how](case["place"] + "." + name)
        os.dup2(handle, number)
        os.close(handle)
        mode = "r" if name == "stdin" else "w"
        errors = "backslashreplace" if name == "stderr" else "strict"
        setattr(sys, name, os.fdopen(number, mode, encoding=case["encoding"], errors=errors, closefd=False))


def run(case: dict[str, Any]) -> None:
    """One run, which does not come back."""
    signal.alarm(LONGEST)
    os.chdir(case["folder"])
    for name, value in case["env"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    streams(case)
    sys.argv = ["quorate", *case["words"]]
    code: object = 99
    try:
        main.main()
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        Path(case["place"] + ".escaped").write_text(repr(error))
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as Python itself ends then
    os._exit(code if isinstance(code, int) else 97)


if __name__ == "__main__":
    hurry()
    read_all()
    stage()
    told = os.fdopen(os.dup(1), "w")
    under_way: dict[int, int] = {}

    def wait() -> None:
        pid, status = os.wait()
        print(json.dumps([under_way.pop(pid), os.waitstatus_to_exitcode(status)]), file=told, flush=True)

    for line in sys.stdin:
        if line == "\n":  # all that was asked for is waited for
            while under_way:
                wait()
            continue
        case = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(case)
        under_way[pid] = case["number"]
        if len(under_way) >= AT_ONCE:
            wait()
