"""Losses of etcd on a lab, and the way back from each, with a client that writes all the while.

Each takes a cluster that is well, breaks it, brings it back by the tool as its user would, and leaves it well.
What was acknowledged must be there afterwards, up to the backup, and nothing that the backup did not have.
"""

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from course import BEFORE_S, Course, Outcome, Site, each_of, marked
from stand import Stand, tell

from quorate.core import QuorateError
from quorate.lab import fault
from quorate.lab.up import down, up

PASSPHRASE = "what is lost comes back"
EARLY, LATE = 20, 5
"""ConfigMaps before the backup and after it, where no client can write all the while."""


def nothing(course: Course) -> None:
    """Twenty backups, one after the other: nobody notices."""
    with course.step("20 backups"):
        for _ in range(20):
            course.site.backup()


def one_member(course: Course) -> None:
    """One of three, with its host: no restore. A new one joins, and nothing is lost."""
    host = _members(course.site)[-1]
    time.sleep(BEFORE_S)
    course.site.dead(host)
    with course.step("apply --replace"):
        course.site.quorate("apply", "--yes", "--replace", host)


def two_members(course: Course) -> None:
    """Two of three, with their hosts: what the third has is saved, and restored."""
    first, *lost = _members(course.site)
    time.sleep(BEFORE_S)
    course.site.dead(*lost)
    with course.step("backup"):
        name, course.revision = course.site.backup()
    with course.step("restore"):
        course.site.quorate("restore", name, "--yes", *each_of("--replace", lost))
    _kept(course.site, first)


def all_data(course: Course) -> None:
    """The data of all members, on hosts that are there: the newest backup is restored."""
    members = _members(course.site)
    name = course.backup()
    course.site.run("systemctl stop etcd; rm -rf /var/lib/etcd/member", *members)
    with course.step("restore"):
        course.site.quorate("restore", name, "--yes")


def all_hosts(course: Course) -> None:
    """All machines at once; others come, with their addresses."""
    hosts = [host.name for host in course.site.cluster.hosts]
    name = course.backup()
    course.site.dead(*hosts)
    with course.step("restore"):
        course.site.quorate("restore", name, "--yes", *each_of("--replace", hosts))


def rolled_back(course: Course) -> None:
    """Somebody has deleted what is needed, and etcd works: all goes back. The tool is killed on the way, again and
    again, and each time a host loses its power.
    """
    site = course.site
    chance = random.Random(seed := random.SystemRandom().randrange(10**6))
    master, *_ = (host.name for host in site.cluster.masters)
    site.run("kubectl create configmap needed --from-literal=by=all -o name", master)
    name = course.backup()
    site.run("kubectl delete configmap needed -o name", master)
    killed = []
    with course.step("restore"):
        for _ in range(3):
            after = chance.uniform(5, 40)
            host = chance.choice([host.name for host in site.cluster.hosts])
            if not _killed(site, after, "restore", name, "--yes", "--roll-back"):
                break
            killed.append(f"{after:.0f} s, {host}")
            tell(f"{host} loses its power")
            fault.kill(site.cluster.name, host)
            fault.start(site.cluster.name, host)
            _demand_no_old_etcd(site, host)
        site.quorate("restore", name, "--yes", "--roll-back")
    course.more |= {"seed": seed, "killed": killed}
    site.run("kubectl get configmap needed -o name; kubectl delete configmap needed -o name", master)
    _kept(site, *_members(site))


def ghost(course: Course) -> None:
    """A member is off while the others are restored. It comes back later: it neither joins nor serves, and the next
    apply lays its data aside.
    """
    site = course.site
    *there, away = _members(site)
    name = course.backup()
    fault.kill(site.cluster.name, away)
    with course.step("restore"):
        site.quorate("restore", name, "--yes", "--roll-back", "--without", away)
    fault.start(site.cluster.name, away)
    time.sleep(BEFORE_S)
    if len(_listed(site, there[0])) != len(there):
        raise QuorateError(f"the member of before is one of the restored etcd: {_listed(site, there[0])}")
    with course.step("apply"):
        site.quorate("apply", "--yes")
    if len(_listed(site, there[0])) != len(there) + 1:
        raise QuorateError(f"it did not join anew: {_listed(site, there[0])}")
    site.run("ls -d /var/lib/etcd/former-*/*", away)


