"""Errors at the front door: one line, one hint, one exit code; JSON for programs; a traceback only for bugs."""

import json
import sys
import traceback
from typing import Any

from quorate.core import QuorateError, SpecError
from quorate.plan.words import clean

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
BUG = 70
"""Exit code of a bug: EX_SOFTWARE of sysexits.h."""


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


def tell(error: QuorateError, *, as_json: bool) -> int:
    """Print an error; returns its exit code."""
    if as_json:
        print(json.dumps(as_dict(error)), flush=True)
        return error.exit_code
    text = clean(str(error))
    print(f"error: {text}", file=sys.stderr)
    if error.hint:
        print(f"hint: {clean(error.hint)}", file=sys.stderr)
    return error.exit_code


def bug(error: BaseException, *, as_json: bool) -> int:
    """Print a bug's traceback: source lines, never values of variables."""
    if as_json:
        said = {"class": type(error).__name__, "message": "a bug in quorate", "hint": "", "exit_code": BUG}
        print(json.dumps({"error": {**said, "problems": []}}), flush=True)
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
    print("".join(frames), file=sys.stderr, end="")
    print(f"{type(error).__name__}: {clean(str(error))}", file=sys.stderr)
    print("This is a bug in quorate. Please report it with the lines above; no secret is in them.", file=sys.stderr)
    return BUG
