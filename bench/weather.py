"""Bad weather without a fault: lost and late packets, busy CPUs; nothing may move. `bench/weather.py [FILE] ...`

What is counted: how often a balancer took the virtual IP, elections of etcd, API servers that balancers took out, and
what the probe felt. Hosts heal themselves by their timers, as in a drill, whatever becomes of this process.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from stand import EXAMPLES, RESULTS, Stand, Work, stand, tell

from quorate.execute.outage import GUARD
from quorate.cli.interrupt import as_interrupt
from quorate.cli.output import run
from quorate.core import QuorateError
from quorate.drill.breaks import lossy, slow
from quorate.drill.felt import felt
from quorate.drill.probe_config import Target
from quorate.drill.outage import Outages
from quorate.drill.probe import Probe
from quorate.drill.scene import Skip
from quorate.report.drill.report import Felt
from quorate.spec.cluster import Cluster, Role

JITTER = 50
"""Milliseconds by which packets are late at most: from 0 to that, evenly."""
LOSS = 1
"""Percent of what comes to a host and of what leaves it: between two hosts it is lost twice as often."""
MOVES = 1
"""Moves of the virtual IP that are no false alarm yet; of elections none is."""
MOVED = "Entering MASTER STATE"
"""keepalived's own word for it."""
OUT = re.compile(r"^\S+ (refuses connections|is not there|is silent|answers \S+)$|^Server \S+ is DOWN.*$", re.M)
"""What the script of nginx' API servers, and haproxy, say of one that they take out."""
METRIC = "etcd_server_leader_changes_seen_total"


@dataclass(frozen=True)
class Weather:
    """What became of a cluster in bad weather."""

    cluster: str
    minutes: float
    loss: int
    jitter: str
    """Milliseconds, or why there was none."""
    burners: int
    """Processes that kept as many CPUs of the machine busy."""
    moves: Mapping[str, int]
    """How often a balancer took the virtual IP, by host."""
    elections: Mapping[str, int]
    """Changes of etcd's leader, by the member that saw them."""
    marked: Mapping[str, Sequence[str]]
    """API servers that were taken out, in the words of the balancer, by host."""
    lost: int
    """Acknowledged writes that were not there in the end."""
    probe: Mapping[str, Felt] = field(default_factory=dict)
    """What clients felt, by stream."""
    problem: str = ""
    """What did not heal, or why nothing is known of lost writes, if so."""

    @property
    def passed(self) -> bool:
        """At most one move and no election."""
        return not (self.problem or self.lost or any(self.elections.values())) and sum(self.moves.values()) <= MOVES

    def text(self) -> str:
        """JSON."""
        return json.dumps({**asdict(self), "passed": self.passed}, indent=1) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """What `text` made."""
        read = json.loads(text)
        read.pop("passed")
        return cls(**{**read, "probe": {stream: Felt(**each) for stream, each in read["probe"].items()}})


@dataclass(frozen=True)
class Look:
    """What one host tells."""

    now: int
    """Its clock, in seconds."""
    changes: int
    """Changes of the leader that its member of etcd has seen."""
    log: str


def look_script(member: bool, since: int | None) -> str:
    """sh for a host."""
    lines = ['echo "now $(date +%s)"']
    if member:
        lines.append(f"curl -gsf --noproxy '*' --max-time 5 http://127.0.0.1:2381/metrics | grep '^{METRIC} '")
    if since is not None:
        units = "-u keepalived -u quorate-upstreams -u haproxy"
        lines.append(f"echo log; journalctl -q --no-pager -o cat --since @{since} {units}")
    return "\n".join([*lines, ":"])


def parse(output: str) -> Look:
    """The answers. Raises QuorateError when the clock is missing."""
    head, _, log = output.partition("\nlog\n")
    said = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
    if "now" not in said:
        raise QuorateError("a host does not tell its time")
    return Look(int(said["now"]), int(float(said.get(METRIC, "0"))), log)


