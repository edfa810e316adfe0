"""Backups that etcd hosts take by themselves: a timer on each of them; who acts is settled in etcd when it comes."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from quorate.component import membership
from quorate.component.context import Context
from quorate.component.settings.backup import taking
from quorate.component.turns import Enough, Turns
from quorate.render import backup, backup_places, systemd
from quorate.render.sh import quote
from quorate.resource.file import Directory, File
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.resource.unit import Unit
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BACKUP, BACKUP_TIMER, BACKUP_UNIT, BIN, UNITS

NAME = "backup"
AFTER: tuple[str, ...] = ("system", "trust", "etcd")
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER

RECIPIENTS = f"{BACKUP}/recipients"


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """age, whom to seal for, the scripts, the ways to places, and the timer."""
    given = context.cluster.backup
    if not (host.has(Role.ETCD) and given.schedule):
        return
    (age,) = context.binaries(host, "age")
    yield age
    # What is in it stays, whatever goes.
    yield Directory(host=host.name, path=given.folder, mode="0700")
    yield Undo(host=host.name, what="work on backups", script=backup.left(given.folder))
    yield Directory(host=host.name, path=BACKUP, mode="0700")
    yield File(
        host=host.name,
        path=RECIPIENTS,
        content="".join(f"{each}\n" for each in context.recipients),
        trial=f'{BIN}/age -R "$1" </dev/null >/dev/null',
        explicit=frozenset({age.key}),
    )
    etcdctl = str(membership.Ctl(host, (host,)))
    told = replace(taking(context.cluster, host, context.secrets), mark=backup.mark(given.folder))
    script = backup.script(context.cluster.name, host.name, given, etcdctl, told)
    yield File(host=host.name, path=f"{BACKUP}/scheduled", content=script, mode="0700")
    yield from _ways(context, host)
    yield from _timer(host, given.schedule)


def _ways(context: Context, host: Host) -> Iterator[Resource]:
    """The keys and authorities of places, and the program that reaches them."""
    places = backup_places.remote(context.cluster.backup.places)
    if any(place.ssh for _, place in places):
        apt = context.of(host).package_manager == "apt"
        yield from context.packages(host, "backup", "openssh-client" if apt else "openssh-clients")
    for index, place in places:
        key, text = context.place_keys.get(index, ""), context.texts.get
        if place.ssh:
            yield _private(host, backup_places.key_file(index), key, secret=True)
            yield _private(host, backup_places.known_hosts_file(index), text(f"hosts-of-place {index}", ""))
        elif place.s3:
            yield _private(host, backup_places.login_file(index), key, secret=True)
            if place.s3.ca_file:
                yield _private(host, backup_places.ca_file(index), text(f"ca-of-place {index}", ""))


def _private(host: Host, path: str, content: str, *, secret: bool = False) -> File:
    return File(host=host.name, path=path, content=content, mode="0600", secret=secret)


def _timer(host: Host, schedule: str) -> Iterator[Resource]:
    service = systemd.unit(
        name=BACKUP_UNIT,
        description="A backup of the cluster",
        type="oneshot",
        exec_start=["/bin/sh", f"{BACKUP}/scheduled"],
        restart=None,
        restart_sec=None,
        wanted_by=None,
        # It waits for others as long as they take, and has the host's leisure.
        extra={"TimeoutStartSec": "infinity", "Nice": 19, "IOSchedulingClass": "idle", "CPUWeight": 10},
    )
    timer = systemd.timer(
        description="Backups of the cluster",
        calendar=schedule,
        # So that systemd is told to read both anew when one is new.
        extra_unit={"X-Service": hashlib.sha256(service.encode()).hexdigest()},
    )
    yield File(host=host.name, path=f"{UNITS}/{BACKUP_UNIT}", content=service)
    known = f"systemd-analyze calendar -- {quote(schedule)} >/dev/null"
    yield File(host=host.name, path=f"{UNITS}/{BACKUP_TIMER}", content=timer, trial=known)
    yield Unit(host=host.name, unit=BACKUP_TIMER)
