"""Keys of before, as files: each beside the one in use, under its name and the beginning of its digest.

`random/encryption-key.key1.1f2e3d4c` reads Secrets that were written with it, `pki/sa.5d6c7b8a.pub` verifies tokens
that its private half signed. Nothing is written or signed with any of them.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from cryptography.hazmat.primitives import serialization

from quorate.core import QuorateError
from quorate.spec.secrets import ENCRYPTION_KEY, EncryptionKey, OldKeys, digest

KEY = r"[A-Za-z0-9+/]{43}="
"""What the encryption key looks like."""
SHORT = 8
"""Digits of a digest that tell two keys of a name apart."""
_ENCRYPTION = re.compile(rf"{ENCRYPTION_KEY}\.(?P<name>[A-Za-z0-9_-]+)\.(?P<digest>[0-9a-f]{{{SHORT}}})")
_SERVICE_ACCOUNTS = re.compile(rf"sa\.(?P<digest>[0-9a-f]{{{SHORT}}})\.pub")


def files(keys: OldKeys) -> dict[str, bytes]:
    """Content by id."""
    found = {
        f"{ENCRYPTION_KEY}.{key.name}.{short(key.secret.encode())}": key.secret.encode() for key in keys.encryption
    }
    return found | {f"sa.{short(public)}.pub": public for public in keys.service_accounts}


def ids(names: Iterable[str]) -> list[str]:
    """Those of such keys, sorted."""
    return sorted(name for name in names if _ENCRYPTION.fullmatch(name) or _SERVICE_ACCOUNTS.fullmatch(name))


def read(found: Mapping[str, bytes], refuse: Callable[[str, str, str], QuorateError]) -> OldKeys:
    """The old keys among what was found. Raises what `refuse` makes of id, reason and fix, for one that is damaged."""
    encryption: list[EncryptionKey] = []
    service_accounts: list[bytes] = []
    for id in ids(found):
        content = found[id].strip()
        if key := _ENCRYPTION.fullmatch(id):
            text = content.decode("ascii", "replace")
            fits = is_key(content)
            encryption.append(EncryptionKey(key["name"], text))
        else:
            content += b"\n"
            fits = _is_public(content)
            service_accounts.append(content)
        if not fits or short(content) not in id.split("."):
            raise refuse(id, "is damaged", "put it back from a backup")
    return OldKeys(tuple(encryption), tuple(service_accounts))


def is_key(content: bytes) -> bool:
    """Whether it looks like an encryption key."""
    return re.fullmatch(KEY.encode(), content) is not None


def short(content: bytes) -> str:
    """The beginning of a digest."""
    return digest(content)[:SHORT]


def _is_public(pem: bytes) -> bool:
    try:
        serialization.load_pem_public_key(pem)
    except ValueError:
        return False
    return True
