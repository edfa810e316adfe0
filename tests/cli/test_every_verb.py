"""What holds for every verb, in every situation: no traceback, no half line, the right exit code.

The verbs are those that the program has registered, with words made from what they take; nobody lists them here.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cyclopts import App
from fake_hosts import CLUSTER

from quorate.cli.main import app
from quorate.core import EXIT_CODES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for disks that are full or can't be written")


@dataclass(frozen=True)
class Situation:
    """How a verb is started."""

    name: str
    place: str = "own"
    """The folder: its `own`, on a disk that is `full`, on one that can't be written (`ro`)."""
    stdin: str = "null"
    stdout: str = "file"
    stderr: str = "file"
    encoding: str = "utf-8"
    env: dict[str, str | None] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    needs: str = ""
    """A word that the verb must take; others are not started like this."""
    times: int = 1
    """How many at once in the same folder."""


SITUATIONS = (
    Situation("wide", env={"COLUMNS": "200"}),
    Situation("narrow", env={"COLUMNS": "40"}, encoding="ascii"),
    Situation("bare", env={"HOME": None, "TERM": "dumb", "COLUMNS": None}),
    Situation("for programs", words=("--json",), needs="json"),
    Situation("nobody reads", stdout="reader gone"),
    Situation("nobody hears", stderr="reader gone"),
    Situation("stdout full", stdout="full"),
    Situation("all full", stdout="full", stderr="full", words=("--json",), needs="json"),
    Situation("stdin closed", stdin="closed"),
    Situation("stdout closed", stdout="closed"),
    Situation("stderr closed", stderr="closed"),
    Situation("all closed", stdin="closed", stdout="closed", stderr="closed"),
    Situation("a full disk", place="full"),
    Situation("a disk that can't be written", place="ro"),
    Situation("two at once", times=2),
    Situation("an unknown option", words=("--no-such-option",), needs="no more words"),
    Situation("a word too many", words=("one", "two", "three"), needs="no more words"),
    Situation("an option without its value", words=("--file",), needs="file"),
    Situation("a word where a number is", words=("-n", "many"), needs="last"),
)
USAGE = {"an unknown option", "a word too many", "an option without its value", "a word where a number is"}


def verbs(of: App, *before: str) -> Iterator[tuple[tuple[str, ...], inspect.Signature]]:
    """Every verb by its words, with what it takes."""
    for name in of:
        if name.startswith("-"):
            continue
        below = of[name]
        if below.default_command is not None:
            yield (*before, name), inspect.signature(below.default_command)
        yield from verbs(below, *before, name)


VERBS = dict(verbs(app))


def takes(signature: inspect.Signature) -> set[str]:
    """The names of what a verb takes, and whether it takes no more words than it needs."""
    given = signature.parameters.values()
    many = any(each.kind is each.VAR_POSITIONAL for each in given)
    return {each.name for each in given} | (set() if many else {"no more words"})


OPTIONS = {"to": "1.20.2"}
"""What stands after options that a verb can't do without."""


def words(verb: tuple[str, ...], signature: inspect.Signature) -> list[str]:
    """The verb with all that it needs, and a yes to what it would ask."""
    said = list(verb)
    for each in signature.parameters.values():
        if each.name == "yes":
            said += ["--yes"] if each.default is False else ["--yes", "tiny"]
        elif each.default is each.empty and each.kind is each.KEYWORD_ONLY:
            said += [f"--{each.name}", OPTIONS[each.name]]
        elif each.default is each.empty and each.kind is not each.VAR_POSITIONAL:
            said.append("master01")
    return said


@dataclass(frozen=True)
class Ran:
    """What became of a run."""

    code: int
    out: bytes
    err: bytes
    escaped: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out.decode(errors='replace')}\n{self.err.decode(errors='replace')}"


class Runs:
    """All verbs in all situations; those of a situation are run when the first of them is looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked: dict[str, list[tuple[tuple[str, ...], dict[str, object]]]] = {}
        self._found: dict[tuple[tuple[str, ...], str], list[Ran]] = {}
        for situation in SITUATIONS:
            self._asked[situation.name] = list(self._cases(situation))
        mounts = (
            f"cd {folder}; mv full copies; mkdir full; mount -t tmpfs -o size=512k,nr_inodes=4k tmpfs full; "
            "cp -r copies/. full; head -c 1M /dev/zero >full/rest 2>/dev/null || :; mount --bind -o ro ro ro; "
            "mount -o remount,bind,ro ro; exec "
        )
        program = f"{sys.executable} {Path(__file__).with_name('many_runs.py')}"
        argv = ["unshare", "--mount", "--net", "--", "/bin/sh", "-ec", mounts + program]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _cases(self, situation: Situation) -> Iterator[tuple[tuple[str, ...], dict[str, object]]]:
        for verb in each_of(situation):
            place = self._folder / situation.place / "-".join((situation.name, *verb)).replace(" ", "-")
            place.mkdir(parents=True)
            if verb != ("init",):
                (place / "cluster.yaml").write_text(CLUSTER)
            env = {"NO_COLOR": "1", "HOME": str(place), "QUORATE_CACHE": str(place / "cache"), **situation.env}
            for time in range(situation.times):
                yield (
                    verb,
                    {
                        "words": [*words(verb, VERBS[verb]), *situation.words],
                        "folder": str(place),
                        "place": str(self._folder / f"{place.name}.{time}"),
                        "env": env,
                        **{name: getattr(situation, name) for name in ("stdin", "stdout", "stderr", "encoding")},
                    },
                )

    def of(self, verb: tuple[str, ...], situation: str) -> list[Ran]:
        """What became of a verb in a situation."""
        if asked := self._asked.pop(situation, None):
            to, of = self._process.stdin, self._process.stdout
            assert to is not None
            assert of is not None
            for number, (_, case) in enumerate(asked):
                print(json.dumps({"number": number, **case}), file=to)
            print(file=to, flush=True)
            codes = dict(json.loads(of.readline()) for _ in asked)
            for number, (each, case) in enumerate(asked):
                self._found.setdefault((each, situation), []).append(_read(codes[number], Path(str(case["place"]))))
        return self._found[verb, situation]

    def all(self) -> Iterator[tuple[tuple[str, ...], Situation, Ran]]:
        """Everything."""
        for situation in SITUATIONS:
            for verb in each_of(situation):
                yield from ((verb, situation, run) for run in self.of(verb, situation.name))

    def end(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0


def _read(code: int, place: Path) -> Ran:
    def said(name: str) -> bytes:
        path = place.with_name(f"{place.name}.{name}")
        return path.read_bytes() if path.exists() else b""

    return Ran(code, said("stdout"), said("stderr"), said("escaped").decode())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All verbs in all situations."""
    made = Runs(tmp_path_factory.mktemp("verbs"))
    yield made
    made.end()


