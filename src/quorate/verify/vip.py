"""Checks of the virtual IP: held by exactly one balancer, and everybody on the wire agrees which."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quorate.report.findings import Verdict, failed, passed
from quorate.spec.cluster import Cluster, Host
from quorate.verify.env import Env, until

VIP_ARRIVES_S = 10.0
"""Seconds that the address may be on no host, or seem to be on two: on a busy host it takes some 5 to find a balancer
that does not answer, and the next one's turn comes after that; two who don't hear each other hold it for good. How long
clients go without is what a drill measures.
"""

LOOKS, LOOK_AGAIN_AFTER_S = 3, 2.0
"""How often, after how many seconds, hosts are asked who has the address while another balancer answers."""
NO_MAC = "00:00:00:00:00:00"
"""Of a loopback."""


def no_vip(cluster: Cluster) -> str:
    """Why there is no virtual IP."""
    if cluster.endpoint.vip is not None:
        return ""
    return "no virtual IP in the cluster file" + (
        ": each node has a balancer of its own" if cluster.endpoint.local else ""
    )


async def holders(env: Env) -> tuple[str, ...]:
    """The balancers that have the address right now."""
    vip = env.cluster.endpoint.vip
    hosts = [host for host in env.cluster.hosts if host in env.cluster.balancers]
    outputs = await env.many(hosts, lambda _host: f"ip -4 -o addr show to {vip}/32")
    return tuple(name for name, output in outputs.items() if f" {vip}/" in output)


async def arrived(env: Env) -> tuple[str, ...]:
    """The holders, as soon as it is one alone: an address that is on its way is on no host, or for the time between two
    hosts' answers on two. After a while, whoever has it then."""
    return await until(lambda names: len(names) == 1, lambda: holders(env), VIP_ARRIVES_S)


def not_one(cluster: Cluster, holders: Sequence[str]) -> str:
    """What is wrong unless one host has the address; else empty."""
    if len(holders) == 1:
        return ""
    return f"{cluster.endpoint.vip} is on {', '.join(holders) or 'no host'}, expected exactly one"


async def look_holder(env: Env) -> tuple[str, ...]:
    """5: the hosts that have the address."""
    vip = str(env.cluster.endpoint.vip)
    names = tuple(name for name, view in (await env.views()).items() if vip in view.addresses)
    return names if len(names) == 1 else await arrived(env)


def judge_holder(cluster: Cluster, seen: tuple[str, ...]) -> Verdict:
    """It is one, and a load balancer."""
    if wrong := not_one(cluster, seen):
        return failed(wrong)
    vip, balancers = cluster.endpoint.vip, [host.name for host in cluster.balancers]
    if seen[0] not in balancers:
        return failed(f"{vip} is on {seen[0]}, no load balancer")
    others = ", ".join(name for name in balancers if name != seen[0])
    return passed(f"{vip} on {seen[0]}" + (f", not on {others}" if others else ""))


@dataclass(frozen=True)
class Neighbours:
    """Who answers on the wire for the address."""

    holders: tuple[str, ...]
    """The hosts that have it."""
    macs: Mapping[str, frozenset[str]]
    """Hardware addresses by balancer."""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By each other host, the hardware addresses at which it finds it; nobody asks where it is not on one host."""

    @property
    def elsewhere(self) -> list[tuple[str, str]]:
        """Who finds it at a hardware address that is not its holder's."""
        own = self.macs[self.holders[0]]
        return [(name, mac) for name, answers in self.answers.items() for mac in answers if mac not in own]

    @property
    def moved(self) -> bool:
        """Whether it may have moved meanwhile: all who answer for it are balancers."""
        balancers = {mac for macs in self.macs.values() for mac in macs}
        return all(mac in balancers for _, mac in self.elsewhere)


async def look_neighbours(env: Env) -> Neighbours:
    """All hosts ask the network for the address; again where another balancer answers, for it may have moved."""
    outputs = await env.many(list(env.cluster.balancers), lambda _host: "cat /sys/class/net/*/address")
    macs = {name: frozenset(output.split()) - {NO_MAC} for name, output in outputs.items()}
    for left in reversed(range(LOOKS)):
        names = await arrived(env)
        if len(names) != 1:
            return Neighbours(names, macs)
        others = [host for host in env.cluster.hosts if host.name != names[0]]
        seen = Neighbours(names, macs, await _answers(env, others))
        if not left or not seen.elsewhere or not seen.moved:
            break
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)
    return seen


def judge_neighbours(cluster: Cluster, seen: Neighbours) -> Verdict:
    """Whoever asks gets the owner's hardware address: no second holder answers."""
    if wrong := not_one(cluster, seen.holders):
        return failed(wrong)
    vip, owner = cluster.endpoint.vip, seen.holders[0]
    for name, mac in seen.elsewhere:
        return failed(f"{name} finds {vip} at {mac}, but {owner} has {', '.join(sorted(seen.macs[owner]))}")
    count = sum(map(len, seen.answers.values()))
    return passed(f"{count} of {len(seen.answers)} hosts find {vip} by ARP, all at {owner}")


async def _answers(env: Env, askers: Sequence[Host]) -> dict[str, tuple[str, ...]]:
    """By host, who answers for the address on its wire: it forgets, asks, and looks who did.

    A host behind a router has no neighbour of that address.
    """
    vip = env.cluster.endpoint.vip
    script = (
        f"d=$(ip route get {vip} | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)\n"
        f'ip neigh flush to {vip} dev "$d" 2>/dev/null\n'
        f"curl -sk --noproxy '*' -o /dev/null --max-time 3 https://{vip}:{env.cluster.endpoint.port}/readyz\n"
        f"ip neigh show to {vip} | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p'"
    )
    outputs = await env.many(askers, lambda _host: script)
    return {name: tuple(output.split()) for name, output in outputs.items()}
