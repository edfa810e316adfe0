"""Before a restore: whether a backup is one of this cluster and can be read with its keys, and may be restored now."""

import gzip
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from quorate.backup.archive import OpenedSet
from quorate.backup.manifest import Manifest
from quorate.backup.preview import Live
from quorate.core import Blob, PlanError
from quorate.operation.stage import Refusal
from quorate.spec.cluster import Cluster
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import ENCRYPTION_KEY
from quorate.state.store import Store

TRAILER = 32
"""Bytes at the end of a snapshot: the SHA-256 of all before it, which is a multiple of 512 long."""
KEYS = {
    "pki/ca.crt": "the cluster's authority",
    "pki/etcd-ca.crt": "etcd's authority",
    "pki/front-proxy-ca.crt": "the authority of aggregated API servers",
    "pki/sa.key": "the key of service accounts",
    f"random/{ENCRYPTION_KEY}": "the key with which Secrets are encrypted",
}
"""What data and everybody who comes with a certificate or a token depend on, by its file in the state folder."""


def refusals(opened: OpenedSet, cluster: Cluster, store: Store) -> Iterator[Refusal]:
    """Why a backup can't be restored on this cluster with the keys that it has."""
    told, name = opened.manifest, opened.whole.name
    if told.cluster != cluster.name:
        yield Refusal(f"{name} is a backup of the cluster {told.cluster}, and not of {cluster.name}", "name another")
        return
    for file, what in KEYS.items():
        then = opened.bundle.entries.get(f"state/{file}")
        now = store.read(store.path / file)
        if then is None:
            yield Refusal(f"{name} lacks {what} ({file}): its data could not be used", "name another backup")
        elif now is not None and now.strip() != then.content.strip():
            yield Refusal(
                f"{what} is another one than in {name} ({file}): it is of another cluster of that name, or from before "
                "a rotation",
                f"go back to the keys of that time as well: `quorate adopt {name}.backup --into FOLDER`, and restore "
                "there",
            )


def check(opened: OpenedSet, cluster: Cluster, store: Store) -> None:
    """Raise PlanError with every refusal; nothing is changed then."""
    if found := list(refusals(opened, cluster, store)):
        told = "\n".join(["refused, for the cluster's sake:", *(f"  {each}" for each in found)])
        raise PlanError(told, "nothing was changed")


def restoration(opened: OpenedSet, then: Cluster, now: Cluster, folder: Path) -> Restoration:
    """What is restored; the snapshot is put into `folder`, which nobody else may read. `then` is the cluster of the
    backup's own file.

    Raises QuorateError for a snapshot that is not the one of the manifest, PlanError for one that is not whole.
    """
    told = opened.manifest
    plain = opened.snapshot_in(folder)
    _demand_whole(plain, opened.whole.name)
    packed = folder / "snapshot.gz"
    with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as to:
        shutil.copyfileobj(source, to, 2**20)
    plain.unlink()
    stay = {host.node for host in now.workers}
    return Restoration(
        id=token_hex(8),
        source=opened.whole.name,
        sha256=told.etcd.sha256,
        size=told.etcd.size,
        revision=told.etcd.revision,
        versions={**told.versions, "etcd": told.etcd.version, "kubernetes": told.kubernetes.removeprefix("v")},
        nodes=tuple(sorted({host.node for host in then.workers} - stay)),
        blob=Blob(packed, told.etcd.sha256, told.etcd.size),
    )


def _demand_whole(snapshot: Path, name: str) -> None:
    """Look at the trailer, as `snapshot restore` does on the hosts, before anything is sent."""
    with snapshot.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest, left = hashlib.sha256(), size - TRAILER
        while left > 0 and (piece := file.read(min(2**20, left))):
            digest.update(piece)
            left -= len(piece)
        whole = size % 512 == TRAILER and file.read() == digest.digest()
    if not whole:
        raise PlanError(f"the snapshot in {name} is not whole: its own checksum does not fit", "name another backup")


def loses(told: Manifest, name: str, now: Live, members: int) -> Refusal | None:
    """What speaks against it as long as nobody said that data shall go back; None when nothing does."""
    newer = {host: each for host, each in now.revisions.items() if each > told.etcd.revision}
    if now.led:
        return Refusal(
            f"etcd works: {len(now.revisions)} of its {members} members answer, and it has a leader. A member that is "
            "lost needs no restore",
            "`quorate apply --replace HOST` lets a new one join in its place; to take the whole cluster back to what "
            f"it was at {told.taken_at}, add --roll-back",
        )
    if newer:
        host, revision = max(newer.items(), key=lambda item: item[1])
        return Refusal(
            f"{host} has data up to revision {revision}, and {name} up to {told.etcd.revision}: what was written "
            "between would be lost",
            "`quorate backup` saves what that member has, without a quorum, too; restore that, or add --roll-back",
        )
    return None
