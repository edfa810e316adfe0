"""Keys, certificates and random values of a cluster, as a frozen value that never shows its content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

ENCRYPTION_KEY = "encryption-key"
"""32 random bytes as base64: the key with which Secret objects are written to etcd."""
ENCRYPTION_KEY_NAME = "key1"
"""The name of that key: it stands in etcd before all that was encrypted with it."""
ETCD_TOKEN = "etcd-token"
"""Token of the etcd cluster: keeps members of two clusters apart; not secret."""


def digest(content: bytes) -> str:
    """SHA-256 in hex: what may be shown of a secret."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class EncryptionKey:
    """A key of Secret objects, by the name under which they lie in etcd."""

    name: str
    secret: str = field(repr=False)
    """32 bytes as base64."""


@dataclass(frozen=True)
class OldKeys:
    """Keys of before: what was encrypted with them is still read, and tokens that they signed are still believed."""

    encryption: tuple[EncryptionKey, ...] = ()
    service_accounts: tuple[bytes, ...] = ()
    """Public keys, as PEM."""


@dataclass(frozen=True)
class Secrets:
    """What must be made once and kept: PEM by id, random text by name.

    Ids of PEM end in `.crt`, `.key` or `.pub`: `ca.crt`, `sa.key`, `apiserver@master01.crt`. `sa.pub` has every key
    whose tokens are believed, that of `sa.key` first.
    Lookups raise KeyError that names the id, never a content.
    """

    pems: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    random: Mapping[str, str] = field(default_factory=dict, repr=False)
    old_encryption: tuple[EncryptionKey, ...] = ()
    """Keys with which Secrets are read and not written."""

    def __repr__(self) -> str:
        return f"Secrets(<{len(self.pems)} PEM>, <{len(self.random)} random>)"

    def pem(self, id: str) -> bytes:
        """The PEM of that id."""
        return self.pems[id]

    def text(self, id: str) -> str:
        """The PEM of that id as text."""
        return self.pems[id].decode("ascii")

    def cert(self, name: str, host: str | None = None) -> bytes:
        """A certificate, such as `cert("apiserver", "master01")` or `cert("ca")`."""
        return self.pems[f"{pair_id(name, host)}.crt"]

    def key(self, name: str, host: str | None = None) -> bytes:
        """The private key of a certificate."""
        return self.pems[f"{pair_id(name, host)}.key"]

    @property
    def encryption_keys(self) -> tuple[EncryptionKey, ...]:
        """The keys of Secret objects, the one that writes first."""
        return (EncryptionKey(ENCRYPTION_KEY_NAME, self.random[ENCRYPTION_KEY]), *self.old_encryption)

    def digest(self, id: str) -> str:
        """Digest of the PEM of that id."""
        return digest(self.pems[id])


def pair_id(name: str, host: str | None = None) -> str:
    """Id of a certificate and its key: `apiserver@master01`, or the plain name when it is of no host."""
    return name if host is None else f"{name}@{host}"