def each_of(situation: Situation) -> list[tuple[str, ...]]:
    """The verbs that are started in a situation."""
    needs = situation.needs
    return [verb for verb, signature in VERBS.items() if not needs or needs in takes(signature)]


def named(*names: str) -> pytest.MarkDecorator:
    """A test of these situations, or of all."""
    chosen = [each for each in SITUATIONS if not names or each.name in names]
    return pytest.mark.parametrize("situation", chosen, ids=lambda each: each.name)


def test_the_verbs_are_those_of_the_help() -> None:
    assert {("plan",), ("apply",), ("lab", "up"), ("lab", "thaw")} <= set(VERBS)
    assert len(VERBS) > 30


@named()
def test_no_traceback_no_half_line_and_a_known_exit_code(runs: Runs, situation: Situation) -> None:
    wrong = []
    for verb in each_of(situation):
        for run in runs.of(verb, situation.name):
            said = (run.out + run.err).decode("utf-8", "replace")
            bad = (
                run.code not in EXIT_CODES.keys() - {70, 130}
                or run.escaped
                or "Traceback" in said
                or "This is a bug" in said
                or any(text and not text.endswith(b"\n") for text in (run.out, run.err))
            )
            if bad:
                wrong.append(f"{' '.join(verb)}: {run.escaped} {run}")
    assert not wrong, "\n\n".join(wrong)


@named("narrow", "bare", "for programs", "stdin closed", "nobody hears", "stderr closed")
def test_the_exit_code_is_not_a_matter_of_the_terminal(runs: Runs, situation: Situation) -> None:
    wrong = [
        f"{' '.join(verb)}: {runs.of(verb, situation.name)[0].code}, not {runs.of(verb, 'wide')[0]}"
        for verb in each_of(situation)
        if runs.of(verb, situation.name)[0].code != runs.of(verb, "wide")[0].code
    ]
    assert not wrong, "\n".join(wrong)


@named("stdout full", "stdout closed", "all full", "all closed")
def test_output_that_can_not_be_written_is_no_success(runs: Runs, situation: Situation) -> None:
    wrong = [
        f"{' '.join(verb)}: {run}"
        for verb in each_of(situation)
        for run in runs.of(verb, situation.name)
        if runs.of(verb, "wide")[0].out and run.code == 0
    ]
    assert not wrong, "\n".join(wrong)


def test_who_has_seen_enough_ends_nothing_with_an_error(runs: Runs) -> None:
    wrong = [
        f"{' '.join(verb)}: {run.code}, {runs.of(verb, 'wide')[0].code} where it is read; {run}"
        for verb in VERBS
        for run in runs.of(verb, "nobody reads")
        if run.code not in (0, runs.of(verb, "wide")[0].code)
    ]
    assert not wrong, "\n".join(wrong)


@named(*USAGE)
def test_wrong_words_have_a_code_of_their_own(runs: Runs, situation: Situation) -> None:
    wrong = [
        f"{' '.join(verb)}: {run}"
        for verb in each_of(situation)
        for run in runs.of(verb, situation.name)
        if run.code != 64 or not run.err.startswith(b"error: ") or b"\nhint: " not in run.err or run.out
    ]
    assert not wrong, "\n".join(wrong)


def test_no_other_run_has_that_code(runs: Runs) -> None:
    wrong = [
        f"{' '.join(verb)}, {situation.name}: {run}"
        for verb, situation, run in runs.all()
        if run.code == 64 and situation.name not in USAGE
    ]
    assert not wrong, "\n".join(wrong)


def test_programs_get_json(runs: Runs) -> None:
    programs = next(each for each in SITUATIONS if each.name == "for programs")
    for verb in each_of(programs):
        out = runs.of(verb, programs.name)[0].out.decode()
        try:
            json.loads(out)
        except ValueError:
            assert all(isinstance(json.loads(line), dict) for line in out.splitlines()), (verb, out)


@named("a full disk", "a disk that can't be written")
def test_a_verb_that_writes_says_where_it_can_not(runs: Runs, situation: Situation) -> None:
    run = runs.of(("apply",), situation.name)[0]
    assert run.code == 1, run
    assert b".quorate" in run.err
    assert b"\nhint: " in run.err
