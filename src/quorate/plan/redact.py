"""Texts that leave the operator's hands, without secrets: those that are known, and those that look like one.

Rather one word too many is hidden than one too few: what a reader of logs misses can be asked for.
"""

import base64
import binascii
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

from quorate.plan.discreet import hide
from quorate.spec.logins import HIDDEN

SHORTEST = 6
"""Letters of a known secret that is hidden wherever it stands; shorter ones would hide half of every log."""

_PEM = "PRIVATE KEY-----"
_HARMLESS = re.compile(r"true|false|null|none|yes|no|[~0-9.]+[smh]?", re.IGNORECASE)
"""What is said of a secret and is none: whether there is one, how long it is valid."""
_NAMES = (
    "passw(?:or)?d|passwd|passphrase|tokens?|secrets?|credentials?|api[-_]?key|access[-_]?key|key-data|auth[-_]?pass"
)
_SAID = rf"(?:{_NAMES}|(?<![\w-])auth)\\*[\"']?\s*[:=]\s*\\*[\"']?|--[\w-]*(?:{_NAMES})\s+[\"']?"
"""What stands before it: the name with a colon or `=`, or an option of a command."""
_NAMED = re.compile(rf"({_SAID})((?:bearer |basic )?[^\s\"',;}}\]]+)", re.IGNORECASE)
_LOOKS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # A private key of whoever's, also with the time of a journal before each line; one without its end to the last.
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        (r"AGE-SECRET-KEY-1[A-Z0-9]+", re.IGNORECASE),
        # JSON web tokens, as service accounts have.
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", 0),
        # Tokens by which nodes join.
        (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", 0),
        (r"(?:authorization\W{1,6}(?:bearer|basic)|bearer) [A-Za-z0-9+/=._-]{8,}", re.IGNORECASE),
    )
)


class Redactor:
    """Hides secrets in texts, and counts how many were hidden."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(dict.fromkeys(each for each in secrets if each))
        forms = {form for each in self._secrets for form in _forms(each.strip()) if len(form) >= SHORTEST}
        # The longest first: a password is a piece of its login.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self.hidden = 0

    def clean(self, text: str) -> str:
        """The text without secrets."""
        before = text.count(HIDDEN)
        for pattern in _LOOKS:
            text = pattern.sub(HIDDEN, text)
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        text = hide(_NAMED.sub(_value, text), self._secrets)
        self.hidden += text.count(HIDDEN) - before
        return text


def _value(found: re.Match[str]) -> str:
    return found[0] if _HARMLESS.fullmatch(found[2]) or found[2] == HIDDEN else f"{found[1]}{HIDDEN}"


def _forms(secret: str) -> Iterator[str]:
    """The ways in which programs print what they were given, as far as `hide` does not know them: it looks for long
    runs of letters and digits, which passwords are not, and not for the bytes within a PEM.
    """
    if _PEM not in secret:
        raw = secret.encode()
        yield from (secret, base64.b64encode(raw).decode(), raw.hex(), raw.hex().upper())
        yield from _escaped(secret)
        return
    lines = secret.splitlines()[1:-1]
    yield from lines[-1:]
    with suppress(binascii.Error):
        within = base64.b64decode("".join(lines)).hex()
        yield from (within, within.upper())


def _escaped(secret: str) -> Iterator[str]:
    """A password with more than letters and digits, as it stands in URLs, units, scripts, JSON, TOML and logs."""
    for url in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (url, url.replace("%", "%%"), url.lower())
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield shlex.quote(secret).strip("'")
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    yield "".join(chr(each) if 32 <= each < 127 else f"\\{each:03o}" for each in quoted.encode())
