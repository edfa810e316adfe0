"""What if: each host and each process of a cluster lost in turn, and what that does to the cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from quorate.spec.cluster import Cluster, Role
from quorate.spec.consequence import broken, meaning
from quorate.spec.losses import Loss, alike, fatal, losses, may_fail, names, some, whole
from quorate.spec.outlook import outlook
from quorate.spec.processes import vital
from quorate.spec.survival import Outcome, Part, Reads, after, between, entry_points, needed, parts


@dataclass(frozen=True)
class Case:
    """One thing that may fail, on one of some hosts, whichever it is."""

    what: str
    hosts: tuple[str, ...]
    process: str
    """Empty for the whole host, or a link."""
    outcome: Outcome
    meaning: str
    """One line."""

    @property
    def verdict(self) -> str:
        """`survives` or `fails`."""
        return "survives" if self.outcome.ok else "fails"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "what": self.what,
            "hosts": list(self.hosts),
            "process": self.process,
            "survives": self.outcome.ok,
            "api": self.outcome.reads.name.lower(),
            "writes": self.outcome.writes,
            "control_loops": self.outcome.loops,
            "pods": self.outcome.pods,
            "meaning": self.meaning,
        }


def cases(cluster: Cluster) -> list[Case]:
    """Every host, every process and the link between the balancers, each lost alone; those that end alike as one."""
    return [*_hosts(cluster), *_processes(cluster), *_link(cluster)]


def _hosts(cluster: Cluster) -> Iterator[Case]:
    for group in alike(cluster, whole(cluster)):
        lost = parts(cluster, group[0])
        now = after(cluster, lost)
        yield Case(some(names(group)), names(group), "", now, meaning(cluster, now, lost))


def _processes(cluster: Cluster) -> Iterator[Case]:
    for role in Role:
        for process in vital(cluster, role):
            ends: dict[tuple[Reads, bool, bool, str], tuple[set[str], Outcome]] = {}
            for group in alike(cluster, partial(parts, cluster, roles=(role,))):
                lost = frozenset({Part(group[0].name, process)})
                now = after(cluster, lost)
                key = (now.reads, now.loops, now.pods, meaning(cluster, now, lost))
                ends.setdefault(key, (set(), now))[0].update(names(group))
            for (*_, told), (found, now) in ends.items():
                hosts = tuple(host.name for host in cluster.hosts if host.name in found)
                where = "one host" if len(ends) == 1 and len(hosts) > 1 else some(hosts)
                yield Case(f"{process} on {where}", hosts, process, now, told)


def _link(cluster: Cluster) -> Iterator[Case]:
    if len(cluster.balancers) > 1:
        now = after(cluster, frozenset(), between(cluster.balancers))
        held = "each holds the virtual IP until it is back, and leads to an API server" if cluster.endpoint.vip else ""
        have, of = len(now.ready), len(cluster.masters)
        fewer = f"at worst {have} of {of} API servers serve meanwhile" if have < of else ""
        told = [*broken(cluster, now)] or [*filter(None, (held, fewer))] or ["each of them goes on"]
        yield Case("the link between the balancers", names(cluster.balancers), "", now, "; ".join(told))


@dataclass(frozen=True)
class Pairs:
    """Two hosts lost at once."""

    all: int
    """How many pairs there are."""
    fatal: tuple[Loss, ...]
    """Those that are not survived."""

    @property
    def survived(self) -> int:
        """How many pairs are survived."""
        return self.all - sum(loss.ways for loss in self.fatal)

    def __str__(self) -> str:
        said = f"{self.survived} of {self.all} pairs are survived"
        return f"{said}; not {', nor '.join(map(str, self.fatal))}" if self.fatal else said


def pairs(cluster: Cluster) -> Pairs:
    """All pairs of hosts, judged."""
    what = whole(cluster)
    every = sum(loss.ways for loss in losses(alike(cluster, what), 2))
    return Pairs(every, tuple(fatal(cluster, 2, what)))


NOUNS = {
    Role.ETCD: ("etcd member", "its loss stops the API, and only a backup brings the data back"),
    Role.CONTROL_PLANE: ("master", "without it nothing is changed or mended, pods go on"),
    Role.LOAD_BALANCER: ("balancer", "its loss takes the endpoint away"),
    Role.WORKER: ("worker", "its loss leaves no place for pods"),
}
"""Each role in words, and what the loss of its only host means."""


def tolerance(cluster: Cluster) -> dict[Role, tuple[int, int]]:
    """How many hosts of each role may fail in it, whichever they are, and of how many."""
    return {role: (may_fail(cluster, role), len(cluster.having(role))) for role in NOUNS if cluster.having(role)}


def weaknesses(cluster: Cluster) -> list[str]:
    """What is worth telling before it happens."""
    told = []
    for role, (spare, of) in tolerance(cluster).items():
        noun, loss = NOUNS[role]
        if of == 1:
            told.append(f"one {noun} only: {loss}")
        elif not spare and role is not Role.ETCD:
            told.append(f"not every {noun} may fail: clients come in at {cluster.server} alone")
    members = len(cluster.members)
    if members and members % 2 == 0:
        most = members - needed(cluster)
        told.append(f"{members} etcd members survive the loss of {most}, as {members - 1} do: an even one adds nothing")
    if len(cluster.masters) == 2:
        told.append("two masters: while one is away or restarts, the other must not fail")
    if cluster.endpoint.local and not cluster.endpoint.address and len(cluster.masters) > 1:
        told.append("clients outside come in at one master each: while it is away they need another's address")
    if cluster.endpoint.address and cluster.front not in {host.ip for host in entry_points(cluster)}:
        told.append(f"{cluster.server} is yours: that it leads past whatever does not answer is taken for granted")
    return told


def rows(cluster: Cluster) -> list[tuple[str, str, str]]:
    """What fails, `survives` or `fails`, and what that means: the table for a report."""
    found = [(case.what, case.verdict, case.meaning) for case in cases(cluster)]
    two = pairs(cluster)
    if two.all:
        found.append(("any two hosts at once", "fails" if two.fatal else "survives", str(two)))
    return found


def as_dict(cluster: Cluster) -> dict[str, Any]:
    """All of it as plain data."""
    two = pairs(cluster)
    return {
        "cluster": cluster.name,
        "endpoint": cluster.server_url,
        "survives": outlook(cluster).as_dict(),
        "may_fail": {str(role): {"any": may, "of": of} for role, (may, of) in tolerance(cluster).items()},
        "cases": [case.as_dict() for case in cases(cluster)],
        "pairs": {
            "all": two.all,
            "survived": two.survived,
            "not_survived": [list(names(each)) for loss in two.fatal for each in loss.sets()],
        },
        "weaknesses": weaknesses(cluster),
    }