CASES: dict[str, Callable[[Course], None]] = {
    "nothing, 20 backups": nothing,
    "1 of 3 members": one_member,
    "2 of 3 members": two_members,
    "all data": all_data,
    "roll back, killed": rolled_back,
    "a ghost": ghost,
    "all hosts": all_hosts,
}
"""In an order in which each leaves what the next one needs."""


def elsewhere(site: Site, folder: Path, secret: Path) -> Outcome:
    """All machines, and this one with its state folder: of all that was, the file of one backup is left. Other hosts
    come, at other addresses. Takes the lab of before down, and leaves the new one up.
    """
    folder.mkdir()
    master = site.cluster.masters[0].name
    marked(site)
    _written(site, "early", EARLY)
    name, _ = site.backup()
    _written(site, "late", LATE)
    file, saved = site.stand.file, folder / f"{name}.backup"
    shutil.copyfile(file.parent / "backups" / saved.name, saved)
    down(site.cluster.name, tell)
    new = Site(Stand(site.stand.name, folder / file.name))
    steps, began = {}, time.monotonic()
    words = ["adopt", str(saved), "--into", str(folder), "--passphrase-from", str(secret), "--yes"]
    tell(f"quorate {' '.join(words)}")
    subprocess.run([sys.executable, "-m", "quorate", *words], check=True, stdin=subprocess.DEVNULL)
    moved = re.sub(
        r"((?:address|vip): 192\.168\.)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 10}", file.read_text()
    )
    new.stand.file.write_text(moved)
    steps["adopt"] = round(time.monotonic() - began, 1)
    up(new.cluster, new.stand.file, tell)
    began = time.monotonic()
    hosts = [host.name for host in new.cluster.hosts]
    new.quorate("restore", str(saved), "--yes", *each_of("--replace", hosts), "--passphrase-from", str(secret))
    steps["restore"] = round(time.monotonic() - began, 1)
    steps["all well"] = round(new.well(), 1)
    found = new.run("kubectl get configmaps -o name", master)[master]
    there = {kind: found.count(f"configmap/{kind}-") for kind in ("early", "late")}
    if there != {"early": EARLY, "late": 0}:
        raise QuorateError(f"{EARLY} early and {LATE} late ones were written, early ones must be there: {there}")
    return Outcome(EARLY + LATE, LATE, LATE, {}, steps["adopt"] + steps["restore"], round(new.followed(), 1), steps, {})


def _written(site: Site, kind: str, count: int) -> None:
    master = site.cluster.masters[0].name
    site.run(f"for n in $(seq {count}); do kubectl create configmap {kind}-$n -o name; done", master)


def _members(site: Site) -> list[str]:
    return [host.name for host in site.cluster.members]


def member_keys() -> str:
    """What a client of etcd shows on its members' hosts, as curl and etcdctl take it."""
    return "--cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/client.crt --key /etc/etcd/pki/client.key"


def _listed(site: Site, host: str) -> list[str]:
    ctl = f"ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 {member_keys()}"
    return site.run(f"{ctl} member list", host)[host].splitlines()


def _kept(site: Site, *hosts: str) -> None:
    """The old data lie beside the new ones; raises CommandFailed where they do not."""
    site.run("ls -d /var/lib/etcd/before-*/wal", *hosts)


def _demand_no_old_etcd(site: Site, host: str) -> None:
    """Raise QuorateError where a member has started behind its fence; those that were not stopped yet run on."""
    look = "[ ! -e /var/lib/quorate/fence/etcd ] || systemctl is-active etcd || :"
    if site.run(look, host)[host].strip() == "active":
        raise QuorateError(f"{host} has started an etcd behind the fence of a restore")


def _killed(site: Site, after: float, *words: str) -> bool:
    """Start the tool and kill it after so many seconds; whether it was still at work."""
    tell(f"quorate {' '.join(words)}, killed after {after:.0f} s")
    argv = [sys.executable, "-m", "quorate", *words, "-f", str(site.stand.file)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False
