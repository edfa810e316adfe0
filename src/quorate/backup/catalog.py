"""Which backups there are, where, how old, and how far each was proved."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from quorate.backup import archive, proof
from quorate.backup.manifest import Manifest
from quorate.backup.places import Item, Place
from quorate.backup.proof import Proof
from quorate.core import QuorateError

HEAD = 64 * 1024
"""Bytes that are read of a set: its manifest has some 2 kB, and 50 more for each member, CRD and volume."""
LARGEST = archive.SMALL + tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Found:
    """A backup, wherever it lies, of which beginning and end were read. That it is whole is known when somebody reads
    all of it.
    """

    name: str
    places: tuple[str, ...]
    size: int
    manifest: Manifest | None
    proof: Proof | None
    fault: str = ""
    """Why its manifest or its proof can't be read, or is not what it should be."""
    digest: str = ""
    """That of the set, by its end; empty where it has none."""

    @property
    def level(self) -> int:
        """How far it was proved; 0 is not at all."""
        before = self.manifest.proved.level if self.manifest and self.manifest.proved else 0
        return max(before, self.proof.level if self.proof else 0)

    @property
    def taken(self) -> datetime:
        """When; by its name where the manifest does not tell."""
        if self.manifest is not None:
            return self.manifest.time
        named = archive.NAME.fullmatch(self.name)
        if named is None:
            return datetime.fromtimestamp(0, UTC)
        return datetime.strptime(named["time"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        told = self.manifest
        return {
            "name": self.name,
            "taken_at": self.taken.isoformat(),
            "places": list(self.places),
            "bytes": self.size,
            "level": self.level,
            "proved_at": self.proof.at if self.proof else told.proved.at if told and told.proved else None,
            "degraded": told.degraded if told else None,
            "host": told.host if told else None,
            "kubernetes": told.kubernetes if told else None,
            "etcd": told.etcd.version if told else None,
            "revision": told.etcd.revision if told else None,
            "fault": self.fault or None,
        }


async def catalog(places: Iterable[Place], cluster: str) -> tuple[list[Found], dict[str, str]]:
    """A cluster's backups at all places, the newest first; and the places that did not answer, with the reason."""
    found: dict[str, Found] = {}
    lost: dict[str, str] = {}
    for place in places:
        try:
            for each in await _at(place, cluster):
                found[each.name] = _joined(found.get(each.name), each)
        except QuorateError as error:
            lost[place.name] = str(error)
    return sorted(found.values(), key=lambda each: (each.taken, each.name), reverse=True), lost


def _joined(one: Found | None, other: Found) -> Found:
    """The same set at two places. Of two others the one that can be read stays, and it is told where the other is."""
    if one is None:
        return other
    best = one if one.manifest is not None and one.digest else other
    if one.digest != other.digest:
        odd = other if best is one else one
        return replace(best, fault=best.fault or f"at {', '.join(odd.places)} is another one of that name")
    proofs = [each for each in (one.proof, other.proof) if each is not None]
    return replace(
        best,
        places=(*one.places, *other.places),
        proof=max(proofs, key=lambda each: (each.level, each.at), default=None),
    )


async def _at(place: Place, cluster: str) -> list[Found]:
    items = {item.name: item for item in await place.listing()}
    names = [name.removesuffix(archive.SUFFIX) for name in items if name.endswith(archive.SUFFIX)]
    ours = [name for name in names if (match := archive.NAME.fullmatch(name)) and match["cluster"] == cluster]
    return [await _one(place, items, name) for name in ours]


async def _one(place: Place, items: dict[str, Item], name: str) -> Found:
    item, beside = items[f"{name}{archive.SUFFIX}"], f"{name}{proof.SUFFIX}"
    told, proved, digest, fault = None, None, "", ""
    try:
        told = await manifest_at(place, item)
        if not (digest := await digest_at(place, item)):
            raise QuorateError(f"{item.name}: does not end with SHA256SUMS", "it was cut off, or is something else")
        if beside in items:
            proved = proof_of(await place.read(beside, 0, HEAD), beside, digest)
    except QuorateError as error:
        fault = str(error)
    return Found(name, (place.name,), item.size, told, proved, fault, digest)


async def digest_at(place: Place, item: Item) -> str:
    """The digest of a set, of which only the end is read; empty where that is the end of none. Raises QuorateError."""
    return archive.digest_at_end(await place.read(item.name, max(0, item.size - archive.END), archive.END))


def proof_of(content: bytes, beside: str, digest: str) -> Proof:
    """The proof beside a set with that digest. Raises QuorateError where it can't be read, or is of another set."""
    found = Proof.from_json(content, beside)
    if found.set != digest:
        raise QuorateError(
            f"{beside}: is the proof of another set than the one beside which it lies",
            "prove that one: `quorate backup prove`",
        )
    return found


async def manifest_at(place: Place, item: Item) -> Manifest:
    """The manifest of a set, of which only the beginning is read. Raises QuorateError."""
    for size in (HEAD, LARGEST):
        content = await place.read(item.name, 0, size)
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
                info = tar.next()
                if info is None or info.name != archive.MANIFEST or info.size > archive.SMALL:
                    raise QuorateError(f"{item.name}: does not begin with manifest.json", "it is no backup, or damaged")
                if info.offset_data + info.size <= len(content):
                    return Manifest.from_json(content[info.offset_data :][: info.size], item.name)
        except tarfile.TarError as error:
            raise QuorateError(f"{item.name}: is no backup: {error}", "it was cut off, or is something else") from None
    raise QuorateError(f"{item.name}: is cut off in its manifest", "it is no whole backup")


def named(found: Sequence[Found], name: str) -> Found:
    """The one of that name, or the newest that can be read when there is none. Raises QuorateError."""
    wanted = name.removesuffix(archive.SUFFIX)
    for each in found:
        if each.name == wanted or (not name and each.manifest is not None):
            return each
    there = f"there is {', '.join(each.name for each in found[:5])}" if found else "take one with `quorate backup`"
    raise QuorateError(f"there is no backup {name}".rstrip(), there)
