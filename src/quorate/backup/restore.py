"""Before a restore: whether a backup is one of this cluster and can be read with its keys, and what would be lost."""

import asyncio
import gzip
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from quorate.backup import keys
from quorate.backup.archive import OpenedSet
from quorate.backup.keys import Compared
from quorate.backup.manifest import Manifest
from quorate.component.membership import Ctl
from quorate.core import Blob, CommandFailed, PlanError, Transport, TransportError
from quorate.operation.stage import Refusal
from quorate.plan.words import many
from quorate.spec.cluster import Cluster, Host
from quorate.spec.restoring import Restoration
from quorate.state.store import Store

KEYS_WITHIN_S = 60.0
"""Seconds for a member to say what it has: it lists all keys."""
TRAILER = 32
"""Bytes at the end of a snapshot: the SHA-256 of all before it, which is a multiple of 512 long."""
SHOWN = 20
"""Kinds of objects whose numbers are compared one by one."""


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


@dataclass(frozen=True)
class Live:
    """What etcd has now, as far as its members tell."""

    revisions: Mapping[str, int]
    """The newest of each member that answers, by host."""
    led: bool
    """Whether there is a leader, and so a quorum."""
    keys: Mapping[str, int]
    """How many keys begin with each prefix; empty where nobody could be asked."""


async def live(cluster: Cluster, via: Transport) -> Live:
    """Ask every member that answers, also one that has lost the others."""
    hosts = cluster.members
    found = await asyncio.gather(*(_asked(via, host) for host in hosts))
    answers = {host.name: each for host, each in zip(hosts, found, strict=True) if each}
    revisions = {host: revision for host, (revision, _, _) in answers.items()}
    newest = max(answers.values(), default=None, key=lambda each: each[0])
    led = any(leads for _, leads, _ in answers.values())
    return Live(revisions, led, newest[2] if newest else {})


async def _asked(via: Transport, host: Host) -> tuple[int, bool, Mapping[str, int]] | None:
    ctl = f"{Ctl(host, (host,))} --command-timeout=10s"
    script = (
        f"{ctl} endpoint status -w fields || exit 0\n"
        f"{ctl} get /registry/ --prefix --keys-only --consistency=s | grep -v '^$' | cut -d/ -f1-3 | sort | uniq -c"
    )
    try:
        text = await via.run(host.name, script, timeout=KEYS_WITHIN_S)
    except (TransportError, CommandFailed):
        return None
    revision = re.search(r'^"Revision" : (\d+)$', text, re.MULTILINE)
    leader = re.search(r'^"Leader" : (\d+)$', text, re.MULTILINE)
    counts = re.findall(r"^ *(\d+) (/registry/\S*)$", text, re.MULTILINE)
    if revision is None:
        return None
    leads = leader is not None and leader[1] != "0"
    return int(revision[1]), leads, {prefix: int(number) for number, prefix in counts}


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


def preview(told: Manifest, now: Live, moment: datetime, raised: bool, level: int) -> list[str]:
    """What a reader has to know before he says yes, a line each."""
    etcd = told.etcd
    age = moment.astimezone(UTC) - told.time
    lines = [f"the cluster becomes what it was at {told.taken_at}, {_ago(age.total_seconds())} ago"]
    if now.revisions:
        newest = max(now.revisions.values())
        lines.append(f"etcd goes from revision {newest} back to {etcd.revision}: {_written(newest - etcd.revision)}")
    lines += _compared(etcd.keys, now.keys)
    if told.degraded:
        lines.append(f"etcd was not well when it was taken: {told.degraded}")
    if not level:
        lines.append(
            "nobody has proved yet that it can be restored: `quorate backup prove` does, before anything stops"
        )
    if not raised:
        lines.append(
            "this etcd can't raise revisions: what watches the API from pods (CoreDNS, pod networks, operators) may "
            "see old objects until it is restarted; kubelets and kube-proxies are"
        )
    lines.append(f"not in it: {'; '.join(told.not_in_it)}" if told.not_in_it else "volumes are not in it")
    return lines


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


def _written(count: int) -> str:
    return f"{many(count, 'write')} since are lost" if count > 0 else "nothing was written since"


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _compared(then: Mapping[str, int], now: Mapping[str, int]) -> Iterable[str]:
    """Kinds of objects of which there are more or fewer."""
    if not (then and now):
        return
    differ = [prefix for prefix in sorted({*then, *now}) if then.get(prefix, 0) != now.get(prefix, 0)]
    differ.sort(key=lambda prefix: -abs(then.get(prefix, 0) - now.get(prefix, 0)))
    for prefix in differ[:SHOWN]:
        kind = prefix.removeprefix("/registry/")
        yield f"{kind}: {now.get(prefix, 0)} now, {then.get(prefix, 0)} then"
    if len(differ) > SHOWN:
        yield f"and {many(len(differ) - SHOWN, 'other kind')}"
