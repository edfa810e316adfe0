"""What all tests share: golden files, and a deadline, so that one that hangs can't eat the run."""

import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType

import pytest

# Under nohup, or started by a shell in the background, they are ignored, also in everything that tests start, and a
# shell can't trap what was ignored at its start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

Golden = Callable[[Path, str], None]
SOAKS = int(os.environ.get("QUORATE_CRASHES", "0")) > 20
DEADLINE, LAB_DEADLINE = 120, 7200 if SOAKS else 1800
"""Seconds for one test with its fixtures; a lab test may boot hosts and deploy a cluster, a long one many."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the golden file at a path, or write that file with `--update-golden`."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.write_text(text)
        assert path.exists(), f"no {path.name}: make it with `pytest --update-golden`"
        assert text == path.read_text()

    return compare


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that takes too long fails where it stands, and its fixtures are torn down."""
    limit = LAB_DEADLINE if item.get_closest_marker("lab") else DEADLINE

    def late(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, limit)  # for the teardown
        pytest.fail(f"longer than {limit} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
