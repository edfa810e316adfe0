"""The course of a loss: a cluster on simulated hosts, a client that writes all the while, and what became of both."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from stand import Stand

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, Target
from quorate.drill.record import Acknowledged, Result, Stream
from quorate.lab import fault
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state.store import Store
from quorate.transport.ssh import SshTransport

PACE = Pace(new=0.1, kept=0.1, writes=0.1, timeout=1.0, patience=120.0)
WELL_WITHIN_S = 300.0
"""Seconds for `status` to find everything as it should be, after the tool's last word."""
FOLLOWS_WITHIN_S = 30.0
"""Seconds for every kube-proxy to follow a Service that was changed."""
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
        self.quorate("trust", "--yes", *each_of("--replace", hosts))

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


def each_of(option: str, values: Sequence[str]) -> list[str]:
    """Words of a command line: the option before each value."""
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

    marked(site)
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


def marked(site: Site) -> None:
    """A Service of before, whose change is followed afterwards."""
    master = site.cluster.masters[0].name
    site.run("kubectl get service marker || kubectl create service nodeport marker --tcp=80", master)
