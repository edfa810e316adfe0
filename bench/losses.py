"""Losses of etcd on a lab, and the way back from each, with a client that writes all the while.

Each `Loss` takes a cluster that is well, breaks it, brings it back by the tool as its user would, and leaves it well.
What was acknowledged must be there afterwards, up to the backup, and nothing that the backup did not have.
"""

import asyncio
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from stand import Stand, tell

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, Target
from quorate.drill.record import Acknowledged, Result, Stream
from quorate.lab import fault
from quorate.lab.up import down, up
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state.store import Store
from quorate.transport.ssh import SshTransport

PACE = Pace(new=0.1, kept=0.1, writes=0.1, patience=120.0)
PASSPHRASE = "what is lost comes back"
WELL_WITHIN_S = 300.0
"""Seconds for `status` to find everything as it should be, after the tool's last word."""
FOLLOWS_WITHIN_S = 30.0
"""Seconds for every kube-proxy to follow a Service that was changed."""
EARLY, LATE = 20, 5
"""ConfigMaps before the backup and after it, where no client can write all the while."""
BEFORE_S = 3.0
"""Seconds of writes before a backup, and after it."""


@dataclass(frozen=True)
class Site:
    """A cluster on simulated hosts, driven by its user's commands and looked at from outside."""

    stand: Stand
    said: dict[str, str] = field(default_factory=dict)
    """What the tool printed, by its words."""

    @property
    def cluster(self) -> Cluster:
        """As the file has it now."""
        return load(self.stand.file)

    def quorate(self, *words: str) -> str:
        """Run the tool; what it printed. Raises QuorateError when it fails."""
        text = self.said[" ".join(words)] = self.stand.quorate(*words)
        return text

    def run(self, script: str, *hosts: str) -> dict[str, str]:
        """The output of a script on each host."""

        async def each() -> dict[str, str]:
            via = SshTransport.of(self.cluster)
            try:
                found = await asyncio.gather(*(via.run(host, script) for host in hosts))
            finally:
                await via.close()
            return dict(zip(hosts, found, strict=True))

        return asyncio.run(each())

    def backup(self) -> tuple[str, int]:
        """Take one; its name, and the revision up to which it has all."""
        told = json.loads(self.quorate("backup", "--json"))
        if told["level"] < 1:
            raise QuorateError(f"the backup was not proved: {told}")
        return Path(told["path"]).name.removesuffix(".backup"), told["revision"]

    def dead(self, *hosts: str) -> None:
        """Other machines under the names of hosts, with nothing on them, as after a fire."""
        for host in hosts:
            fault.replace(self.cluster.name, host)
        self.quorate("trust", "--yes", *_each("--replace", hosts))

    def well(self) -> float:
        """Wait until nothing is left to do or to complain about; the seconds that took."""
        began = time.monotonic()
        while True:
            try:
                self.quorate("status")
            except QuorateError:
                if time.monotonic() - began > WELL_WITHIN_S:
                    raise
                time.sleep(2)
            else:
                self.quorate("plan")
                return time.monotonic() - began

    def followed(self) -> float:
        """Change a Service of before; seconds until the rules of every node have it."""
        master, *_ = (host.name for host in self.cluster.masters)
        port = random.SystemRandom().randrange(30100, 32700)
        patch = json.dumps([{"op": "replace", "path": "/spec/ports/0/nodePort", "value": port}])
        began = time.monotonic()
        self.run(f"kubectl patch service marker --type=json -p '{patch}'", master)
        look = f"( iptables-save; nft list ruleset 2>/dev/null ) | grep -q {port}"
        ticks = int(FOLLOWS_WITHIN_S / 0.1)
        wait = f"n=0; until {look}; do n=$((n + 1)); [ $n -lt {ticks} ] || exit 1; sleep 0.1; done"
        self.run(wait, *(host.name for host in self.cluster.workers))
        return time.monotonic() - began


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


@dataclass
class Course:
    """What an act tells while the client writes."""

    site: Site
    probe: Probe
    steps: dict[str, float] = field(default_factory=dict)
    """How long each step took, in seconds."""
    revision: int = 0
    """Of the backup that is restored; 0: none is."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else is to be kept."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done in the block."""
        began = time.monotonic()
        yield
        self.steps[name] = round(time.monotonic() - began, 1)

    def backup(self) -> str:
        """Take the one that is restored later, in the middle of writes; its name."""
        time.sleep(BEFORE_S)
        with self.step("backup"):
            name, self.revision = self.site.backup()
        time.sleep(BEFORE_S)
        return name


