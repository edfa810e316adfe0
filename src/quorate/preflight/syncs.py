"""Judge of how fast the disk of etcd syncs: measured where a member is to come, told by etcd where one runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from quorate.preflight.check import Question, World
from quorate.render import questions
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.ports import ETCD_METRICS
from quorate.spec.timing import timing

ASKED = 10
"""Milliseconds that the 99th percentile may take (the same place)."""
HISTOGRAM = "etcd_disk_wal_fsync_duration_seconds_bucket"


@dataclass(frozen=True)
class Syncs:
    """How long syncs take, in milliseconds."""

    p99: float
    median: float
    of: str
    """Which."""


def _ask_fsync(world: World, host: Host) -> str:
    """Times of single synced writes, where a member is to come."""
    if not world.comes(host, Role.ETCD) or world.facts(host).etcd_member:
        return ""
    return questions.fsync(world.cluster.etcd.data_dir)


def _ask_etcd(world: World, host: Host) -> str:
    """What the member that runs has counted since it started: its disk needs no load of ours."""
    if not host.has(Role.ETCD) or "etcd.service" not in world.facts(host).running:
        return ""
    metrics = f"http://127.0.0.1:{ETCD_METRICS}/metrics"
    return f"curl -gsf --noproxy '*' --max-time 3 {metrics} | sed -n 's/^{HISTOGRAM}{{le=\"\\(.*\\)\"}}/\\1/p'"


FSYNC = Question("fsync", _ask_fsync)
ETCD = Question("syncs of etcd", _ask_etcd)


def _measured(world: World, host: Host) -> Syncs | None:
    times = sorted(1000 * float(word) for word in world.answer(host, FSYNC.name).split() if word[0].isdigit())
    if not times:
        return None
    late = times[min(len(times) - 1, round(len(times) * 0.99) - 1)]
    return Syncs(late, median(times), f"{len(times)} writes near {world.cluster.etcd.data_dir}")


def _told(world: World, host: Host) -> Syncs | None:
    """etcd counts how many took up to a limit, for limits that double."""
    rows = [words for line in world.answer(host, ETCD.name).splitlines() if len(words := line.split()) == 2]
    counts = [(1000 * float(limit), float(count)) for limit, count in rows]
    if not counts or not counts[-1][1]:
        return None
    return Syncs(quantile(0.99, counts), quantile(0.5, counts), f"{counts[-1][1]:.0f} syncs of etcd since its start")


def quantile(share: float, counts: Sequence[tuple[float, float]]) -> float:
    """The value below which a share of all lies, by limits and how many are up to each, the last of them infinite.

    Within two limits they count as spread evenly, as Prometheus's histogram_quantile has it.
    """
    wanted = share * counts[-1][1]
    for (below, less), (limit, count) in pairwise([(0.0, 0.0), *counts[:-1]]):
        if count >= wanted:
            return below + (limit - below) * (wanted - less) / (count - less)
    return counts[-2][0]


def fsync(world: World, host: Host) -> Verdict | None:
    """Fast enough for etcd, which answers a write only when it is on a majority of disks."""
    runs = bool(_ask_etcd(world, host))
    if not runs and not _ask_fsync(world, host):
        return None
    if (found := _told(world, host) if runs else _measured(world, host)) is None:
        return unchecked()
    clocks = timing(world.cluster)
    text = f"p99 {found.p99:.1f} ms, median {found.median:.1f} ms of {found.of}"
    if found.median >= clocks.election_ms:
        # What runs all the same is not to be kept from being mended.
        judge = warned if runs else failed
        return judge(f"{text}: no leader stays one, the others elect anew after {clocks.election_ms} ms")
    if found.p99 > clocks.heartbeat_ms:
        return warned(
            f"{text}: above the heartbeat of {clocks.heartbeat_ms} ms, so a busy leader is late with it, "
            f"and one that is {clocks.election_ms} ms late is lost"
        )
    return warned(f"{text}: etcd asks for {ASKED} ms") if found.p99 > ASKED else passed(text)
