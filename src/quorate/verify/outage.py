"""Stopping services for a while, on a healthy cluster, and waiting until all is well again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core import CommandFailed, TransportError
from quorate.execute.health import trouble
from quorate.execute.outage import Injection
from quorate.render.sh import sh
from quorate.spec.cluster import Host
from quorate.verify.check import LookFailed
from quorate.verify.env import Env, until

STAYS_STOPPED_S = 150.0
"""Seconds for which a check may leave services stopped; half a minute later a host starts them by itself."""
HEALTHY_WITHIN_S = 30.0
"""Seconds that a check waits for a healthy cluster before it stops anything."""
RECOVERED_WITHIN_S = 120.0
"""Seconds for everything to be healthy again after a start."""


async def stop(env: Env, host: Host, units: Sequence[str], *, block: bool = True) -> None:
    """Stop services of a host; without `block` they may still be ending."""
    begin = sh("systemctl", "stop", *([] if block else ["--no-block"]), *units)
    heal = f"{sh('systemctl', 'reset-failed', *units)} 2>/dev/null\n{sh('systemctl', 'start', '--no-block', *units)}"
    try:
        await env.outages.begin([Injection(host, begin, heal)], STAYS_STOPPED_S)
    except CommandFailed:
        await start(env, host)
        raise


async def start(env: Env, host: Host) -> None:
    """Start again what was stopped on a host, without waiting, and put its timer away. Raises TransportError."""
    if failed := await env.outages.heal(host):
        raise TransportError("; ".join(failed), host=host.name)


@dataclass(frozen=True)
class Recovery:
    """How a cluster came back to health."""

    seconds: float = 0.0
    trouble: str = ""
    """What was not well in the end."""

    @property
    def fault(self) -> str:
        """What is wrong where it did not; else empty."""
        return f"{RECOVERED_WITHIN_S:.0f} s after the start: {self.trouble}" if self.trouble else ""


NOT_AWAITED = Recovery(trouble="nobody waited for it")
"""Of an experiment that ended early."""


async def healthy(env: Env) -> None:
    """Wait until all is well. Raises LookFailed when it does not come: a sick cluster is not hurt further."""
    if why := await _trouble(env, HEALTHY_WITHIN_S):
        raise LookFailed(f"not tried, the cluster is not healthy: {why}")


async def recovered(env: Env) -> Recovery:
    """Wait until all is well again, or its time is over."""
    began = asyncio.get_running_loop().time()
    why_not = await _trouble(env, RECOVERED_WITHIN_S)
    return Recovery(asyncio.get_running_loop().time() - began, why_not)


async def _trouble(env: Env, within: float) -> str:
    """What is not well after so many seconds; empty as soon as all is."""
    return await until(lambda why: not why, lambda: trouble(env.cluster, env.via), within, 1.0)
