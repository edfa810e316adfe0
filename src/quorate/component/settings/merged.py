"""What the user sets beside what quorate sets: single values replace ours, lists and maps are joined with them."""

from collections.abc import Mapping

from quorate.spec.flag_text import items

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
        joined[name] = ",".join(dict.fromkeys([*items(given), *items(value)])) if name in _LISTS else value
    return joined


def fields(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    """All fields of a configuration; of a map, such as `evictionHard`, theirs beside those of ours not named there.

    Null is not given, as Kubernetes reads it: else the program's default would take the place of ours.
    """
    joined = dict(ours)
    for name, value in theirs.items():
        given = joined.get(name)
        if isinstance(value, Mapping):
            joined[name] = fields(given if isinstance(given, Mapping) else {}, value)
        elif value is not None:
            joined[name] = value
    return joined
