"""Which backups need not stay at a place: neither among the newest nor of the last days, nor the last proved one."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from quorate.backup import archive, proof
from quorate.backup.places import Place
from quorate.spec.sections import Keep


def spare(names: Iterable[str], cluster: str, keep: Keep, now: datetime) -> list[str]:
    """The sets of a cluster that may go, of the files at a place; hosts judge the same way (`render/retention.py`)."""
    there = set(names)
    sets = [name.removesuffix(archive.SUFFIX) for name in there if name.endswith(archive.SUFFIX)]
    read = {name: archive.NAME.fullmatch(name) for name in sets}
    ours = {name: found["time"] for name, found in read.items() if found and found["cluster"] == cluster}
    newest = sorted(ours, reverse=True)
    proved = next((name for name in newest if f"{name}{proof.SUFFIX}" in there), None)
    since = f"{now - timedelta(days=keep.days):%Y%m%dT%H%M%SZ}"
    return [name for name in newest[keep.count :] if ours[name] < since and name != proved]


def stale(names: Iterable[str], now: datetime) -> list[str]:
    """What uploads that ended in the middle have left at a place for more than a day, of its files' names."""
    since = f"{now - timedelta(days=1):%Y%m%dT%H%M%SZ}"
    read = {name: archive.NAME.match(name[1:]) for name in names if name[:1] == "." and name.endswith("part")}
    return [name for name, found in read.items() if found and found["time"] < since]


async def tidy(place: Place, cluster: str, keep: Keep, now: datetime) -> list[str]:
    """Remove them from a place; their names. A proof goes first: a set without one is looked at again.

    Raises QuorateError.
    """
    there = {item.name for item in await place.listing()}
    gone = spare(there, cluster, keep, now)
    for name in gone:
        for suffix in (proof.SUFFIX, archive.SUFFIX):
            if f"{name}{suffix}" in there:
                await place.remove(f"{name}{suffix}")
    return gone
