"""The endpoint: nobody is pointed at it before it answers."""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.resource.brick import Brick
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host

NAME = "endpoint"
AFTER: tuple[str, ...] = ("balancer", "apiserver")
SERIAL = False


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """A control-plane host that asks the endpoint for /readyz, all the way round."""
    if host != context.spokesman:
        return
    url = f"{context.cluster.server_url}/readyz"
    yield Ready(
        host=host.name,
        what="endpoint",
        check=f"curl -gsfk --connect-timeout 1 --max-time 3 {url}",
        within=60,
        evidence=f"curl -gsvk --connect-timeout 1 --max-time 3 {url} 2>&1 | tail -n 5",
    )
