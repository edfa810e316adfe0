"""Standard streams that are not as we like them: an encoding without our signs, a full disk, a closed stream."""

import codecs
import io
import os
import sys
from typing import Any

ASCII_SIGNS = str.maketrans(
    {"✓": "+", "✗": "x", "…": ".", "·": ".", "•": "*", "→": ">", "←": "<", "─": "-", "│": "|", "×": "x", "–": "-"}
)
"""Each by one character, so that columns stay where they are; what is not here is a question mark."""
ERROR_HANDLER = "quorate.ascii"


def _as_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(ASCII_SIGNS)
    return "".join(char if char.isascii() else "?" for char in text), error.end


class _Stdout(io.FileIO):
    """The file behind stdout, which remembers why it could not be written."""

    fault: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.fault = error
            raise


def prepare() -> None:
    """From now on no sign that the terminal's encoding lacks is an error, and it is known why stdout fails."""
    codecs.register_error(ERROR_HANDLER, _as_ascii)
    _reopen_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERROR_HANDLER)
    if isinstance(sys.stdout, io.TextIOWrapper):
        raw = _Stdout(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors=ERROR_HANDLER, line_buffering=raw.isatty()
        )


def _reopen_closed() -> None:
    """Put something in the place of streams that came closed (`>&-`): else the next file opened would be stdout.

    Nothing is read from stdin, nobody hears stderr, and writing to stdout is an error, as it was.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        handle = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        if handle != number:
            os.dup2(handle, number)
            os.close(handle)
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors=ERROR_HANDLER, closefd=False))


def output_fault() -> OSError | None:
    """Why nothing more can be written to stdout, which is silent from then on; None when it can."""
    fault: OSError | None = None
    try:
        sys.stdout.flush()
    except OSError as error:
        fault = error
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    fault = fault or (raw.fault if isinstance(raw, _Stdout) else None)
    if fault:
        silence_stdout()
    return fault


def silence_stdout() -> None:
    """What is still to be written to stdout goes nowhere; Python must not complain again at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
