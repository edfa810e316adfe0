"""How single values are written for people: sizes, digests, texts from hosts made harmless for a terminal."""

from typing import Final

from quorate.spec.logins import without_logins

_MASKS: Final = ("PRIVATE KEY-----", "AGE-SECRET-KEY-")


def size(count: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def many(count: int, noun: str, plural: str = "") -> str:
    """`1 host`, `2 hosts`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def short(digest: str) -> str:
    """The first digits of a digest: enough to tell two apart."""
    return digest[:12]


def clean(text: str) -> str:
    """A text from a host or a file without what could steer a terminal; lines and tabs stay.

    A private key in it is left out, and the login in a URL: whoever printed it, no output of ours carries it on.
    """
    if any(mask in text for mask in _MASKS):
        return "(holds a private key: not shown)"
    text = without_logins(text)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)


def line(text: str, limit: int = 0) -> str:
    """The same as one line, cut at `limit` characters unless that is 0."""
    flat = " ".join(clean(text).split())
    return flat if not limit or len(flat) <= limit else flat[: limit - 3] + "..."
