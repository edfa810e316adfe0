"""Take a backup: choose a member of etcd, let its host take and prove a snapshot, seal what comes, keep it."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from quorate import atomic
from quorate.backup import archive, proof
from quorate.backup.incoming import Incoming
from quorate.backup.manifest import Manifest, StateMark
from quorate.backup.names import Names
from quorate.backup.places import ready
from quorate.backup.proof import Proof
from quorate.component.etcd import etcdctl
from quorate.component.settings.backup import taking
from quorate.core import CommandFailed, QuorateError, Transport, TransportError
from quorate.plan.words import line, size
from quorate.render import snapshot, throwaway
from quorate.render.sh import quote
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import Secrets
from quorate.state import age, seal
from quorate.state.bundle import gather
from quorate.state.store import Store

Say = Callable[[str], None]
STATUS_WITHIN_S = 15.0
"""Seconds for a member to say how it is."""


@dataclass(frozen=True)
class Taken:
    """A backup that lies on this machine, whole."""

    path: Path
    digest: str
    manifest: Manifest
    proof: Proof | None
    size: int
    lost: Mapping[str, str]
    """Etcd hosts that did not answer, with the reason."""
    volumes: tuple[str, ...]
    """Persistent volumes, each with what it is; what they hold is not in it."""


@dataclass(frozen=True)
class Standing:
    """How a member of etcd stands."""

    host: str
    applied: int
    """Index of the last entry of the log that it has applied."""
    leads: bool
    led: bool
    """Whether it knows a leader."""


def recipients(cluster: Cluster, store: Store) -> tuple[str, ...]:
    """For whom backups are sealed. Raises QuorateError when nobody could open one on the day when it counts."""
    if not (found := seal.backup_recipients(store, cluster)):
        raise QuorateError(
            "nobody could open a backup when this machine is lost: there is neither a passphrase nor a recipient",
            "set one with `quorate passphrase`, or name public keys in state.recipients or backup.recipients",
        )
    return found


async def standings(cluster: Cluster, via: Transport) -> tuple[list[Standing], dict[str, str]]:
    """How the members stand, and why some did not tell."""
    found: list[Standing] = []
    lost: dict[str, str] = {}

    async def one(host: str) -> None:
        ask = f"{etcdctl(cluster.host(host))} --command-timeout=5s endpoint status -w json"
        try:
            said = json.loads(await via.run(host, ask, timeout=STATUS_WITHIN_S))[0]["Status"]
            leader = said.get("leader", 0)
            mine = said["header"]["member_id"]
            found.append(Standing(host, said.get("raftAppliedIndex", 0), leader == mine, leader != 0))
        except (TransportError, CommandFailed) as error:
            lost[host] = line(str(error).removeprefix(f"{host}: "), 300)
        except (ValueError, LookupError, TypeError):
            lost[host] = "etcd gave an answer that is none"

    await asyncio.gather(*(one(host.name) for host in cluster.members))
    return found, lost


def choose(found: Sequence[Standing]) -> Standing:
    """Whom to ask: where there is a leader, the follower that is furthest, for it has the least to do; else, without a
    quorum, whoever has applied most. Raises QuorateError when there is nobody.
    """
    if not found:
        raise QuorateError("no member of etcd answers: there is nothing to take a backup of", "see `quorate status`")
    led = [each for each in found if each.led]
    followers = [each for each in led if not each.leads]
    return max(followers or led or found, key=lambda each: (each.applied, each.host))


async def take(
    cluster: Cluster,
    store: Store,
    secrets: Secrets,
    via: Transport,
    file: tuple[Path, str],
    folder: Path,
    say: Say = lambda _text: None,
) -> Taken:
    """Take one and put it into a folder of this machine; `file` is the cluster file and its text.

    Raises QuorateError, CommandFailed or TransportError, and then there is nothing new in the folder.
    """
    keys = recipients(cluster, store)
    bundle = gather(store.path, cluster, *file)
    mark = seal.numbered(store, cluster.name, bundle.digest)
    say("asking the members of etcd")
    found, lost = await standings(cluster, via)
    host = choose(found).host
    place = await _on_host(cluster, host, secrets, via, say)
    try:
        told, volumes = await _manifest(via, host, place, lost), await _volumes(via, host, place)
        told = replace(told, state=StateMark(mark.sequence, mark.digest))
        sealed = age.seal(bundle.pack(mark.sequence), keys)
        small = {archive.MANIFEST: told.to_json(), archive.IDENTITY: seal.locked(store) or b"", archive.STATE: sealed}
        path = folder / f"{_name(told)}{archive.SUFFIX}"
        try:
            ready(folder)
            atomic.demand(folder, [told.etcd.size, *(len(each) for each in small.values())])
            digest = await _bring(via, host, place, told, path, small, keys, say)
            proved = proof.from_host(told, digest)
            if proved is not None:
                atomic.write(folder / f"{_name_of(path)}{proof.SUFFIX}", proved.to_json())
            return Taken(path, digest, told, proved, path.stat().st_size, lost, volumes)
        except OSError as error:
            raise QuorateError(f"{error.filename or path}: {error.strerror or error}", "check the disk") from None
    finally:
        # Where the host takes backups by itself, the folder is wanted.
        await _forget(via, host, place, stays=bool(cluster.backup.schedule))


async def _on_host(cluster: Cluster, host: str, secrets: Secrets, via: Transport, say: Say) -> str:
    """Have it taken there; the folder that has it is returned."""
    place = ""

    def hear(text: str) -> None:
        nonlocal place
        if text.startswith("folder="):
            place = text.removeprefix("folder=").strip()
        elif text.startswith("progress "):
            say(f"{host}: {text.removeprefix('progress ')}")

    script = snapshot.asked(taking(cluster, cluster.host(host), secrets), cluster.backup.folder)
    await via.run(host, script, on_line=hear)
    if not place.startswith(f"{cluster.backup.folder}/.taking-"):
        raise CommandFailed("no backup was taken, though nothing failed", host=host)
    return place


async def _manifest(via: Transport, host: str, place: str, lost: Mapping[str, str]) -> Manifest:
    text = await via.run(host, f"cat -- {quote(f'{place}/manifest.json')}")
    told = Manifest.from_json(text.encode(), f"the backup on {host}")
    if lost and not told.degraded:
        told = replace(told, degraded=f"{', '.join(sorted(lost))} did not answer")
    return told


async def _volumes(via: Transport, host: str, place: str) -> tuple[str, ...]:
    listed = f"^volume \\|^{throwaway.OBJECTS}persistentvolumes/"
    text = await via.run(host, f"gzip -dc {quote(f'{place}/names.gz')} | grep {quote(listed)} || :")
    return Names.of(text.splitlines()).told_volumes


def _name(told: Manifest) -> str:
    return f"{told.cluster}-{told.time:%Y%m%dT%H%M%SZ}-{token_hex(4)}"


def _name_of(path: Path) -> str:
    return path.name.removesuffix(archive.SUFFIX)


async def _bring(
    via: Transport,
    host: str,
    place: str,
    told: Manifest,
    path: Path,
    small: Mapping[str, bytes],
    keys: Sequence[str],
    say: Say,
) -> str:
    """Bring the large files and seal them on the way into the set; its digest."""
    coming = {
        archive.CONFIG: Incoming(f"{place}/config.tar"),
        archive.NAMES: Incoming(f"{place}/names.gz"),
        archive.SNAPSHOT: Incoming(f"{place}/snapshot.db", told.etcd.sha256),
    }
    parts: list[archive.Part] = [
        (name, lambda out, content=content: out.write(content))  # type: ignore[misc]
        for name, content in small.items()
        if content
    ]
    parts += [(name, lambda out, each=each: each.seal_into(out, keys)) for name, each in coming.items()]  # type: ignore[misc]

    async def bring() -> None:
        waiting = list(coming.values())
        try:
            while waiting:
                each = waiting.pop(0)
                await each.bring(via, host, lambda done, all_: say(f"{host}: {size(done)} of {size(all_)} are here"))
        except BaseException as error:
            for each in waiting:
                each.give_up(error)
            raise

    bringing = asyncio.create_task(bring())
    try:
        return await asyncio.to_thread(archive.write, path, parts)
    except QuorateError:
        # Why it did not come whole is what the other one says.
        _drop(coming.values())
        await bringing
        raise
    finally:
        _drop(coming.values())
        bringing.cancel()
        await asyncio.gather(bringing, return_exceptions=True)


def _drop(coming: Iterable[Incoming]) -> None:
    for each in coming:
        each.drop()


async def _forget(via: Transport, host: str, place: str, *, stays: bool) -> None:
    """Take away what lies on the host, with its folder if that is empty and need not stay. If that can't be done, the
    host's next backup does.
    """
    folder = "" if stays else f"; rmdir --ignore-fail-on-non-empty -- {quote(place.rpartition('/')[0])}"
    try:
        await via.run(host, f"rm -rf -- {quote(place)}{folder}", timeout=60)
    except (TransportError, CommandFailed):
        return
