"""Before a restore: whether a backup is one of this cluster and can be read with its keys, and may be restored now."""

import gzip
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex

from quorate.backup import keys
from quorate.backup.archive import OpenedSet
from quorate.backup.keys import Compared
from quorate.backup.manifest import Manifest
from quorate.backup.preview import Live
from quorate.core import Blob, PlanError
from quorate.operation.stage import Refusal
from quorate.spec.cluster import Cluster
from quorate.spec.restoring import Restoration
from quorate.state.store import Store

TRAILER = 32
"""Bytes at the end of a snapshot: the SHA-256 of all before it, which is a multiple of 512 long."""


def refusals(opened: OpenedSet, cluster: Cluster, found: Compared) -> Iterator[Refusal]:
    """Why a backup can't be restored on this cluster with the keys that there are."""
    told, name = opened.manifest, opened.whole.name
    if told.cluster != cluster.name:
        yield Refusal(f"{name} is a backup of the cluster {told.cluster}, and not of {cluster.name}", "name another")
    else:
        yield from keys.refusals(opened, cluster, found)


def check(opened: OpenedSet, cluster: Cluster, store: Store) -> Compared:
    """Its keys beside those of the cluster. Raises PlanError with every refusal; nothing is changed then."""
    compared = keys.compared(opened, store)
    if found := list(refusals(opened, cluster, compared)):
        told = "\n".join(["refused, for the cluster's sake:", *(f"  {each}" for each in found)])
        raise PlanError(told, "nothing was changed")
    return compared


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


def versions(restoring: Restoration, running: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """What goes back with the data, and what of another version stays; `wanted` is what the cluster file asks for."""
    then = restoring.versions
    back = [
        f"{part} {now} -> {then[part]}" for part, now in running.items() if now != wanted.get(part) == then.get(part)
    ]
    stays = [f"{part} {now} (then {then[part]})" for part, now in wanted.items() if now != then.get(part, now)]
    if back:
        yield f"versions go back with it, on all hosts: {', '.join(back)}"
    if stays:
        yield f"stays as it is, of another version than then: {', '.join(stays)}"
