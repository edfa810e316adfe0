"""What was proved of a backup, in a file beside it: `NAME.proof.json`, bound to the set by its digest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from quorate.backup.manifest import Fields, Manifest
from quorate.core import QuorateError

SUFFIX = ".proof.json"
HERE = "here"
LEVELS = {0: "not proved", 1: "restored and counted", 2: "read through an API server with its keys"}


@dataclass(frozen=True)
class Proof:
    """How far a set was proved, and what was seen."""

    set: str
    """SHA-256 of the set's SHA256SUMS."""
    level: int
    at: str
    where: str
    """A host, or `here`."""
    evidence: Mapping[str, int]

    def to_json(self) -> bytes:
        """As it lies beside the set."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, what: str) -> "Proof":
        """Read one. Raises QuorateError that names what is wrong."""
        try:
            told = Fields(json.loads(content), what, "proof")
        except (ValueError, RecursionError):
            raise QuorateError(f"{what}: is no JSON", "prove it again: `quorate backup prove`") from None
        return cls(
            told.text("set"), told.number("level"), told.time("at"), told.text("where"), told.numbers("evidence")
        )


def now() -> str:
    """This moment, as proofs and manifests tell it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_host(manifest: Manifest, digest: str) -> Proof | None:
    """What the host has proved before the set was sealed; None when it has not."""
    if manifest.proved is None:
        return None
    etcd = manifest.etcd
    seen = {"revision": etcd.revision, "keys": sum(etcd.keys.values()), "hash": etcd.hash}
    return Proof(digest, manifest.proved.level, manifest.proved.at, manifest.host, seen)
