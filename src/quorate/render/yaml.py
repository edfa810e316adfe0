"""YAML that every reader takes for the same values: whatever could be more than text is quoted.

Kubernetes reads YAML 1.1 in parts (`on`, `y`, `0777`, `1:30` are no strings there) and 1.2 in others, and
libraries write for one of them. Here a string is bare only when it can't be anything else in either.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(:[A-Za-z0-9_./@-]+)*")
_OTHER = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])
_LITERAL = re.compile(r"[!-~][ -~]*\n(( *[!-~][ -~]*)?\n)*")
"""Text that a literal block carries as it is: printable ASCII, first line not indented, no line of blanks."""
_KEY_MAX = 1000
"""Longest key in columns; parsers look only 1024 characters ahead for its colon."""
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def _escape(char: str) -> str:
    """One character inside double quotes."""
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0x20 <= code < 0x7F:
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _string(text: str) -> str:
    """A string on one line."""
    text.encode()
    if _BARE.fullmatch(text) and text.lower() not in _OTHER:
        return str(text)
    return '"' + "".join(map(_escape, text)) + '"'


def _scalar(value: object) -> str:
    """A value on one line. Raises ValueError for what YAML and JSON do not share."""
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        text = repr(float(value))
        return text if "." in text else text.replace("e", ".0e")
    if isinstance(value, Mapping | list | tuple) and not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    raise ValueError(f"not a YAML value: {value!r}")


def _block(value: object) -> list[str] | None:
    """The lines of a value that needs its own lines, not indented; None for one that fits behind its key."""
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _entry(key, item)]
    if isinstance(value, list | tuple) and value:
        return [line for item in value for line in _item(item)]
    return None


def _literal(value: object) -> list[str] | None:
    """The lines of a text that can stand in a literal block."""
    if isinstance(value, str) and _LITERAL.fullmatch(value) and not value.endswith("\n\n"):
        return value.splitlines()
    return None


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _entry(key: object, value: object) -> list[str]:
    """A key with its value."""
    if not isinstance(key, str) or len(name := _string(key)) > _KEY_MAX:
        raise ValueError(f"not a YAML key: {key!r}")
    if (text := _literal(value)) is not None:
        return [f"{name}: |", *_indented(text)]
    if (lines := _block(value)) is None:
        return [f"{name}: {_scalar(value)}"]
    return [f"{name}:", *(_indented(lines) if isinstance(value, Mapping) else lines)]


def _item(value: object) -> list[str]:
    """One item of a sequence."""
    if (text := _literal(value)) is not None:
        return ["- |", *_indented(text)]
    lines = _block(value) or [_scalar(value)]
    return [f"- {lines[0]}", *_indented(lines[1:])]


def dump(value: object) -> str:
    """One document: mappings in their own order, lists, strings, numbers, booleans, None.

    Raises ValueError for anything else, for keys that are no strings, and for NaN and infinity.
    """
    if (text := _literal(value)) is not None:
        return "\n".join(["|", *_indented(text), ""])
    return "\n".join([*(_block(value) or [_scalar(value)]), ""])


def dump_all(values: Sequence[object]) -> str:
    """Several documents, separated by `---`."""
    return "---\n".join(map(dump, values))
