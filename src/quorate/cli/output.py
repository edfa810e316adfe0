"""How a verb speaks: a console or JSON, questions, a picture on demand; and the loop that it runs in."""

import asyncio
import json as json_text
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.console import Console

from quorate import atomic
from quorate.cli.interrupt import as_interrupt
from quorate.core import QuorateError
from quorate.plan.words import line
from quorate.report import console as terminal
from quorate.report.event import Emit, Event, Said
from quorate.spec.logins import without_logins
from quorate.spec.regular import opened

T = TypeVar("T")


def print_json(data: object) -> None:
    """Print one JSON document."""
    print(without_logins(json_text.dumps(data, indent=2, default=str)), flush=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a verb to its end. SIGTERM and SIGHUP are taken as Ctrl-C."""

    async def interruptible() -> T:
        with as_interrupt():
            return await work

    return asyncio.run(interruptible())


def interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class Output:
    """One verb's console; as a context it keeps a picture of everything, when one is named."""

    def __init__(self, *, svg: Path | None = None, title: str = "quorate") -> None:
        self.console: Console = terminal.make(record=svg is not None)
        self._svg, self._title = svg, title

    def __enter__(self) -> Self:
        if self._svg is not None:
            _demand_picture(self._svg)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._svg is not None:
            _demand_picture(self._svg)
            atomic.write(self._svg, self.console.export_svg(title=self._title).encode(), mode=0o644)

    @property
    def lively(self) -> bool:
        """Whether something may move on the screen."""
        return terminal.lively(self.console)

    def say(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """Print a line of pieces, each plain or with a style."""
        terminal.say(self.console, *parts, indent=indent)

    def ask(self, question: str) -> str:
        """What is typed after a question; Ctrl-C interrupts it at once, also inside an event loop."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.say((question, "bold"))
            return input("> ").strip()
        except EOFError:
            return ""
        finally:
            signal.signal(signal.SIGINT, before)

    async def confirmed(self, question: str) -> bool:
        """Whether the answer is yes. The loop goes on with all else that it does; Ctrl-C cancels the task."""
        loop, typed = asyncio.get_running_loop(), asyncio.Event()
        self.say((question, "bold"))
        print("> ", end="", flush=True)
        loop.add_reader(sys.stdin.fileno(), typed.set)
        try:
            await typed.wait()
        finally:
            loop.remove_reader(sys.stdin.fileno())
        return sys.stdin.readline().strip().lower() in ("yes", "y")


@contextmanager
def busy(out: Output | None, text: str) -> Iterator[Emit]:
    """A line that moves while something takes its time; where nothing may move, what is said is printed."""
    if out is None:
        yield lambda _event: None
        return
    if not out.lively:

        def say(event: Event) -> None:
            if isinstance(event, Said) and event.text:
                out.say((line(event.text), terminal.QUIET))

        yield say
        return
    with out.console.status(text, spinner="dots", spinner_style="cyan") as status:

        def update(event: Event) -> None:
            if isinstance(event, Said):
                status.update(line(event.text, out.console.width - 6))

        yield update


def _demand_picture(path: Path) -> None:
    """Refuse a place where something else is than a picture: it would be gone. Raises QuorateError."""
    try:
        with opened(path) as file:
            replaceable = file.read(4) == b"<svg"
    except FileNotFoundError:
        replaceable = path.absolute().parent.is_dir()
    except OSError:
        replaceable = False
    if not replaceable:
        raise QuorateError(f"{path} is no place for a picture", "name another with --svg: a new file in a folder")


def demand_terminal(what: str, hint: str) -> None:
    """Refuse when nobody can be asked."""
    if not interactive():
        raise QuorateError(f"{what} asks first, and there is no terminal to ask on", hint)
