"""Stopping services for a while, on a healthy cluster, and waiting until all is well again."""

import asyncio
from collections.abc import Sequence

from quorate.core import CommandFailed, TransportError
from quorate.execute.health import trouble
from quorate.execute.outage import Break
from quorate.render.sh import sh
from quorate.spec.cluster import Host
from quorate.verify.check import Wrong
from quorate.verify.env import Env, settled

STOPPED = 150.0
"""Seconds for which a check may leave services stopped; half a minute later a host starts them by itself."""
HEALTHY = 30.0
"""Seconds that a check waits for a healthy cluster before it stops anything."""
SETTLE = 120.0
"""Seconds for everything to be healthy again after a start."""


async def stop(env: Env, host: Host, units: Sequence[str], *, block: bool = True) -> None:
    """Stop services of a host; without `block` they may still be ending."""
    begin = sh("systemctl", "stop", *([] if block else ["--no-block"]), *units)
    heal = f"{sh('systemctl', 'reset-failed', *units)} 2>/dev/null\n{sh('systemctl', 'start', '--no-block', *units)}"
    try:
        await env.outages.begin([Break(host, begin, heal)], STOPPED)
    except CommandFailed:
        await start(env, host)
        raise


async def start(env: Env, host: Host) -> None:
    """Start again what was stopped on a host, without waiting, and put its timer away. Raises TransportError."""
    if failed := await env.outages.heal(host):
        raise TransportError("; ".join(failed), host=host.name)


async def healthy(env: Env) -> None:
    """Wait until all is well; raise Wrong when it doesn't come: a sick cluster is not hurt further."""
    last = ""

    async def look() -> bool | None:
        nonlocal last
        last = await trouble(env.cluster, env.via)
        return None if last else True

    if not await settled(look, HEALTHY, 1.0):
        raise Wrong(f"not tried, the cluster is not healthy: {last}")


async def recovered(env: Env) -> float:
    """Seconds until all is well again; raise Wrong when that takes too long."""
    began, last = asyncio.get_running_loop().time(), ""

    async def look() -> bool | None:
        nonlocal last
        last = await trouble(env.cluster, env.via)
        return None if last else True

    if not await settled(look, SETTLE, 1.0):
        raise Wrong(f"{SETTLE:.0f} s after the start: {last}")
    return asyncio.get_running_loop().time() - began
