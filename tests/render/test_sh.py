"""What sh reads back is what went in, byte for byte."""

import shutil
import subprocess

import pytest
from hostile import hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.render.sh import heredoc, quote, sh

SHELL = shutil.which("dash") or "/bin/sh"


def run(script: str) -> bytes:
    return subprocess.run([SHELL, "-eu"], input=script.encode(), capture_output=True, check=True).stdout


@pytest.mark.parametrize("word", ["a", "", "it's", "$(id)", "a b", "-n", "~", "*"])
def test_quote_is_one_word(word: str) -> None:
    assert run(f"printf %s {quote(word)}") == word.encode()


def test_plain_words_stay_readable() -> None:
    assert sh("mkdir", "-p", "/etc/x y") == "mkdir -p '/etc/x y'"


@pytest.mark.parametrize("word", ["if", "{", "!", "A=b", "case"])
def test_first_word_is_always_the_command(word: str) -> None:
    script = f"{sh(word, 'x')} 2>&1 || echo $?"
    assert b"not found" in run(script)
    assert b"127" in run(script)


@pytest.mark.parametrize("bad", [["a\0b"], [], ["\ud800"], ["echo", "\0"]])
def test_refused(bad: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        sh(*bad)


def test_heredoc_golden() -> None:
    assert heredoc("a\n") == "<<'EOF'\na\nEOF"
    assert heredoc("EOF\nEOF1\n") == "<<'EOF2'\nEOF\nEOF1\nEOF2"


def test_heredoc_leaves_nothing_behind() -> None:
    script = f"export TMPDIR=$(mktemp -d)\ncat {heredoc('no newline')} >/dev/null\nsleep 0.2; ls $TMPDIR; rmdir $TMPDIR"
    assert run(script) == b""


def test_heredoc_of_a_command_that_does_not_read() -> None:
    assert run(f"true {heredoc('x' * 200_000)}\necho on") == b"on\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(hostile(), min_size=1, max_size=6))
def test_arguments_arrive(words: list[str]) -> None:
    try:
        line = sh("printf", "%s\\n", *words)
    except ValueError:
        assert any("\0" in word for word in words)
    else:
        assert run(line) == "".join(f"{word}\n" for word in words).encode()


@settings(max_examples=60, deadline=None)
@given(hostile(), st.sampled_from(["", "\n", "\n\n", "\nEOF\n"]))
def test_texts_arrive(text: str, end: str) -> None:
    assert run(f"cat {heredoc(text + end)}\necho end") == (text + end).encode() + b"end\n"