async def look(work: Work, before: Mapping[str, Look] | None = None) -> Mapping[str, Look]:
    """All hosts; with an earlier look, what their journals say since."""

    async def one(name: str, member: bool) -> Look:
        since = before[name].now if before else None
        return parse(await work.via.run(name, look_script(member, since), timeout=60))

    hosts = work.cluster.hosts
    found = await asyncio.gather(*(one(host.name, host.has(Role.ETCD)) for host in hosts))
    return {host.name: each for host, each in zip(hosts, found, strict=True)}


def judge(
    cluster: Cluster, before: Mapping[str, Look], after: Mapping[str, Look]
) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, Sequence[str]]]:
    """What has happened between two looks: moves, elections, and what was marked down."""
    balancers = [host.name for host in cluster.balancers]
    return (
        {name: after[name].log.count(MOVED) for name in balancers},
        {host.name: after[host.name].changes - before[host.name].changes for host in cluster.members},
        {name: [found.group() for found in OUT.finditer(after[name].log)] for name in balancers},
    )


@contextmanager
def busy(seconds: float) -> Iterator[int]:
    """As many processes as there are CPUs, each at work all the time; they end by themselves, too."""
    work = f"import time\nend = time.monotonic() + {seconds + GUARD}\nwhile time.monotonic() < end: pass"
    burners = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(os.cpu_count() or 1)]
    try:
        yield len(burners)
    finally:
        for each in burners:
            each.kill()
            each.wait()


async def blow(work: Work, outages: Outages, seconds: float, loss: int) -> str:
    """Begin the bad weather; how late packets are, or why they are not."""
    hosts = work.cluster.hosts
    jitter = f"0 to {JITTER} ms"
    try:
        await outages.begin([slow(host, JITTER // 2, JITTER // 2) for host in hosts], seconds)
    except Skip as skip:
        await outages.heal()
        jitter = f"none: {skip}"
    await outages.begin([lossy(host, loss) for host in hosts], seconds)
    return jitter


async def weather(made: Stand, minutes: float, loss: int = LOSS) -> Weather:
    """Bad weather over a cluster that is well, for so many minutes."""
    async with made.working("weather") as work:
        outages, seconds, failed = Outages(work.via), minutes * 60, list[str]()
        before = await look(work)
        async with Probe(Target.of(work.cluster, work.secrets), namespace="quorate-weather") as probe:
            try:
                jitter = await blow(work, outages, seconds, loss)
                with busy(seconds) as burners:
                    tell(f"{made.name}: {loss} % loss, jitter {jitter}, {burners} busy CPUs, {minutes:g} minutes")
                    first = time.monotonic()
                    while (left := first + seconds - time.monotonic()) > 0:
                        await asyncio.sleep(min(60.0, left))
                        tell(f"{made.name}: {(time.monotonic() - first) / 60:.0f} of {minutes:g} minutes")
            finally:
                failed = await asyncio.shield(outages.heal())
            seen = probe.window(first, time.monotonic())
        after = await look(work, before)
        assert probe.result is not None
        problem = "; ".join(filter(None, [*failed, probe.result.problem]))
        lost, told = len(probe.result.lost), judge(work.cluster, before, after)
        return Weather(made.name, minutes, loss, jitter, burners, *told, lost, felt(seen), problem)


def keep(found: Weather, folder: Path) -> None:
    """Write the report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"weather-{found.cluster}.json").write_text(found.text())
    moves, elections = sum(found.moves.values()), max(found.elections.values(), default=0)
    tell(f"{found.cluster}: {'passed' if found.passed else 'FAILED'}: {moves} moves, {elections} elections")


def main() -> int:
    """Bad weather over each cluster file; 1 when one does not stand it."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("files", nargs="*", type=Path, default=list(EXAMPLES))
    words.add_argument("--minutes", type=float, default=10)
    words.add_argument("--loss", type=int, default=LOSS, help="percent")
    words.add_argument("--out", type=Path, default=RESULTS)
    given = words.parse_args()
    bad = 0
    for example in given.files:
        with as_interrupt(), stand(example) as made:
            found = run(weather(made, given.minutes, given.loss))
        keep(found, given.out)
        bad += not found.passed
    return min(bad, 1)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except QuorateError as error:
        raise SystemExit(str(error)) from error