@dataclass(frozen=True)
class Outcome:
    """What became of a loss."""

    acknowledged: int
    """Writes before the longest time without any."""
    lost: int
    """Of these, those that are not there any more."""
    newer: int
    """Of these, those that were written after the backup: exactly they may be lost, and must be, for a backup does not
    have them.
    """
    failed: dict[str, dict[str, int]]
    """Tries of each kind that failed, by the reason, and how many there were."""
    outage: float
    """The longest time without a successful write, in seconds."""
    follows: float
    """Until every kube-proxy had a change that was made after it, in seconds."""
    steps: dict[str, float]
    more: dict[str, Any]


def went_through(site: Site, act: Callable[[Course], None]) -> Outcome:
    """Let a client write while something is lost and comes back; raises QuorateError where it is not as it must be."""
    cluster = site.cluster
    store = Store.beside(site.stand.file, cluster.name)
    target = Target.of(cluster, store.secrets(cluster, datetime.now(UTC), persist=False))

    async def run() -> tuple[Course, Result, float]:
        async with Probe(target, PACE) as probe:
            course = Course(site, probe)
            await asyncio.to_thread(act, course)
            over = time.monotonic() - probe.began
            with course.step("all well"):
                await asyncio.to_thread(site.well)
        assert probe.result is not None
        return course, probe.result, over

    _marked(site)
    course, result, over = asyncio.run(run())
    return judged(course, result, over, site.followed())


def judged(course: Course, result: Result, over: float, follows: float) -> Outcome:
    """What was acknowledged before the loss is there, but for what the backup can't have; and only that."""
    if result.problem:
        raise QuorateError(f"what was written can't be read back: {result.problem}")
    before = _before_the_outage(result.acks)
    newer = {ack.number for ack in before if course.revision and ack.version > course.revision}
    lost = set(result.lost)
    if lost != newer:
        raise QuorateError(
            f"of {len(before)} writes before the loss {len(newer)} are newer than the backup; lost that are not: "
            f"{sorted(lost - newer)}, there though they are newer: {sorted(newer - lost)}"
        )
    if not any(ack.at > over for ack in result.acks):
        raise QuorateError("nobody wrote after it")
    return Outcome(
        *(len(before), len(lost), len(newer)),
        failed={name: {"of": stream.total, **stream.words} for name, stream in _streams(result).items()},
        outage=round(result.writes.longest_gap, 1),
        follows=round(follows, 1),
        steps=course.steps,
        more=course.more,
    )


def _before_the_outage(acks: Sequence[Acknowledged]) -> Sequence[Acknowledged]:
    """Those before the longest time without any: also while something is about to be stopped a client writes."""
    ordered = sorted(acks, key=lambda ack: ack.at)
    gaps = [after.at - before.at for before, after in pairwise(ordered)]
    return ordered[: gaps.index(max(gaps)) + 1]


def _streams(result: Result) -> dict[str, Stream]:
    return {"new": result.new, "kept": result.kept, "writes": result.writes}


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
        course.site.quorate("restore", name, "--yes", *_each("--replace", lost))
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
        course.site.quorate("restore", name, "--yes", *_each("--replace", hosts))


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
            fault.kill(site.cluster.name, host)
            fault.start(site.cluster.name, host)
            _demand_no_old_etcd(site)
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
    _marked(site)
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
    new.quorate("restore", str(saved), "--yes", *_each("--replace", hosts), "--passphrase-from", str(secret))
    steps["restore"] = round(time.monotonic() - began, 1)
    steps["all well"] = round(new.well(), 1)
    found = new.run("kubectl get configmaps -o name", master)[master]
    there = {kind: found.count(f"configmap/{kind}-") for kind in ("early", "late")}
    if there != {"early": EARLY, "late": 0}:
        raise QuorateError(f"{EARLY} early and {LATE} late ones were written, early ones must be there: {there}")
    return Outcome(EARLY + LATE, LATE, LATE, {}, steps["adopt"] + steps["restore"], round(new.followed(), 1), steps, {})


def _marked(site: Site) -> None:
    """A Service of before, whose change is followed afterwards."""
    master = site.cluster.masters[0].name
    site.run("kubectl get service marker || kubectl create service nodeport marker --tcp=80", master)


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


def _demand_no_old_etcd(site: Site) -> None:
    """Raise QuorateError where a member runs behind its fence."""
    look = "[ ! -e /var/lib/quorate/fence/etcd ] || systemctl is-active etcd || :"
    for host, said in site.run(look, *_members(site)).items():
        if said.strip() == "active":
            raise QuorateError(f"{host} runs an etcd behind the fence of a restore")


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
