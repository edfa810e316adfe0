"""What a cluster's data are restored from: a snapshot of etcd, as values."""

from dataclasses import dataclass

from quorate.core import Blob

WEEK = 1_000_000_000
"""Revisions that a cluster does not write in a week, even at 1500 a second (etcd.io, "Disaster recovery")."""


@dataclass(frozen=True)
class Restoration:
    """One restore, from its first stage to its last."""

    id: str
    """Random, of this restore alone, and the token of the new etcd: with another one members of before can't take part,
    whatever addresses they have."""
    source: str
    """Name of the backup set."""
    sha256: str
    """Of the snapshot, as `etcdctl snapshot save` wrote it."""
    size: int
    """Bytes of the snapshot."""
    revision: int
    """The newest in it."""
    tool: str
    """The program that makes data of it: `etcdctl` or `etcdutl`."""
    bump: int = WEEK
    """By how much revisions are raised, so that nobody takes what he saw before for newer; 0 where the tool can't."""
    nodes: tuple[str, ...] = ()
    """Nodes that are in the snapshot, and of no host any more."""
    blob: Blob | None = None
    """The snapshot itself, as long as it is here."""
