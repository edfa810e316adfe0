"""What is left of a cluster when some of it is lost: from the file alone, by one function, `after`.

What counts is named in the terms of systemd, so that a look at the hosts can be judged by the same function. How well
what is left would bear the load is not judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import combinations
from typing import NamedTuple

from quorate.spec import processes
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.processes import elected, vital


class Part(NamedTuple):
    """A process of a host that the cluster rests on; lost with the host, or alone."""

    host: str
    process: str
    """Its unit without `.service`."""


Parts = frozenset[Part]
Cut = frozenset[frozenset[str]]
"""Pairs of hosts that do not reach each other though both run."""


WAY_TO_ETCD, APISERVER = (unit.removesuffix(".service") for unit in (processes.WAY, processes.APISERVER))
LOOPS = elected()
"""The control loops; one of each leads."""


class Reads(IntEnum):
    """What a client at the endpoint gets to read, from worst to best."""

    NO = 0
    """Nothing: it reaches no API server."""
    MEMORY = 1
    """What API servers know without etcd: /version, and objects as far as they still trust what they hold. A member
    without a leader ends their watches after 3 election timeouts (kubernetes: etcd3/watcher.go)."""
    YES = 2


@dataclass(frozen=True)
class Outcome:
    """What a cluster still does."""

    reads: Reads
    idle: tuple[str, ...] = ()
    """The control loops of which none runs beside an API server that is ready."""
    members: tuple[str, ...] = ()
    """Hosts whose member of etcd runs."""
    ready: tuple[str, ...] = ()
    """Masters whose API server has its way to a quorum of etcd."""
    entry_points: tuple[str, ...] = ()
    """Hosts at which clients may come in, of those that the file names."""
    workers: tuple[str, ...] = ()
    """Hosts that run pods."""

    @property
    def loops(self) -> bool:
        """Whether the control loops go on."""
        return not self.idle

    @property
    def pods(self) -> bool:
        """Whether a worker is left to start pods on."""
        return bool(self.workers)

    @property
    def writes(self) -> bool:
        """Whether the API can be written through the endpoint."""
        return self.reads is Reads.YES

    @property
    def ok(self) -> bool:
        """Whether the cluster does all that it is for."""
        return self.writes and self.loops and self.pods


def parts(cluster: Cluster, host: Host, roles: Iterable[Role] = tuple(Role)) -> Parts:
    """What goes with a host, or with those of its roles that are named."""
    return frozenset(Part(host.name, process) for role in roles if host.has(role) for process in vital(cluster, role))


def needed(cluster: Cluster) -> int:
    """How many members of etcd must run."""
    return len(cluster.members) // 2 + 1


def entry_points(cluster: Cluster) -> tuple[Host, ...]:
    """The hosts at which clients come in; none where the address leads to something that is not in the file.

    Where nodes have balancers of their own those are not among them: they are part of what makes a worker.
    """
    if cluster.endpoint.vip:
        return cluster.balancers
    if cluster.endpoint.local and not cluster.endpoint.address:
        return cluster.masters
    fronts = (*cluster.balancers, *cluster.masters)
    return tuple(host for host in cluster.hosts if host.ip == cluster.front and host in fronts) or cluster.balancers


def after(cluster: Cluster, lost: Parts, cut: Cut = frozenset()) -> Outcome:
    """What the cluster still does without these parts and across these cuts.

    Where a cut leaves it open who leads etcd, the worst case counts.
    """
    found = [_led(cluster, lost, cut, quorum) for quorum in _quorums(cluster, lost, cut)]
    worst = min(found, key=lambda each: (each.reads, each.loops, len(each.ready), each.ready))
    return replace(worst, idle=tuple(loop for loop in LOOPS if any(loop in each.idle for each in found)))


def _quorums(cluster: Cluster, lost: Parts, cut: Cut) -> set[frozenset[str]]:
    """The sets of members that can be at work together: a leader and all that it reaches; one empty set for none."""
    run = _running(cluster, Role.ETCD, lost)
    sides = {frozenset(other for other in run if _linked(one, other, cut)) for one in run}
    return {side for side in sides if len(side) >= needed(cluster)} or {frozenset()}


def _led(cluster: Cluster, lost: Parts, cut: Cut, quorum: frozenset[str]) -> Outcome:
    answering = [host for host in cluster.masters if Part(host.name, APISERVER) not in lost]
    ready = [
        master
        for master in answering
        if Part(master.name, WAY_TO_ETCD) not in lost and any(_linked(master.name, member, cut) for member in quorum)
    ]
    open_entries = [entry for entry in entry_points(cluster) if not _shut(cluster, entry, lost)]
    levels = [_level(entry, ready, answering, cut) for entry in open_entries]
    if not entry_points(cluster):
        levels = [_level(None, ready, answering, cut)]
    # Balancers that do not see each other hold the address side by side, and each gets its share of the clients.
    apart = any(not _linked(one.name, other.name, cut) for one in open_entries for other in open_entries)
    return Outcome(
        reads=(min if apart else max)(levels, default=Reads.NO),
        idle=tuple(loop for loop in LOOPS if all(Part(master.name, loop) in lost for master in ready)),
        members=tuple(_running(cluster, Role.ETCD, lost)),
        ready=tuple(master.name for master in ready),
        entry_points=tuple(entry.name for entry in open_entries),
        workers=tuple(_running(cluster, Role.WORKER, lost)),
    )


def _running(cluster: Cluster, role: Role, lost: Parts) -> list[str]:
    """The hosts of a role that have lost nothing of what it needs."""
    return [host.name for host in cluster.having(role) if not parts(cluster, host, (role,)) & lost]


def _shut(cluster: Cluster, entry: Host, lost: Parts) -> bool:
    """Whether nobody comes in at a host any more."""
    what = parts(cluster, entry, (Role.LOAD_BALANCER,)) or {Part(entry.name, APISERVER)}
    return bool(what & lost)


def _level(entry: Host | None, ready: list[Host], answering: list[Host], cut: Cut) -> Reads:
    """What clients get who come in at a host, or at an address outside.

    A balancer leads to API servers that are ready; when there is none, to any that answers.
    """
    for servers, level in ((ready, Reads.YES), (answering, Reads.MEMORY)):
        if any(_leads(entry, server, cut) for server in servers):
            return level
    return Reads.NO


def _leads(entry: Host | None, server: Host, cut: Cut) -> bool:
    if entry is None or entry == server:
        return True
    return entry.has(Role.LOAD_BALANCER) and _linked(entry.name, server.name, cut)


def _linked(one: str, other: str, cut: Cut) -> bool:
    return frozenset((one, other)) not in cut


def between(hosts: Iterable[Host]) -> Cut:
    """All links among some hosts, cut."""
    return frozenset(map(frozenset, combinations((host.name for host in hosts), 2)))
