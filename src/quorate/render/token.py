"""Words for configuration languages without quoting: a value is plainly harmless there, or refused.

nginx, haproxy and keepalived each have their own idea of quotes, and none of them quotes everything.
Addresses, ports, names and paths need no quotes, so nothing else is let in.
"""

import re
from ipaddress import AddressValueError, IPv4Address

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")
_PATH = re.compile(r"(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")


def match(pattern: re.Pattern[str], what: str, value: str) -> str:
    """The value, if all of it matches. Raises ValueError."""
    if not pattern.fullmatch(value):
        raise ValueError(f"not a valid {what}: {value!r}")
    return value


def name(value: str) -> str:
    """A host, user or backend name. Raises ValueError."""
    return match(_NAME, "name", value)


def path(value: str) -> str:
    """An absolute path without hidden or relative parts. Raises ValueError."""
    return match(_PATH, "path", value)


def interface(value: str) -> str:
    """A network interface. Raises ValueError."""
    return match(_INTERFACE, "interface", value)


def address(value: str) -> str:
    """An IPv4 address. Raises ValueError."""
    try:
        return str(IPv4Address(value))
    except AddressValueError as error:
        raise ValueError(f"not an IPv4 address: {value!r}") from error


def number(value: int, low: int, high: int) -> int:
    """A whole number within bounds, both included. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"not a number from {low} to {high}: {value!r}")
    return value


def port(value: int) -> int:
    """A TCP port. Raises ValueError."""
    return number(value, 1, 65535)
