"""What is wrong with a cluster right now: services that do not run or answer, and a virtual IP without one owner."""

from collections.abc import Mapping

from quorate.core import Transport
from quorate.execute.survey import View, survey
from quorate.spec.cluster import Cluster, Host

ASKED = ("units", "health", "addresses", "upstreams")
"""The questions of `survey` that tell: without the others a look costs a host half as much."""
MOST_TOLD = 4
"""Problems that are told; where there are more, one has caused the others."""


def problems(views: Mapping[str, View]) -> list[str]:
    """Services that do not run or do not answer, and API servers that a balancer does not use."""
    return [
        f"{unit.removesuffix('.service')} on {name} is {'silent' if service.state == 'active' else service.state}"
        for name, view in views.items()
        for unit, service in view.services.items()
        if not service.ok
    ] + [f"the balancer on {name} leaves out {each}" for name, view in views.items() for each in view.left_out]


def owners(cluster: Cluster, views: Mapping[str, View]) -> list[Host]:
    """The balancers that have the virtual IP; none in a cluster without one."""
    vip = str(cluster.endpoint.vip)
    return [host for host in cluster.balancers if host.name in views and vip in views[host.name].addresses]


def judge(cluster: Cluster, views: Mapping[str, View], lost: Mapping[str, str]) -> str:
    """What is wrong, in one line; empty when all is well. `lost` says why hosts gave no view."""
    found = [f"{host}: {why}" for host, why in lost.items()] or problems(views)
    if not found and cluster.endpoint.vip and (count := len(owners(cluster, views))) != 1:
        found = [f"{count} hosts hold the virtual IP"]
    return "; ".join(found[:MOST_TOLD])


async def trouble(cluster: Cluster, via: Transport, *, in_turn: bool = False) -> str:
    """What is wrong right now, empty when all is well. Raises nothing for hosts that do not answer.

    `in_turn`: see `survey`.
    """
    return judge(cluster, *await survey(cluster, via, only=ASKED, in_turn=in_turn))
