"""What a flag or field may be set to: small judges of one value, as the program would read it."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from quorate.spec.tls import HTTP2_SUITES, STRONG_SUITES

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
"""What Go's strconv.ParseBool reads."""
_STEP = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_STRANGER = "https://stranger.invalid"
"""An origin that no operator means."""


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
    return Guard(_TRUE.__contains__, why)


def off(why: str) -> Guard:
    """Only false."""
    return Guard(_FALSE.__contains__, why)


def one_of(values: Collection[str], why: str) -> Guard:
    """One of these values; the fix names them."""
    return Guard(values.__contains__, why, f"write {' or '.join(values)}, or remove it")


def within(values: Collection[str], why: str) -> Guard:
    """A list of nothing but these."""
    return Guard(lambda value: set(items(value)) <= set(values), why)


def at_most(seconds: int, why: str) -> Guard:
    """A duration up to this one."""
    return Guard(lambda value: (given := duration(value)) is not None and given <= seconds, why, f"write {seconds}s")


def lasting(why: str) -> Guard:
    """A duration other than 0, which would mean for ever."""
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
    """Whether none of the patterns of origins fits just any: they are regular expressions."""
    try:
        return not any(re.search(pattern, _STRANGER) for pattern in items(value))
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
        gone = [item.partition("=")[0] for item in items(value) if item.partition("=")[2] in _FALSE]
        return not any(f"{each}/".startswith(f"{name}/") for each in gone for name in names)

    return judge


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
