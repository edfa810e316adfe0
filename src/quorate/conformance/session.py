"""What is kept of a run, so that one that was stopped or killed goes on: what is run, and results as they come."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate import atomic
from quorate.conformance.result import Result, of_plain, plain
from quorate.conformance.tests import Case, Choice, Chosen
from quorate.core import QuorateError

SHARDS = "shards"
"""Folder of what the suite writes, below that of the run."""
_STATE, _RESULTS = "run.json", "results"
_RUN = re.compile(r'Starting e2e run "([0-9a-f-]+)"')


@dataclass(frozen=True)
class Session:
    """One run of the suite, in a folder of its own."""

    folder: Path
    version: str
    choice: Choice
    chosen: Chosen

    def keep(self, number: int, results: Sequence[Result]) -> None:
        """Keep a shard's results. Raises OSError."""
        text = json.dumps([plain(each) for each in results])
        atomic.write(self.folder / _RESULTS / f"{number:04d}.json", text.encode())

    def results(self) -> list[Result]:
        """What has been kept, in order of the tests."""
        found: dict[str, Result] = {}
        for path in sorted((self.folder / _RESULTS).glob("*.json")):
            found |= {each.name: each for each in map(of_plain, json.loads(path.read_text()))}
        return [found[test.name] for test in self.chosen.tests if test.name in found]

    def rest(self) -> tuple[Case, ...]:
        """The tests without a result."""
        done = {each.name for each in self.results()}
        return tuple(test for test in self.chosen.tests if test.name not in done)

    def next_number(self) -> int:
        """A number that no kept shard has."""
        return 1 + max((int(path.stem) for path in (self.folder / _RESULTS).glob("*.json")), default=0)


def run_ids(folder: Path) -> set[str]:
    """Ids under which the suite has run for the sessions in this folder, as its logs tell them."""
    logs = (folder / SHARDS).glob("*/log.txt")
    return {match[1] for path in logs if (match := _RUN.search(path.read_text(errors="replace")))}


def begin(folder: Path, version: str, choice: Choice, chosen: Chosen) -> Session:
    """Begin anew: what an earlier run left in the folder goes. Raises OSError."""
    session = Session(folder, version, choice, chosen)
    for name in (_RESULTS, SHARDS):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / _RESULTS).mkdir(parents=True, exist_ok=True)
    state = {
        "version": version,
        "choice": vars(choice),
        "tests": [test.name for test in chosen.tests],
        "left": [list(pair) for pair in chosen.left],
    }
    atomic.write(folder / _STATE, json.dumps(state).encode())
    return session


def found(folder: Path) -> Session | None:
    """The run in a folder, if there is one. Raises QuorateError when it can't be read."""
    path = folder / _STATE
    if not path.exists():
        return None
    try:
        state: Mapping[str, object] = json.loads(path.read_text())
        return _of(folder, state)
    except (ValueError, KeyError, TypeError) as error:
        raise QuorateError(f"{path} is no record of a run: {error}", f"remove {folder}") from None


def _of(folder: Path, state: Mapping[str, object]) -> Session:
    tests = tuple(Case(str(name)) for name in _items(state["tests"]))
    left = tuple((str(pair[0]), str(pair[1])) for pair in map(_items, _items(state["left"])))
    choice = state["choice"]
    if not isinstance(choice, dict):
        raise ValueError("no choice")
    return Session(folder, str(state["version"]), Choice(**choice), Chosen(tests, left))


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return value
