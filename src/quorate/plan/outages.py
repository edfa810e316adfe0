"""What a plan takes away for a while, where nothing takes its place: said before it happens."""

from collections import Counter
from collections.abc import Iterator

from quorate.plan.show import Shown, Sort
from quorate.spec.cluster import Cluster, Host
from quorate.spec.processes import APISERVER, ETCD

AWAY_S = 10
"""Seconds without an API while an API server, or a member of etcd with it, is restarted: it stops in 3 to 6 s when no
request is under way, and is ready 3 to 4 s after its start (journal of an upgrade on simulated hosts, two cores).
"""
BALANCER_S = 2
"""The same of a balancer."""


def outages(shown: Shown, cluster: Cluster) -> Iterator[str]:
    """A line for each service of which the cluster has one alone, and that restarts."""
    alone = {
        **_only(APISERVER, cluster.masters, AWAY_S),
        **_only(ETCD, cluster.members, AWAY_S),
        **_only(f"{cluster.load_balancer.kind}.service", cluster.balancers, BALANCER_S),
    }
    restarts = Counter(
        (line.key.host, line.name) for line in shown.lines if line.sort is Sort.RESTART and line.kind == "unit"
    )
    for (host, unit), times in restarts.items():
        if seconds := alone.get((host, unit)):
            often = "" if times == 1 else f", {times} times"
            yield (
                f"{host} alone runs {unit.removesuffix('.service')}: while that restarts the API is away for some "
                f"{seconds} s{often}; requests under way may end before"
            )


def _only(unit: str, hosts: tuple[Host, ...], seconds: int) -> dict[tuple[str, str], int]:
    return {(host.name, unit): seconds for host in hosts if len(hosts) == 1}
