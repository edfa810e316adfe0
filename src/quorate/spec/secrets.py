"""Keys, certificates and random values of a cluster, as a frozen value that never shows its content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

ENCRYPTION_KEY = "encryption-key"
"""32 random bytes as base64: the key with which Secret objects lie in etcd."""
ETCD_TOKEN = "etcd-token"
"""Token of the etcd cluster: keeps members of two clusters apart; not secret."""


def digest(content: bytes) -> str:
    """SHA-256 in hex: what may be shown of a secret."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Secrets:
    """What must be made once and kept: PEM by id, random text by name.

    Ids of PEM end in `.crt`, `.key` or `.pub`: `ca.crt`, `sa.key`, `apiserver@master01.crt`.
    Lookups raise KeyError that names the id, never a content.
    """

    pems: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    random: Mapping[str, str] = field(default_factory=dict, repr=False)

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

    def digest(self, id: str) -> str:
        """Digest of the PEM of that id."""
        return digest(self.pems[id])


def pair_id(name: str, host: str | None = None) -> str:
    """Id of a certificate and its key: `apiserver@master01`, or the plain name when it is of no host."""
    return name if host is None else f"{name}@{host}"
