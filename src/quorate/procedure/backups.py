"""What etcd hosts tell of the backups that they take by themselves: how old, where, how far proved."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from quorate.execute.survey import View
from quorate.plan.words import line, many
from quorate.render import backup, backup_places
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.layout import BACKUP_UNIT
from quorate.spec.outlook import Outlook
from quorate.spec.survival import needed

HERE = "here"
"""Where a proof was made that an operator made, who had the keys for it."""
PROVED = {0: "not proved", 1: "restored and counted", 2: "read through an API server"}


@dataclass(frozen=True)
class Kept:
    """A set on an etcd host."""

    name: str
    host: str
    level: int = 0
    opened: datetime | None = None
    """When somebody with the keys proved it."""

    @property
    def taken(self) -> datetime:
        """When, by its name."""
        return datetime.strptime(self.name.split("-")[-2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """What a place outside has got last."""

    name: str
    at: datetime


@dataclass(frozen=True)
class Backups:
    """All of it, as far as hosts answered."""

    now: datetime
    """The hosts' clock."""
    sets: tuple[Kept, ...] = ()
    """The newest first."""
    sent: Mapping[str, Sent] = field(default_factory=dict)
    """By place."""
    since: datetime | None = None
    """Since when hosts take backups so, by the oldest of their timers."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """By host, why its last run failed."""

    @property
    def text(self) -> str:
        """In a line."""
        if not self.sets:
            return "none yet"
        newest = self.sets[0]
        at = [label for label, sent in self.sent.items() if sent.name == newest.name]
        return f"{age(self.now - newest.taken)} old, on {', '.join((newest.host, *at))}, {PROVED[newest.level]}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        newest = self.sets[0] if self.sets else None
        return {
            "newest": {**asdict(newest), "taken": newest.taken.isoformat(), "opened": _iso(newest.opened)}
            if newest
            else None,
            "count": len(self.sets),
            "places": {label: {"name": sent.name, "at": sent.at.isoformat()} for label, sent in self.sent.items()},
            "failed": dict(self.failed),
        }


def questions(cluster: Cluster, host: Host) -> dict[str, str]:
    """What an etcd host is asked, where it takes backups."""
    given = cluster.backup
    return {"backups": backup.asked(given.folder)} if given.schedule and host.has(Role.ETCD) else {}


def read(cluster: Cluster, views: Mapping[str, View]) -> Backups | None:
    """What the hosts say; None where no backups are scheduled, or nobody tells."""
    asked = {host: view for host, view in views.items() if "backups" in view.more}
    if not asked:
        return None
    sets: list[Kept] = []
    sent: dict[str, Sent] = {}
    since: list[datetime] = []
    failed: dict[str, str] = {}
    for host, view in asked.items():
        proofs: dict[str, str] = {}
        digests: dict[str, str] = {}
        for word, _, rest in (each.partition(" ") for each in view.more["backups"].splitlines()):
            name, _, more = rest.partition(" ")
            match word:
                case "set":
                    digests[name] = more.partition(" ")[2]
                case "proof":
                    proofs[name] = more
                case "sent" if len(each := rest.split()) == 3 and each[1].isdecimal():
                    mark = Sent(each[2], datetime.fromtimestamp(int(each[1]), UTC))
                    sent[each[0]] = max(mark, sent.get(each[0], mark), key=lambda one: one.at)
                case "since" if rest.isdecimal():
                    since.append(datetime.fromtimestamp(int(rest), UTC))
                case "failed":
                    failed[host] = line(rest, 300)
        ours = {name: digest for name, digest in digests.items() if backup.is_set(name, cluster.name)}
        sets += [Kept(name, host, *_proof(proofs.get(name, ""), digest)) for name, digest in ours.items()]
    return Backups(
        now=max(view.now for view in asked.values()),
        sets=tuple(sorted(sets, key=lambda each: each.taken, reverse=True)),
        sent=sent,
        since=min(since, default=None),
        failed=failed,
    )


def _proof(text: str, digest: str) -> tuple[int, datetime | None]:
    """Level and, where an operator proved it, when; a note that can't be read, or is of another set, proves nothing."""
    try:
        told = json.loads(text)
        if told["set"] != digest:
            return 0, None
        at = datetime.fromisoformat(str(told["at"]).replace("Z", "+00:00"))
        level = int(told["level"])
    except (ValueError, LookupError, TypeError):
        return 0, None
    return (level, at if told.get("where") == HERE else None) if level in PROVED else (0, None)


def problems(cluster: Cluster, found: Backups | None) -> list[str]:
    """What is not as it should be."""
    if found is None:
        return []
    given, said = cluster.backup, [f"{host}: its last backup failed: {why}" for host, why in found.failed.items()]
    limit = timedelta(hours=given.overdue_hours)
    latest = found.sets[0].taken if found.sets else None
    if (latest or found.since or found.now) + limit < found.now:
        told = f"the newest is {age(found.now - latest)} old" if latest else "there is none"
        said.append(f"a backup is overdue: {told}, and {many(given.overdue_hours, 'hour')} are the limit")
    for _, place in backup_places.remote(given.places):
        label = backup_places.label(place)
        mark = found.sent.get(label)
        if ((mark.at if mark else found.since) or found.now) + limit < found.now:
            told = f"for {age(found.now - mark.at)}" if mark else "at all"
            said.append(f"{label} has got no backup {told}")
    return said


def warnings(cluster: Cluster, found: Backups | None) -> list[str]:
    """What is well as it is, and may not be on the day when it counts."""
    if found is None or not found.sets:
        return []
    days = cluster.backup.proved_within_days
    begin = min(each.taken for each in found.sets)
    opened = max((each.opened for each in found.sets if each.opened), default=None)
    said = []
    if (opened or begin) + timedelta(days=days) < found.now:
        said.append(
            f"nobody has opened a backup for {age(found.now - (opened or begin))}: `quorate backup prove` tells "
            "whether the keys for it are still there"
        )
    if not found.sets[0].level:
        said.append(f"{found.sets[0].name} was not proved: its host says why in the journal of {BACKUP_UNIT}")
    return said


def foreseen(outlook: Outlook, cluster: Cluster, well: int, found: Backups | None) -> Outlook:
    """The outlook with what a restore would bring back, where so many members of etcd that are well can't spare one."""
    if found is None or outlook.may_fail or well > needed(cluster):
        return outlook
    told = f"the newest backup is {age(found.now - found.sets[0].taken)} old" if found.sets else "there is no backup"
    return replace(outlook, text=f"{outlook.text}; {told}")


def age(span: timedelta) -> str:
    """`3 hours`: the largest unit of which there are two."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return many(seconds // size, unit)
    return many(seconds, "second")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
