"""Events as JSON, one line each: for programs, and for the journal."""

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TextIO

from quorate.core import Key
from quorate.plan.words import clean
from quorate.report.event import Emit, Ended, Event


def as_dict(event: Event) -> dict[str, Any]:
    """Plain data: `event` names its class (`step-done`), keys are host, kind and name."""
    said: dict[str, Any] = {"event": re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()}
    for field in fields(event):
        value = getattr(event, field.name)
        name = field.name.rstrip("_")
        if isinstance(value, Key):
            if name == "key":
                said |= {"host": value.host, "kind": value.kind, "name": value.name}
            else:
                said[name] = str(value)
        elif isinstance(value, float):
            said[name] = round(value, 3)
        else:
            said[name] = clean(value) if isinstance(value, str) else value
    if isinstance(event, Ended):
        said["phases"] = [
            {"name": name, "from": round(first, 3), "to": round(last, 3)} for name, first, last in event.phases
        ]
        said["sent"] = dict(event.sent)
    return said


def to(stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> Emit:
    """Where events become lines; each has `at`, the seconds since this call."""
    zero = clock()

    def emit(event: Event) -> None:
        entry = {"at": round(clock() - zero, 3), **as_dict(event)}
        print(json.dumps(entry), file=stream or sys.stdout, flush=True)

    return emit
