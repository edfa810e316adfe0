"""What a script says, while it says it: marker, lines, and the parts that an error shows."""

import re
from collections.abc import Callable
from signal import Signals

from quorate.core import CommandFailed
from quorate.render.bootstrap import ASK, MARK

TAIL = 64 * 1024
"""Bytes of stdout and of stderr that an error keeps: enough for evidence, too little to fill a terminal."""

NOISE = 64 * 1024
"""Bytes before the marker that are kept, to say what a login shell answered instead."""

TIMED_OUT = 124
"""Exit code of a script that was ended for time, as of timeout(1)."""


_PROMPT = re.compile(re.escape(ASK).encode() + rb"|assword[^\n:]*: ")
"""Our own prompt, or that of a sudo (or PAM module) that does not let itself be told one."""


def text(data: bytes) -> str:
    """Bytes for eyes: what is not UTF-8 shows as U+FFFD."""
    return data.decode("utf-8", "replace")


class Output:
    """Collects stdout and stderr of one script.

    `pid` is known when the bootstrap spoke; stdout before that is noise. Lines go to `on_line` at once; what
    that raises is kept in `broken` for the caller to raise.
    """

    def __init__(self, on_line: Callable[[str], None] | None = None) -> None:
        self.pid: int | None = None
        self.noise = b""
        self.broken: Exception | None = None
        self._on_line = on_line
        self._chunks: list[bytes] = []
        self._line = bytearray()
        self._err = bytearray()

    @property
    def prompts(self) -> int:
        """How often sudo asked."""
        return len(_PROMPT.findall(self._err))

    def out(self, data: bytes) -> None:
        """Take a piece of stdout."""
        if self.pid is None:
            self.noise += data
            at = self.noise.find(MARK)
            if at < 0:
                self.noise = self.noise[-NOISE:]
                return
            pid, newline, data = self.noise[at + len(MARK) :].partition(b"\n")
            if not newline:
                return
            self.pid = int(pid)
            self.noise = self.noise[:at]
        if data:
            self._chunks.append(data)
            if self._on_line is not None:
                self._tell(data)

    def err(self, data: bytes) -> None:
        """Take a piece of stderr; only its end is kept."""
        self._err += data
        if len(self._err) > 2 * TAIL:
            del self._err[:-TAIL]

    def end(self) -> None:
        """Tell the last line, if it has no newline."""
        if self._line and self._on_line is not None:
            self._tell(b"\n")

    def content(self) -> bytes:
        """All of stdout."""
        return b"".join(self._chunks)

    def stdout(self) -> str:
        """The same as text; bytes that are not UTF-8 come back with `.encode("utf-8", "surrogateescape")`."""
        return self.content().decode("utf-8", "surrogateescape")

    def stderr(self) -> str:
        """The end of stderr, without sudo's questions."""
        return text(bytes(self._err[-TAIL:])).replace(ASK, "")

    def failed(self, host: str, code: int) -> CommandFailed:
        """The error for a script that ended with `code`; over 128 it was a signal, as shells count."""
        message = "command failed"
        if code > 128:
            try:
                message = f"command ended by {Signals(code - 128).name}"
            except ValueError:
                message = "command failed"
        return self.error(host, code, message)

    def timed_out(self, host: str, seconds: float) -> CommandFailed:
        """The error for a script that took too long."""
        hint = "What it started may go on; run quorate again to look and go on."
        return self.error(host, TIMED_OUT, f"no end within {seconds:g} s, stopped", hint)

    def error(self, host: str, code: int, message: str, hint: str = "") -> CommandFailed:
        """A `CommandFailed` with the evidence so far."""
        tail = b"".join(self._chunks)[-TAIL:]
        return CommandFailed(message, hint, host=host, code=code, stdout=text(tail), stderr=self.stderr())

    def _tell(self, data: bytes) -> None:
        self._line += data
        *lines, rest = self._line.split(b"\n")
        self._line = bytearray(rest)
        for line in lines:
            if self.broken is not None or self._on_line is None:
                return
            try:
                self._on_line(text(bytes(line)))
            except Exception as error:
                self.broken = error
