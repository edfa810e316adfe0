"""Checks of the virtual IP: held by exactly one balancer, and everybody on the wire agrees which."""

import asyncio
from collections.abc import Sequence

from quorate.core import TransportError
from quorate.spec.cluster import Host
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, settled

ON_ITS_WAY = 10.0
"""Seconds that the address may be on no host, or seem to be on two: on a busy host it takes some 5 to find a balancer
that does not answer, and the next one's turn comes after that; two who don't hear each other hold it for good. How long
clients go without is what a drill measures.
"""

LOOKS, PAUSE = 3, 2.0
"""How often, after how many seconds, hosts are asked who has the address while another balancer answers."""
LOOPBACK = "00:00:00:00:00:00"


def address(env: Env) -> str:
    """The virtual IP; raises Skip in a cluster without one."""
    vip = env.cluster.endpoint.vip
    if vip is None:
        own = ": each node has a balancer of its own" if env.cluster.endpoint.local else ""
        raise Skip(f"no virtual IP in the cluster file{own}")
    return str(vip)


async def holders(env: Env) -> list[Host]:
    """The hosts that have the address right now."""
    vip = address(env)
    look = f"ip -4 -o addr show to {vip}/32"
    hosts = [host for host in env.cluster.hosts if host in env.cluster.balancers]
    said = await env.many(hosts, lambda _host: look)
    return [host for host in hosts if f" {vip}/" in said[host.name]]


async def arrived(env: Env) -> list[Host]:
    """The holders, as soon as it is one alone: an address that is on its way is on no host, or for the time between two
    hosts' answers on two. After a while, whoever has it then."""
    seen: list[Host] = []

    async def look() -> list[Host] | None:
        nonlocal seen
        seen = await holders(env)
        return seen if len(seen) == 1 else None

    return await settled(look, within=ON_ITS_WAY) or seen


async def one_holder(env: Env) -> str:
    """5: the address is on one load balancer."""
    vip = address(env)
    views = await env.views()
    found = [name for name, view in views.items() if vip in view.addresses]
    if len(found) != 1:
        found = [host.name for host in await arrived(env)]
    demand(len(found) == 1, f"{vip} is on {', '.join(found) or 'no host'}, expected exactly one")
    others = [host.name for host in env.cluster.balancers if host.name not in found]
    demand(found[0] in {host.name for host in env.cluster.balancers}, f"{vip} is on {found[0]}, no load balancer")
    return f"{vip} on {found[0]}" + (f", not on {', '.join(others)}" if others else "")


async def one_answer(env: Env) -> str:
    """Whoever asks the network for the address gets the owner's: no second holder answers.

    Where another balancer answers, the address may have moved meanwhile: hosts are asked again.
    """
    vip = address(env)
    told = await env.many(list(env.cluster.balancers), lambda _host: "cat /sys/class/net/*/address")
    macs = {name: set(text.split()) - {LOOPBACK} for name, text in told.items()}
    for look in range(LOOKS):
        owner = await _owner(env)
        said = await _asked(env, [host for host in env.cluster.hosts if host != owner])
        wrong = [(name, mac) for name, found in said.items() for mac in found if mac not in macs[owner.name]]
        if not wrong or not {mac for _, mac in wrong} <= set().union(*macs.values()):
            break
        if look + 1 < LOOKS:
            await asyncio.sleep(PAUSE)
    if wrong:
        (name, mac), *_ = wrong
        raise Wrong(f"{name} finds {vip} at {mac}, but {owner.name} has {', '.join(sorted(macs[owner.name]))}")
    return f"{sum(map(len, said.values()))} of {len(said)} hosts find {vip} by ARP, all at {owner.name}"


async def _owner(env: Env) -> Host:
    """The one holder; raises Wrong when it is not one."""
    owners = await arrived(env)
    if len(owners) != 1:
        raise Wrong(
            f"{address(env)} is on {', '.join(host.name for host in owners) or 'no host'}, expected exactly one"
        )
    return owners[0]


async def _asked(env: Env, askers: Sequence[Host]) -> dict[str, list[str]]:
    """By host, who answers for the address on its wire: it forgets, asks, and looks who did.

    A host behind a router has no neighbour of that address.
    """
    vip = address(env)
    script = (
        f"d=$(ip route get {vip} | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)\n"
        f'ip neigh flush to {vip} dev "$d" 2>/dev/null\n'
        f"curl -sk --noproxy '*' -o /dev/null --max-time 3 https://{vip}:{env.cluster.endpoint.port}/readyz\n"
        f"ip neigh show to {vip} | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p'"
    )
    try:
        said = await env.many(askers, lambda _host: script)
    except TransportError as error:
        raise Wrong(str(error)) from error
    return {name: text.split() for name, text in said.items()}
