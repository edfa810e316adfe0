"""What the user sets beside what quorate sets: single values replace ours, lists and maps are joined with them."""

from collections.abc import Mapping

_DEFAULTS = {
    # A list of one's own replaces the program's, and health is asked without a certificate.
    "authorization-always-allow-paths": "/healthz,/readyz,/livez",
}
_LISTS = frozenset({"authorization-always-allow-paths", "enable-admission-plugins"})
"""Flags whose lists only grow: ours is part of the protection."""


def flags(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """All flags, in the order in which they are written."""
    joined = dict(ours)
    for name, value in theirs.items():
        given = joined.get(name, _DEFAULTS.get(name, ""))
        joined[name] = ",".join(dict.fromkeys([*_items(given), *_items(value)])) if name in _LISTS else value
    return joined


def fields(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    """All fields of a configuration; of a map, such as `evictionHard`, theirs beside those of ours not named there."""
    joined = dict(ours)
    for name, value in theirs.items():
        given = joined.get(name)
        joined[name] = {**given, **value} if isinstance(given, dict) and isinstance(value, dict) else value
    return joined


def _items(text: str) -> list[str]:
    return [item for each in text.split(",") if (item := each.strip())]
