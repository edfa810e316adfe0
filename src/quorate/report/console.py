"""The terminal: one console for all verbs, colours only where they are seen, and a picture of it on demand."""

import os
import sys

from rich.console import Console
from rich.text import Text

from quorate.plan.words import clean

GOOD, BAD, WARN, QUIET, NAME = "green", "bold red", "yellow", "bright_black", "bold"
"""The styles; everything else is the terminal's own foreground."""


class _Console(Console):
    """One that goes on in silence where nobody reads any more: what a verb does must not end in its midst."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def make(*, stderr: bool = False, record: bool = False) -> Console:
    """A console. NO_COLOR and pipes are respected by rich; nothing is highlighted by guessing."""
    return _Console(stderr=stderr, record=record, highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(console: Console, *parts: str | tuple[str, str], indent: int = 0) -> None:
    """Print a line of pieces, each plain or with a style; control characters in them are made visible."""
    text = Text(" " * indent)
    for part in parts:
        plain, style = part if isinstance(part, tuple) else (part, "")
        text.append(clean(plain), style)
    console.print(text, soft_wrap=True)


def lively(console: Console) -> bool:
    """Whether something may move on the screen."""
    return console.is_terminal and not console.is_dumb_terminal and sys.stdout.isatty()
