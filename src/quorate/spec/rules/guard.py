"""What a flag or field may be set to: small judges of one value, as the program would read it."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from quorate.spec.flag_text import duration, items, pairs, truth
from quorate.spec.tls import HTTP2_SUITES, STRONG_SUITES

_TOPS = ("com", "dev", "example", "io", "net", "org")
_STRANGERS = tuple(
    f"{scheme}://{host}"
    for scheme in ("http", "https")
    for host in ("stranger", "203.0.113.9:8443", *(f"a.stranger.{top}" for top in _TOPS))
)
"""Origins that no operator means."""


@dataclass(frozen=True)
class Guard:
    """Which values leave a protection as it is."""

    allows: Callable[[str], bool]
    """A list or a map is given as the flag would have it: joined by commas."""
    why: str
    """What another value takes away, as the end of a sentence."""
    fix: str = "remove it"


def on(why: str) -> Guard:
    """Only true."""
    return Guard(lambda value: truth(value) is True, why)


def off(why: str) -> Guard:
    """Only false."""
    return Guard(lambda value: truth(value) is False, why)


def one_of(values: Collection[str], why: str) -> Guard:
    """One of these values; the fix names them."""
    return Guard(values.__contains__, why, f"write {' or '.join(values)}, or remove it")


def within(values: Collection[str], why: str) -> Guard:
    """A list of nothing but these."""
    return Guard(lambda value: set(items(value)) <= set(values), why)


def at_most(seconds: int, why: str) -> Guard:
    """A duration up to this one."""
    return Guard(lambda value: (given := duration(value)) is not None and given <= seconds, why, f"write {seconds}s")


def at_least(number: int, why: str) -> Guard:
    """A whole number from this one on."""
    return Guard(lambda value: value.isdecimal() and int(value) >= number, why, f"write '{number}'")


def lasting(why: str) -> Guard:
    """A duration other than 0, which would mean for ever, or never."""
    return Guard(lambda value: bool(duration(value)), why)


def suites(value: str) -> bool:
    """Whether all suites are strong, and one is there without which no server with HTTP/2 starts."""
    given = set(items(value))
    return given <= STRONG_SUITES and bool(given & set(HTTP2_SUITES))


def quiet(most: int) -> Callable[[str], bool]:
    """Whether log levels, `4` or those of `--vmodule` as `file=4,other=2`, are at most this one."""

    def judge(value: str) -> bool:
        levels = [item.rpartition("=")[2] for item in items(value)]
        return all(level.isdecimal() and int(level) <= most for level in levels)

    return judge


def no_stranger(value: str) -> bool:
    """Whether none of the patterns of origins fits just any: they are regular expressions, and must fit a host's name
    from its begin to its end. What Go reads otherwise than Python (`[[:alnum:]]`) is no good.
    """
    try:
        return all(
            (pattern.startswith("^") or "//" in pattern)
            and pattern.endswith(("$", ":", "(:|$)"))
            and "[[" not in pattern
            and not any(re.search(pattern, stranger) for stranger in _STRANGERS)
            for pattern in items(value)
        )
    except re.error:
        return False


def keeps(names: Collection[str]) -> Callable[[str], bool]:
    """Whether a list of controllers, such as `*,-ttl`, leaves these running."""

    def judge(value: str) -> bool:
        given = items(value)
        return "*" in given and not any(f"-{name}" in given for name in names)

    return judge


def serves(names: Collection[str]) -> Callable[[str], bool]:
    """Whether `--runtime-config` leaves these APIs, and all resources in them, as they are."""

    def judge(value: str) -> bool:
        gone = [name for _, name, wish in pairs(value) if truth(wish) is False]
        return not any(f"{each}/".startswith(f"{name}/") for each in gone for name in names)

    return judge
