"""The secrets of a cluster in every form in which they could be found, and the search for them in a text."""

import base64
from collections.abc import Mapping
from pathlib import Path

Secrets = Mapping[str, tuple[bytes, ...]]
"""By id, the forms in which each would be found; none has a line break."""

PUBLIC = {"etcd-token"}


def pem(content: bytes) -> tuple[bytes, ...]:
    """A private key: each of its lines, and the whole in base64 and hex."""
    body = content.splitlines()[1:-1]
    der = base64.b64decode(b"".join(body))
    return *body, base64.b64encode(content), base64.b64encode(der), content.hex().encode(), der.hex().encode()


def openssh(content: bytes) -> tuple[bytes, ...]:
    """A key of OpenSSH's own format: the first line is the same in all of them."""
    return pem(content)[1:]


def plain(content: bytes) -> tuple[bytes, ...]:
    """A text."""
    text = content.strip()
    return text, base64.b64encode(text), text.hex().encode()


def of_state(state: Path) -> dict[str, tuple[bytes, ...]]:
    """Every secret of a state folder: private keys, random values, the key of its copies."""
    found = {}
    for path in (*state.glob("pki/*.key"), *state.glob("retired/*.key")):
        found[path.name] = pem(path.read_bytes())
    for path in (*state.glob("random/*"), *state.glob("copy/identity")):
        if path.name not in PUBLIC:
            found[path.name] = plain(path.read_bytes().splitlines()[-1])
    return without_public(found, state)


def without_public(found: Secrets, state: Path) -> dict[str, tuple[bytes, ...]]:
    """The same without the end of elliptic keys: their public half, which stands in their certificates just so."""
    public = b"".join(path.read_bytes() for path in state.glob("pki/*") if path.suffix in (".crt", ".pub"))
    return {name: tuple(form for form in forms if form not in public) for name, forms in found.items()}


def within(text: bytes, known: Secrets) -> list[str]:
    """The ids of those that are in a text."""
    return [name for name, forms in known.items() if any(form in text for form in forms)]
