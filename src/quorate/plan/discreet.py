"""What hosts say, without secrets: a host that echoes what it was sent must not tell a key to terminal and journal."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from quorate.spec.logins import HIDDEN, without_logins

SHORTEST = 16
"""Letters in a row that count: a line of a PEM has 64, the key of EncryptionConfiguration 43, words have fewer."""
STRIDE = 8
"""Every so many letters a piece of a secret is looked for, so nothing of SHORTEST + STRIDE letters gets through."""
_RUN = re.compile(rf"[A-Za-z0-9+/]{{{SHORTEST},}}")


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text without logins in URLs, and without runs of letters that have a piece of a secret: as is, base64 or hex.

    It is meant for errors, which are few and seldom have such a run at all.
    """
    text = without_logins(text)
    if not _RUN.search(text):
        return text
    pieces = _pieces(tuple(secrets))

    def shown(run: re.Match[str]) -> str:
        starts = range(len(run[0]) - SHORTEST + 1)
        return HIDDEN if any(run[0][start : start + SHORTEST] in pieces for start in starts) else run[0]

    return _RUN.sub(shown, text)


@lru_cache(maxsize=1)
def _pieces(secrets: tuple[str, ...]) -> frozenset[str]:
    """Pieces of every form of the secrets; kept for the next step of the same host, whose secrets are the same."""
    forms = {form for secret in secrets for content in _within(secret) for form in _forms(content)}
    starts = ((form, start) for form in forms for start in range(0, len(form) - SHORTEST + 1, STRIDE))
    return frozenset(form[start : start + SHORTEST] for form, start in starts)


def _within(secret: str) -> Iterator[str]:
    """The secret, and what is in it as base64: the PEM of a kubeconfig."""
    yield secret
    for run in _RUN.findall(secret):
        try:
            inner = base64.b64decode(run + "=" * (-len(run) % 4), validate=True)
            yield inner.decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue


def _forms(content: str) -> Iterator[str]:
    raw = content.encode()
    yield from (content, raw.hex(), raw.hex().upper())
    # Within something larger, base64 may begin at any of three places.
    yield from (base64.b64encode(b"\0" * shift + raw).decode() for shift in range(3))
