"""TOML, as far as containerd's configuration needs it: tables and plain values."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def _char(char: str) -> str:
    """One character inside a basic string."""
    if char in '"\\':
        return f"\\{char}"
    return char if " " <= char <= "~" else f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _string(text: str) -> str:
    """A basic string. Raises ValueError when the text is not Unicode."""
    text.encode()
    return '"' + "".join(map(_char, text)) + '"'


def _key(key: object) -> str:
    """A key, quoted when it must be. Raises ValueError when it is no string."""
    if not isinstance(key, str):
        raise ValueError(f"not a TOML key: {key!r}")
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: object) -> str:
    """A value behind its key. Raises ValueError for what TOML has no word for."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise ValueError(f"not a TOML value: {value!r}")


def _tables(value: object) -> Sequence[Mapping[str, object]] | None:
    """The value as an array of tables, if it is one."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        return value
    return None


def _lines(table: Mapping[str, object], path: str) -> Iterator[str]:
    """A table's own keys, then the tables in it."""
    inner = []
    for key, value in table.items():
        name = _key(key)
        if isinstance(value, Mapping) or _tables(value):
            inner.append((f"{path}.{name}" if path else name, value))
        else:
            yield f"{name} = {_value(value)}"
    for name, value in inner:
        if isinstance(value, Mapping):
            yield from ("", f"[{name}]", *_lines(value, name))
        else:
            for item in _tables(value) or ():
                yield from ("", f"[[{name}]]", *_lines(item, name))


def dump(table: Mapping[str, object]) -> str:
    """A document. Keys keep their order, but a table's own values come before the tables in it.

    Raises ValueError for None, NaN, infinity, integers beyond 64 bits, and mappings mixed with other values
    in one list.
    """
    return "\n".join(_lines(table, "")).lstrip("\n") + "\n"
