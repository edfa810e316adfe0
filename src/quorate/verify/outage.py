"""Stopping services for a while: a timer on the host starts them again should nobody else."""

import asyncio
import uuid
from collections.abc import Sequence

from quorate.core import CommandFailed, QuorateError
from quorate.execute.health import trouble
from quorate.render.sh import sh
from quorate.spec.cluster import Host
from quorate.verify.check import Wrong
from quorate.verify.env import Env, Outage, settled

GUARD = 180
"""Seconds after which a host starts what was stopped there, whatever became of us."""
HEALTHY = 30.0
"""Seconds that a check waits for a healthy cluster before it stops anything."""
SETTLE = 120.0
"""Seconds for everything to be healthy again after a start."""


async def stop(env: Env, host: Host, units: Sequence[str], *, block: bool = True) -> None:
    """Stop services of a host; without `block` they may still be ending."""
    outage = Outage(host, tuple(units), f"quorate-verify-{uuid.uuid4().hex[:8]}")
    # Before anything is done: a stop that is cut off half way is put back, too.
    env.outages.append(outage)
    again = sh("systemctl", "start", "--no-block", *units)
    script = (
        "set -e\n"
        f"systemd-run --quiet --on-active={GUARD} --timer-property=AccuracySec=1s --unit={outage.guard} {again}\n"
        f"{sh('systemctl', 'stop', *([] if block else ['--no-block']), *units)}"
    )
    try:
        await env.run(host, script, 120)
    except CommandFailed:
        await start(env, host)
        raise


async def start(env: Env, host: Host) -> None:
    """Start again what was stopped on a host, without waiting, and put its timer away."""
    for outage in [each for each in env.outages if each.host == host]:
        await env.run(
            host,
            f"{sh('systemctl', 'reset-failed', *outage.units)} 2>/dev/null\n"
            f"{sh('systemctl', 'start', '--no-block', *outage.units)} || exit 1\n"
            f"systemctl stop {outage.guard}.timer 2>/dev/null || :",
            60,
        )
        env.outages.remove(outage)


async def start_all(env: Env) -> list[str]:
    """Start everything that is stopped; hosts where that failed, whose timers will do it."""
    failed = []

    async def one(host: Host) -> None:
        try:
            await start(env, host)
        except QuorateError as error:
            failed.append(f"{host.name}: {error}; its own timer starts them within {GUARD} s")

    await asyncio.gather(*(one(host) for host in {each.host.name: each.host for each in env.outages}.values()))
    return failed


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
