"""Whether a configuration has only fields that exist, each with a value of its type."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_INTEGER = re.compile(r"u?int(8|16|32|64)?")
_DURATION = re.compile(r"[-+]?0|[-+]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+")
"""What Go's time.ParseDuration reads."""
_QUANTITY = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Misfit:
    """One thing that does not fit."""

    where: tuple[str | int, ...]
    """Keys and indices from the top of the configuration."""
    field: str = ""
    """`Type.field` that does not exist; empty when the value has another type than the field."""
    wanted: str = ""
    """What the value must be, in words."""


def misfits(value: object, kind: str, types: Mapping[str, str], where: tuple[str | int, ...] = ()) -> Iterator[Misfit]:
    """What in a configuration has no field, or not its type; `types` has the type of each `Type.field`.

    Null is fine everywhere: Kubernetes reads it as absent.
    """
    if value is None:
        return
    if any(key.startswith(f"{kind}.") for key in types):
        if not isinstance(value, dict):
            yield Misfit(where, wanted="fields with values")
            return
        for name, inner in value.items():
            field = f"{kind}.{name}"
            if field in types:
                yield from misfits(inner, types[field], types, (*where, name))
            else:
                yield Misfit((*where, name), field)
    elif kind.startswith("[]"):
        if not isinstance(value, list):
            yield Misfit(where, wanted="a list")
            return
        for index, item in enumerate(value):
            yield from misfits(item, kind[2:], types, (*where, index))
    elif kind.startswith("map["):
        if not isinstance(value, dict):
            yield Misfit(where, wanted="fields with values")
            return
        for name, inner in value.items():
            yield from misfits(inner, kind.partition("]")[2], types, (*where, name))
    elif wanted := _wanted(value, kind):
        yield Misfit(where, wanted=wanted)


def _wanted(value: object, kind: str) -> str:
    """What a single value must be instead; empty when it is that, or when nobody knows."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "bool":
        return "" if isinstance(value, bool) else "true or false"
    if kind == "string":
        return "" if isinstance(value, str) else "text, in quotes"
    if _INTEGER.fullmatch(kind):
        return "" if number and isinstance(value, int) else "a whole number"
    if kind.startswith("float"):
        return "" if number else "a number"
    if kind == "Duration":
        return "" if isinstance(value, str) and _DURATION.fullmatch(value) else "a duration such as 10s or 1h30m"
    if kind == "Quantity":
        fits = number or (isinstance(value, str) and _QUANTITY.fullmatch(value))
        return "" if fits else "an amount such as 500m or 1Gi"
    return ""
