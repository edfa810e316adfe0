"""What a cluster's data are restored from: a snapshot of etcd, as values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from quorate.core import Blob
from quorate.spec.secrets import OldKeys
from quorate.spec.versions import raises_revisions, restorers

WEEK = 1_000_000_000
"""Revisions that a cluster does not write in a week, even at 1500 a second (etcd.io, "Disaster recovery")."""


@dataclass(frozen=True)
class Restoration:
    """One restore, from its first stage to its last."""

    id: str
    """Random, of this restore alone, and the token of the new etcd: with another one members of before can't take part,
    whatever addresses they have."""
    source: str
    """Name of the backup."""
    sha256: str
    """Of the snapshot, as `etcdctl snapshot save` wrote it."""
    size: int
    """Bytes of the snapshot."""
    revision: int
    """The newest in it."""
    versions: Mapping[str, str]
    """Version of each part of the cluster that it was taken from."""
    tool: str = ""
    """The program that makes data of it: `etcdctl` or `etcdutl`."""
    bump: int = 0
    """By how much revisions are raised, so that nobody takes what he saw before for newer; 0 where the tool can't."""
    nodes: tuple[str, ...] = ()
    """Nodes that are in the snapshot, and of no host any more."""
    clone: bool = False
    """The copy shall not act as the original: its API servers call no webhooks until nodes come."""
    given_up: bool = False
    """It is not gone on with: what it has begun is taken back."""
    blob: Blob | None = None
    """The snapshot itself, as long as it is here."""
    old_keys: OldKeys | None = field(default=None, repr=False)
    """Keys of that time which the cluster has no more; None once the state folder has them."""

    def noted(self) -> "Restoration":
        """The same, without what lies elsewhere or is secret."""
        return replace(self, blob=None, old_keys=None)

    def by(self, etcd: str, programs: Collection[str]) -> "Restoration":
        """The same, done with the programs of an etcd; raising revisions where they can."""
        tool = next((name for name in restorers(etcd) if name in programs), restorers(etcd)[0])
        return replace(self, tool=tool, bump=WEEK if raises_revisions(etcd) else 0)
