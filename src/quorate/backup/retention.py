"""Which backups need not stay at a place: neither among the newest nor of the last days, nor the last proved one."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from quorate.backup import archive, proof
from quorate.backup.catalog import HEAD, digest_at, proof_of
from quorate.backup.places import Item, Place
from quorate.core import QuorateError
from quorate.spec.sections import Keep


def spare(names: Iterable[str], cluster: str, keep: Keep, now: datetime) -> list[str]:
    """The sets of a cluster that may go, of the files at a place; hosts judge the same way (`render/retention.py`)."""
    there = set(names)
    newest = _newest(there, cluster)
    proved = next((name for name in newest if f"{name}{proof.SUFFIX}" in there), None)
    since = f"{now - timedelta(days=keep.days):%Y%m%dT%H%M%SZ}"
    return [name for name in newest[keep.count :] if name.rsplit("-", 2)[1] < since and name != proved]


def _newest(names: Iterable[str], cluster: str) -> list[str]:
    """The cluster's sets, the newest first."""
    sets = {name.removesuffix(archive.SUFFIX) for name in names if name.endswith(archive.SUFFIX)}
    read = filter(None, map(archive.NAME.fullmatch, sets))
    return sorted((found[0] for found in read if found["cluster"] == cluster), reverse=True)


def stale(names: Iterable[str], now: datetime) -> list[str]:
    """What uploads that ended in the middle have left at a place for more than a day, of its files' names."""
    since = f"{now - timedelta(days=1):%Y%m%dT%H%M%SZ}"
    read = {name: archive.NAME.match(name[1:]) for name in names if name[:1] == "." and name.endswith("part")}
    return [name for name, found in read.items() if found and found["time"] < since]


async def tidy(place: Place, cluster: str, keep: Keep, now: datetime) -> list[str]:
    """Remove them from a place; their names. A proof goes first: a set without one is looked at again.

    Raises QuorateError.
    """
    there = {item.name: item for item in await place.listing()}
    gone = spare(there, cluster, keep, now)
    stays = await _last_proved(place, there, cluster) if gone else ""
    gone = [name for name in gone if name != stays]
    for name in gone:
        for suffix in (proof.SUFFIX, archive.SUFFIX):
            if f"{name}{suffix}" in there:
                await place.remove(f"{name}{suffix}")
    return gone


async def _last_proved(place: Place, there: Mapping[str, Item], cluster: str) -> str:
    """The last set whose proof is its own, and not that of another set which lay there before. Raises QuorateError
    when that can't be found out.
    """
    for name in _newest(there, cluster):
        if (beside := f"{name}{proof.SUFFIX}") in there:
            digest, note = await digest_at(place, there[f"{name}{archive.SUFFIX}"]), await place.read(beside, 0, HEAD)
            with suppress(QuorateError):
                proof_of(note, beside, digest)
                return name
    return ""
