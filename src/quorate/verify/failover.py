"""Checks that stop a balancer. What is stopped by the first of them stays so until the last one starts it again."""

import asyncio
from dataclasses import dataclass

from quorate.report.findings import Verdict, failed, passed, skipped
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster, Host, Role
from quorate.verify.env import Env, until
from quorate.verify.outage import Recovery, healthy, recovered, start, stop
from quorate.verify.sample import NOT_SAMPLED, Sample, sampling
from quorate.verify.traffic import TIMES, version_script
from quorate.verify.vip import holders, no_vip

CALM_S = 1.0
"""Seconds to go on asking after the dust has settled, half of it before anything is done."""
VIP_MOVES_S = 20.0
"""Seconds for the virtual IP to move; it takes less than one where all is well."""
LONGEST_GAP_S = 10.0
"""Seconds without the API that a user may see when a part dies; measured ones are about 1."""
NONE_STOPPED = "no balancer is stopped: see check 6"


def no_other_balancer(cluster: Cluster) -> str:
    """Why the virtual IP has nowhere to go."""
    return no_vip(cluster) or ("there is one load balancer only" if len(cluster.balancers) < 2 else "")


def asker(cluster: Cluster, *, but: Host) -> Host:
    """A host with curl to ask from, other than the one that is hurt; all that hurt one need a second one."""
    return next(host for host in (*cluster.workers, *cluster.masters, *cluster.balancers) if host != but)


def _unit(cluster: Cluster) -> str:
    return f"{cluster.load_balancer.kind}.service"


@dataclass(frozen=True)
class Move:
    """The virtual IP while its holder's balancer stops."""

    before: tuple[str, ...]
    """Who had it; nothing is stopped unless it is one."""
    after: tuple[str, ...] = ()
    """Who had it then: as soon as it was another one alone, or when the time for that was over."""
    seconds: float = 0.0
    """Until then."""
    sample: Sample = NOT_SAMPLED


async def look_moves(env: Env) -> Move:
    """6: the balancer of the VIP's owner stops. It stays stopped for 7 and 8."""
    await healthy(env)
    before = await holders(env)
    if len(before) != 1:
        return Move(before)
    owner = env.cluster.host(before[0])
    async with sampling(env, asker(env.cluster, but=owner)) as sample:
        await asyncio.sleep(CALM_S / 2)
        began = asyncio.get_running_loop().time()
        await stop(env, owner, [_unit(env.cluster)])
        after = await until(lambda names: _moved(before, names), lambda: holders(env), VIP_MOVES_S)
        seconds = asyncio.get_running_loop().time() - began
        await asyncio.sleep(CALM_S)
    return Move(before, after, seconds, sample())


def _moved(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return len(after) == 1 and after != before


def judge_moves(cluster: Cluster, seen: Move) -> Verdict:
    """It goes to another balancer, and users hardly notice."""
    vip = cluster.endpoint.vip
    if len(seen.before) != 1:
        return failed(f"{vip} is on {len(seen.before)} hosts")
    owner, after = seen.before[0], ", ".join(seen.after) or "no host"
    if not _moved(seen.before, seen.after):
        return failed(f"{seen.seconds:.0f} s after {_unit(cluster)} stopped on {owner}, {vip} is on {after}")
    if seen.sample.gap >= LONGEST_GAP_S:
        return failed(f"{owner} to {after}, but {seen.sample}")
    return passed(f"{vip} from {owner} to {after} within {seen.seconds:.1f} s; {seen.sample}")


@dataclass(frozen=True)
class Answers:
    """What the endpoint answers while a balancer is stopped."""

    asker: str
    stopped: str
    """The host of that balancer."""
    good: int


async def look_answers(env: Env) -> Answers | None:
    """7: requests to the endpoint while the first balancer is stopped; None when none is."""
    if not env.outages.open:
        return None
    stopped = env.outages.open[0].what.host
    host = asker(env.cluster, but=stopped)
    trust = pki_files.CA if host.has(Role.CONTROL_PLANE) or host.has(Role.WORKER) else ""
    text = await env.run(host, version_script([env.cluster.server_url], trust))
    return Answers(host.name, stopped.name, text.count('"gitVersion"'))


def judge_answers(cluster: Cluster, seen: Answers | None) -> Verdict:
    """It answers each time."""
    if seen is None:
        return skipped(NONE_STOPPED)
    if seen.good != TIMES:
        return failed(f"{seen.good} of {TIMES} answers at {cluster.endpoint.vip} from {seen.asker}")
    return passed(f"{seen.good} of {TIMES} answers from {seen.asker} with {_unit(cluster)} stopped on {seen.stopped}")


@dataclass(frozen=True)
class Return:
    """The virtual IP while the balancer starts again."""

    before: tuple[str, ...]
    recovery: Recovery
    after: tuple[str, ...] = ()
    sample: Sample = NOT_SAMPLED


async def look_settles(env: Env) -> Return | None:
    """8: the balancer starts again; None when none is stopped."""
    if not env.outages.open:
        return None
    owner = env.outages.open[0].what.host
    before = await holders(env)
    async with sampling(env, asker(env.cluster, but=owner)) as sample:
        await start(env, owner)
        recovery = await recovered(env)
        if recovery.fault:
            return Return(before, recovery)
        await asyncio.sleep(2 * CALM_S)
        after = await holders(env)
    return Return(before, recovery, after, sample())


def judge_settles(cluster: Cluster, seen: Return | None) -> Verdict:
    """The VIP stays or returns, and is on exactly one host all the time."""
    vip = cluster.endpoint.vip
    if seen is None:
        return skipped(NONE_STOPPED)
    if seen.recovery.fault:
        return failed(seen.recovery.fault)
    if len(seen.after) != 1:
        return failed(f"{vip} is on {', '.join(seen.after) or 'no host'}")
    if seen.sample.gap >= LONGEST_GAP_S:
        return failed(f"{seen.sample}")
    verb = "stays on" if seen.after == seen.before else "returned to"
    healthy_after = f"all healthy {seen.recovery.seconds:.1f} s after the start"
    return passed(f"{healthy_after}; {vip} {verb} {seen.after[0]}; {seen.sample}")
