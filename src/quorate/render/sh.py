"""Words and texts for POSIX sh: the only way by which a value enters a script."""

import base64
import re
import shlex
from itertools import count

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a script looks for programs, whoever starts it."""
_RESERVED = frozenset(
    (
        *("!", "{", "}", "case", "do", "done", "elif", "else", "esac"),
        *("fi", "for", "if", "in", "then", "until", "while"),
    )
)
"""Words that sh takes for grammar when they stand first and bare (POSIX 2.4)."""


def _refuse(word: str) -> None:
    """Raise ValueError for what no process argument can hold: NUL, or text that is not Unicode."""
    if "\0" in word:
        raise ValueError(f"NUL in an argument: {word!r}")
    word.encode()


def quote(word: str) -> str:
    """One word that sh reads back as exactly this text. Raises ValueError on NUL."""
    _refuse(word)
    return shlex.quote(word)


def sh(*argv: str) -> str:
    """A command line that runs exactly these arguments, with the first one as the command, never as
    grammar or an assignment. Raises ValueError on NUL and without arguments.
    """
    if not argv:
        raise ValueError("a command needs at least its name")
    first = quote(argv[0])
    if first == argv[0] and (first in _RESERVED or "=" in first):
        first = f"'{first}'"
    return " ".join([first, *(quote(word) for word in argv[1:])])


_EATEN = re.compile(r"^E(O(F\d*)?)?[^\x00-\x7f]", re.MULTILINE)
"""dash 0.5.12 loses a byte where a line begins as the end mark does and goes on with one that is not ASCII."""


def heredoc(text: str) -> str:
    """A redirection that gives this text, byte for byte as UTF-8, to the stdin of the command before it.

    Write it at the end of a command and go on after a newline: `f"cat {heredoc(text)}\\nnext"`.
    A quoted here-document can hold only whole lines without NUL; any other text goes as base64 through a
    named pipe, which its writer removes, so that no byte of it touches a disk.
    """
    if text and (not text.endswith("\n") or "\0" in text or _EATEN.search(text)):
        encoded = base64.b64encode(text.encode()).decode()
        return (
            '<"$(umask 077; d=$(mktemp -d); mkfifo "$d/p"; '
            # Ended in the middle, its folder goes all the same.
            "{ trap 'rm -rf \"$d\"' EXIT; trap exit HUP TERM; "
            f'printf %s {encoded} | base64 -d >"$d/p"; }} </dev/null >/dev/null 2>&1 & '
            'printf %s "$d/p")"'
        )
    text.encode()
    lines = set(text.split("\n"))
    end = next(mark for n in count() if (mark := f"EOF{n or ''}") not in lines)
    return f"<<'{end}'\n{text}{end}"
