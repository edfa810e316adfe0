"""What the text of a flag says, as Go reads it: true or false, a duration, a list, a map."""

import re

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
"""What Go's strconv.ParseBool reads."""
_STEP = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def truth(text: str) -> bool | None:
    """What Go reads: `T`, `True` and `1` are true as well; None for what is neither."""
    return True if text in _TRUE else False if text in _FALSE else None


def duration(value: str) -> float | None:
    """Seconds of a duration as Go writes it; None for anything else."""
    if value in ("0", "+0", "-0"):
        return 0
    text = value.removeprefix("+")
    steps = _STEP.findall(text)
    return sum(float(n) * _SECONDS[unit] for n, unit in steps) if "".join(map("".join, steps)) == text != "" else None


def items(value: str) -> list[str]:
    """The items of a list that is one text."""
    return [item for each in value.split(",") if (item := each.strip())]


def pairs(value: str) -> list[tuple[str, str, str]]:
    """The items of a map that is one text, such as `AllBeta=true`, each with its name and value; Go trims both."""
    return [(item, name.strip(), wish.strip()) for item in items(value) for name, _, wish in [item.partition("=")]]
