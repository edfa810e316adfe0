"""Checks that stop a balancer or a master. Each puts back what it stopped."""

import asyncio
import json

from quorate.core import CommandFailed, TransportError
from quorate.spec import pki_files, processes
from quorate.spec.cluster import Host, Role
from quorate.verify.api import version_script
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, settled
from quorate.verify.outage import healthy, recovered, start, stop
from quorate.verify.sample import sampling
from quorate.verify.vip import address, holders

LEASES = processes.elected()
CALM = 1.0
"""Seconds to go on asking after the dust has settled, half of it before anything is done."""
MOVE = 20.0
"""Seconds for the virtual IP to move; it takes less than one where all is well."""
LONGEST_GAP = 10.0
"""Seconds without the API that a user may see when a part dies; measured ones are about 1."""


def _asker(env: Env, *, but: Host) -> Host:
    """A host with curl to ask from, other than the one that is hurt."""
    c = env.cluster
    for host in (*c.workers, *c.masters, *c.balancers):
        if host != but:
            return host
    raise Skip("there is no second host to ask from")


def _unit(env: Env) -> str:
    return f"{env.cluster.load_balancer.kind}.service"


async def vip_moves(env: Env) -> str:
    """6: the balancer of the VIP's owner stops; the VIP goes to another balancer. It stays stopped for 7 and 8."""
    vip = address(env)
    if len(env.cluster.balancers) < 2:
        raise Skip("there is one load balancer only")
    await healthy(env)
    owners = await holders(env)
    demand(len(owners) == 1, f"{vip} is on {len(owners)} hosts")
    owner = owners[0]
    async with sampling(env, _asker(env, but=owner)) as sample:
        await asyncio.sleep(CALM / 2)
        began = asyncio.get_running_loop().time()
        await stop(env, owner, [_unit(env)])

        async def moved() -> Host | None:
            found = await holders(env)
            return found[0] if len(found) == 1 and found[0] != owner else None

        heir = await settled(moved, MOVE)
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(CALM)
    if heir is None:
        found = ", ".join(host.name for host in await holders(env)) or "no host"
        raise Wrong(f"{took:.0f} s after {_unit(env)} stopped on {owner.name}, {vip} is on {found}")
    demand(sample.gap < LONGEST_GAP, f"{owner.name} to {heir.name}, but {sample}")
    return f"{vip} from {owner.name} to {heir.name} within {took:.1f} s; {sample}"


async def vip_answers(env: Env) -> str:
    """7: the endpoint answers while the first balancer is stopped."""
    vip = address(env)
    if not env.outages.open:
        raise Skip("no balancer is stopped: see check 6")
    asker = _asker(env, but=env.outages.open[0].what.host)
    text = await env.run(asker, version_script([env.cluster.server_url], pki_files.CA if _has_ca(asker) else ""))
    good = text.count('"gitVersion"')
    demand(good == 4, f"{good} of 4 answers at {vip} from {asker.name}")
    return f"{good} of 4 answers from {asker.name} with {_unit(env)} stopped on {env.outages.open[0].what.host.name}"


def _has_ca(host: Host) -> bool:
    return host.has(Role.CONTROL_PLANE) or host.has(Role.WORKER)


async def vip_settles(env: Env) -> str:
    """8: the balancer starts again; the VIP stays or returns, and is on exactly one host all the time."""
    vip = address(env)
    if not env.outages.open:
        raise Skip("no balancer is stopped: see check 6")
    owner = env.outages.open[0].what.host
    before = await holders(env)
    async with sampling(env, _asker(env, but=owner)) as sample:
        await start(env, owner)
        seconds = await recovered(env)
        await asyncio.sleep(2 * CALM)
        after = await holders(env)
    demand(len(after) == 1, f"{vip} is on {', '.join(host.name for host in after) or 'no host'}")
    demand(sample.gap < LONGEST_GAP, f"{sample}")
    verb = "stays on" if after == before else "returned to"
    return f"all healthy {seconds:.1f} s after the start; {vip} {verb} {after[0].name}; {sample}"


async def _holders_of_leases(env: Env) -> dict[str, str]:
    run = f"{env.kubectl()} get --raw /apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    items = json.loads(await env.admin(run))["items"]
    held = {item["metadata"]["name"]: item["spec"].get("holderIdentity") or "" for item in items}
    return {name: held.get(name, "") for name in LEASES}


async def master_dies(env: Env) -> str:
    """15: all services of the master that leads stop; the API goes on, and another master leads."""
    c = env.cluster
    if len(c.masters) < 2:
        raise Skip("there is one control-plane host only")
    if c.front == c.masters[0].ip and not c.endpoint.local:
        raise Skip("the endpoint is the first master itself: no virtual IP, no balancer, in the cluster file")
    await healthy(env)
    before = await _holders_of_leases(env)
    names = await env.many(c.masters, lambda _host: "cat /proc/sys/kernel/hostname")
    at = {name.strip(): c.host(host) for host, name in names.items()}
    led_by = {name: at.get(holder.rpartition("_")[0]) for name, holder in before.items()}
    victim = led_by[LEASES[0]] or c.masters[0]
    moving = [name for name in LEASES if led_by[name] == victim]
    with_member = victim.has(Role.ETCD) and len(c.members) >= 3
    units = [*processes.control_plane(), *(["etcd.service"] if with_member else [])]
    try:
        async with sampling(env, _asker(env, but=victim)) as sample:
            await asyncio.sleep(CALM / 2)
            began = asyncio.get_running_loop().time()
            await stop(env, victim, units, block=False)

            async def led() -> dict[str, str] | None:
                try:
                    now = await _holders_of_leases(env)
                except (CommandFailed, TransportError, ValueError):
                    return None
                stuck = [name for name in moving if now[name] in {before[name], ""}]
                return None if stuck else now

            now = await settled(led, 40, 0.5)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(2 * CALM)
        demand(now is not None, f"{took:.0f} s after {victim.name} stopped, leases are still its own; {sample}")
        demand(sample.gap < LONGEST_GAP, f"{victim.name} stopped: {sample}")
        assert now is not None
        heirs = ", ".join(f"{name} led by {now[name].rpartition('_')[0]}" for name in moving) or "it led nothing"
    finally:
        await asyncio.shield(start(env, victim))
    seconds = await recovered(env)
    what = f"{len(units)} services of {victim.name}" + (" (etcd too)" if with_member else "")
    return f"{what} stopped: {heirs} within {took:.1f} s; {sample}; all back in {seconds:.0f} s"
