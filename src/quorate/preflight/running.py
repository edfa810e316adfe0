"""How a cluster that runs is asked through its API servers, where versions move."""

from quorate.preflight.check import World
from quorate.resource.kube import kubectl
from quorate.spec.cluster import Host, Role


def asks(world: World, host: Host) -> bool:
    """Whether the host is the one through which objects are asked for."""
    return world.upgrades and host == world.context.api_host


def serves(world: World, host: Host) -> bool:
    """Whether the host has an API server to ask."""
    return world.upgrades and host.has(Role.CONTROL_PLANE)


def run(world: World, host: Host) -> str:
    """sh: kubectl at the host's own API server."""
    return kubectl(f"https://{host.ip}:{world.cluster.apiserver.port}")


def whole(answer: str) -> list[str] | None:
    """The lines of an answer that came to its end; None of one that did not."""
    *lines, last = answer.splitlines() or [""]
    return [line for line in lines if line.strip()] if last == "asked" else None


def some(names: list[str], most: int = 6) -> str:
    """Names for a reader, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def ends(world: World) -> tuple[str, str]:
    """The releases of Kubernetes at which the way begins and ends."""
    now = world.context.releases.get("kubernetes", world.cluster.versions.kubernetes)
    return now, world.context.supply.versions.get("kubernetes", now)
