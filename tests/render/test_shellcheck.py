"""What shellcheck says of every script that is sent to hosts: nothing, but for what POSIX leaves out and hosts have."""

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sent_scripts import HEREDOC, sent
from sh_texts import sh_of

EXCLUDED = {
    "SC1007": "`name= other=`: two empty values",
    "SC2034": "a field that `read` needs a name for, and that nobody uses",
    "SC2043": "a loop over a list that has one entry here, and may have more",
    "SC2194": "a list that is made here, looked through for a word",
    "SC2154": "set by a function of the prelude",
    "SC3013": "-nt and -ef: dash, bash and busybox have them",
    "SC3045": "ulimit -n and -H: likewise",
}
"""Warnings that are none here, and why."""
MEANT = {
    "cd debs && apt-get -qq -o APT::Sandbox::User=root download $(cat ../closures/* | sort -u)": "SC2046: a word each",
}
"""Lines of which one is right."""
SOURCE = Path(__file__).parents[2] / "src/quorate"
FOR_PEOPLE = {
    "artifact/sums.py": "commands that make sums, or a folder, anew",
    "artifact/root.py": "argv of programs in a row",
    "cli": "commands for another terminal",
    "preflight/catalog.py": "what mends what a check finds",
    "spec": "words of JSON schemas, commands in documents",
}
"""Where the signs of sh are in what is told, not sent."""


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return sent()


def bare(text: str) -> str:
    """A script without the files that it writes, and what is in them."""
    return HEREDOC.sub(r"<<'\1'\n\1", text)


def shape(text: str) -> str:
    """The same for scripts that differ in names, addresses, quoted words and flags."""
    words = re.sub(r"'[^']*'|/[\w./@-]*|[0-9a-f]{8,}|\d+(\.\d+)*|\b(h|[mnbw])\d*\b", "0", text)
    return re.sub(r"( --\S+)+", " --", words)


def told(folder: Path, scripts: Sequence[tuple[str, str]]) -> list[str]:
    """What shellcheck says of scripts: whose, what, of which line."""
    names = {}
    for number, (text, name) in enumerate(scripts):
        path = folder / f"{number:04}.sh"
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        names[str(path)] = name
    argv = ["shellcheck", "-S", "warning", "-f", "gcc", f"--exclude={','.join(EXCLUDED)}", *names]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = []
    for each in done.stdout.splitlines():
        place, number, _, what = each.split(":", 3)
        line = Path(place).read_text().splitlines()[int(number) - 1]
        if line.strip() not in MEANT:
            found.append(f"{names[place]}:{what}: {line[:160]}")
    return found


def test_all_sh_in_the_source_is_among_what_was_checked(scripts: dict[str, str]) -> None:
    """Of each string that has sh, whichever branch it is in, something stands in a script.

    Quotes count for nothing: what is quoted once more has others.
    """
    everything = plain("\n".join(scripts))
    lost = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        if {name, name.partition("/")[0]} & FOR_PEOPLE.keys():
            continue
        for sh in sh_of(path.read_text()):
            for text in sh.texts:
                lines = [line for piece in text for line in plain(piece).splitlines() if len(line.strip()) > 3]
                if lines and not any(line in everything for line in lines):
                    lost.append(f"{name}:{sh.line} {sh.name}: {'x'.join(text)[:60]!r}")
    assert not lost, "\n".join(lost)


def plain(text: str) -> str:
    """Without quotes, and with a line for each piece of a template of `str.format`."""
    return re.sub(r"\{\w*\}", "\n", re.sub(r"""['"\\]""", "", text))


def test_shellcheck_has_nothing_to_say(scripts: dict[str, str], tmp_path: Path) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for text, name in scripts.items():
        seen.setdefault(shape(bare(text)), (bare(text), name))
    assert len(seen) > 400
    halves = []
    for number in range(2):
        (folder := tmp_path / str(number)).mkdir()
        halves.append((folder, [*seen.values()][number::2]))
    with ThreadPoolExecutor() as pool:
        found = [line for half in pool.map(lambda half: told(*half), halves) for line in half]
    assert not found, "\n".join(found)


def test_what_is_excluded_would_be_told(tmp_path: Path) -> None:
    """And shellcheck finds what it should."""
    path = tmp_path / "x.sh"
    path.write_text("#!/bin/sh\nrm -r $(cat /a)\nunused=1\n")
    argv = ["shellcheck", "-S", "warning", "-f", "gcc", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "SC2046" in done.stdout
    assert "SC2034" in done.stdout
