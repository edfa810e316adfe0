"""Errors at the front door: one line, one hint, one exit code; JSON for programs; a traceback only for bugs."""

import errno
import json
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

from quorate.core import QuorateError, SpecError
from quorate.plan.words import clean
from quorate.spec.logins import without_logins

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
BUG = 70
"""Exit code of a bug: EX_SOFTWARE of sysexits.h."""
_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE)
"""Faults of this machine that may come without the name of a file."""


def as_dict(error: QuorateError) -> dict[str, Any]:
    """Plain data for JSON."""
    problems = error.problems if isinstance(error, SpecError) else []
    message = error.message if isinstance(error, SpecError) else str(error)
    return {
        "error": {
            "class": type(error).__name__,
            "message": clean(message),
            "hint": clean(error.hint),
            "exit_code": error.exit_code,
            "problems": [vars(problem) for problem in problems],
        }
    }


def from_os_error(error: OSError) -> QuorateError | None:
    """What a file or the disk of this machine refuses, in our words; None for what can't come from there.

    Places that know more say more; this is for all the others.
    """
    if error.errno is None or not (error.filename or error.errno in _DISK_ERRNOS):
        return None
    path = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    where = f"{path}: " if path else ""
    return QuorateError(
        f"{where}can't be used: {os.strerror(error.errno)}",
        "look at the disk, its owner and its rights, then run the same command again",
    )


def print_error(error: QuorateError, *, as_json: bool) -> int:
    """Print an error; returns its exit code, also where nobody can be told."""
    if as_json and _print_line(as_dict(error)):
        return error.exit_code
    hint = f"\nhint: {clean(error.hint)}" if error.hint else ""
    with suppress(OSError):  # who does not hear has the exit code
        print(f"error: {clean(str(error))}{hint}", file=sys.stderr, flush=True)
    return error.exit_code


def _print_line(data: dict[str, Any]) -> bool:
    """Print data as a line of JSON; whether that went well."""
    try:
        print(without_logins(json.dumps(data)), flush=True)
    except OSError:
        return False
    return True


def print_bug(error: BaseException, *, as_json: bool) -> int:
    """Print a bug's traceback: source lines, never values of variables."""
    if as_json:
        error_data = {"class": type(error).__name__, "message": "a bug in quorate", "hint": "", "exit_code": BUG}
        _print_line({"error": {**error_data, "problems": []}})
    with suppress(OSError):
        _print_traceback(error)
    return BUG


def _print_traceback(error: BaseException) -> None:
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
    print("".join(frames), file=sys.stderr, end="")
    print(f"{type(error).__name__}: {clean(str(error))}", file=sys.stderr)
    print("This is a bug in quorate. Please report it with the lines above; no secret is in them.", file=sys.stderr)
