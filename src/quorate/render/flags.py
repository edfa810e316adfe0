"""Command line flags of the Kubernetes daemons and etcd."""

import re
from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Scalar = str | int | bool
Flag = Scalar | Sequence[str] | Mapping[str, Scalar] | None
"""A sequence is joined by commas, a mapping becomes `k=v` pairs so joined; None leaves the flag out."""


def _text(value: Scalar) -> str:
    """A value as Go's flag parsers read it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _part(text: str) -> str:
    """One element of a list. Raises ValueError for what the list would split."""
    if "," in text:
        raise ValueError(f"a comma separates values of a flag: {text!r}")
    return text


def flags(*given: Mapping[str, Flag]) -> list[str]:
    """`["--name=value", ...]`, in order of first mention; a later mapping overrides an earlier one.

    Raises ValueError for names that are no flags, for commas within list elements, and for NUL.
    """
    merged: dict[str, Flag] = {}
    for mapping in given:
        merged.update(mapping)
    lines = []
    for name, value in merged.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a flag name: {name!r}")
        if value is None:
            continue
        if isinstance(value, str | int):
            text = _text(value)
        elif isinstance(value, Mapping):
            text = ",".join(_part(f"{key}={_text(item)}") for key, item in value.items())
        else:
            text = ",".join(_part(item) for item in value)
        if "\0" in text:
            raise ValueError(f"NUL in --{name}")
        lines.append(f"--{name}={text}")
    return lines
