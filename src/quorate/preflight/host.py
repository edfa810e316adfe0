"""Judges of the way to a host: these alone speak of hosts that do not answer."""

from quorate.preflight.check import World
from quorate.report.findings import Verdict, failed, passed, warned
from quorate.spec.cluster import Host


def _knows(world: World, host: Host) -> bool:
    """Whether an apply leaves it as it is."""
    return world.context.dispensable(host)


def reachable(world: World, host: Host) -> Verdict | None:
    """SSH leads to the host, and scripts run there."""
    why = world.lost.get(host.name)
    if why is None or _sudo(why):
        return passed()
    return warned(f"{why}; it is left as it is") if _knows(world, host) else failed(why)


def root(world: World, host: Host) -> Verdict | None:
    """Scripts run as root there."""
    why = world.lost.get(host.name)
    if why is None:
        return passed()
    if not _sudo(why):
        return None
    return warned(f"{why}; it is left as it is") if _knows(world, host) else failed(why)


def _sudo(why: str) -> bool:
    return "sudo" in why


def plan(world: World, host: Host) -> Verdict | None:
    """File, hosts and artifacts allow a plan; one answer for all hosts."""
    if host != world.cluster.hosts[0]:
        return None
    return (
        failed(world.trouble) if world.trouble else passed(f"{len(world.plan.changes)} changes" if world.plan else "")
    )
