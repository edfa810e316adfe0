"""The check that stops a master. It puts back what it stopped."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from quorate.core import CommandFailed, TransportError
from quorate.report.findings import Verdict, failed, passed
from quorate.spec import processes
from quorate.spec.cluster import Cluster, Host, Role
from quorate.verify.env import Env, until
from quorate.verify.failover import CALM_S, LONGEST_GAP_S, asker
from quorate.verify.outage import NOT_AWAITED, Recovery, healthy, recovered, start, stop
from quorate.verify.sample import Sample, sampling

LEASES = processes.elected()
LEASES_MOVE_S = 40.0
"""Seconds for other masters to take leases over."""


def no_other_master(cluster: Cluster) -> str:
    """Why no master may stop."""
    if len(cluster.masters) < 2:
        return "there is one control-plane host only"
    if cluster.front == cluster.masters[0].ip and not cluster.endpoint.local:
        return "the endpoint is the first master itself: no virtual IP, no balancer, in the cluster file"
    return ""


@dataclass(frozen=True)
class MasterLoss:
    """What came of it when the services of a master stopped."""

    victim: str
    units: tuple[str, ...]
    """The services."""
    leases: tuple[str, ...]
    """Those that it held."""
    heirs: Mapping[str, str] | None
    """By lease, the identity of who held it then; None when some were still the victim's."""
    seconds: float
    """Until then."""
    sample: Sample
    recovery: Recovery = NOT_AWAITED

    @property
    def fault(self) -> str:
        """What is wrong with what came of it; else empty. Nobody waits for a recovery then."""
        if self.heirs is None:
            return f"{self.seconds:.0f} s after {self.victim} stopped, leases are still its own; {self.sample}"
        return f"{self.victim} stopped: {self.sample}" if self.sample.gap >= LONGEST_GAP_S else ""


async def look_loss(env: Env) -> MasterLoss:
    """15: all services of the master that leads stop."""
    await healthy(env)
    c = env.cluster
    holders = await _holders(env)
    names = await env.many(c.masters, lambda _host: "cat /proc/sys/kernel/hostname")
    at = {name.strip(): c.host(host) for host, name in names.items()}
    led_by = {lease: at.get(holder.rpartition("_")[0]) for lease, holder in holders.items()}
    victim = led_by[LEASES[0]] or c.masters[0]
    try:
        loss = await _stopped(env, victim, {lease: holders[lease] for lease in LEASES if led_by[lease] == victim})
    finally:
        await asyncio.shield(start(env, victim))
    return loss if loss.fault else replace(loss, recovery=await recovered(env))


async def _stopped(env: Env, victim: Host, held: Mapping[str, str]) -> MasterLoss:
    """Stop a master that holds these leases, and wait until others hold them."""
    with_member = victim.has(Role.ETCD) and len(env.cluster.members) >= 3
    units = (*processes.control_plane(), *(["etcd.service"] if with_member else []))

    async def moved() -> dict[str, str] | None:
        try:
            now = await _holders(env)
        except (CommandFailed, TransportError, ValueError):
            return None
        return None if any(now[lease] in {before, ""} for lease, before in held.items()) else now

    async with sampling(env, asker(env.cluster, but=victim)) as sample:
        await asyncio.sleep(CALM_S / 2)
        began = asyncio.get_running_loop().time()
        await stop(env, victim, units, block=False)
        heirs = await until(lambda heirs: heirs is not None, moved, LEASES_MOVE_S, 0.5)
        seconds = asyncio.get_running_loop().time() - began
        await asyncio.sleep(2 * CALM_S)
    return MasterLoss(victim.name, units, tuple(held), heirs, seconds, sample())


async def _holders(env: Env) -> dict[str, str]:
    """Who holds each lease; empty where nobody does."""
    run = f"{env.kubectl()} get --raw /apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    items = json.loads(await env.admin(run))["items"]
    held = {item["metadata"]["name"]: item["spec"].get("holderIdentity") or "" for item in items}
    return {name: held.get(name, "") for name in LEASES}


def judge_loss(_cluster: Cluster, seen: MasterLoss) -> Verdict:
    """The API goes on, another master leads, and all is well afterwards."""
    if wrong := seen.fault or seen.recovery.fault:
        return failed(wrong)
    heirs = seen.heirs or {}
    leaders = ", ".join(f"{lease} led by {heirs[lease].rpartition('_')[0]}" for lease in seen.leases)
    what = f"{len(seen.units)} services of {seen.victim}" + (" (etcd too)" if "etcd.service" in seen.units else "")
    how = f"{leaders or 'it led nothing'} within {seen.seconds:.1f} s; {seen.sample}"
    return passed(f"{what} stopped: {how}; all back in {seen.recovery.seconds:.0f} s")
