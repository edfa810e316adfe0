"""The end of an apply in a cluster with a virtual IP: exactly one balancer holds it, or it is told why not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from quorate.component.context import Context
from quorate.core import CommandFailed, Key, Transport, TransportError
from quorate.render import journal, vrrp
from quorate.spec import vip as place
from quorate.spec.cluster import Host
from quorate.spec.layout import KEEPALIVED_CONF

LOOKS, PAUSE = 12, 1.0
"""How often, after how many seconds, is looked: an address that moves is on no host, or two, for a moment."""
ADVERTS_WITHIN_S = 8
"""Seconds in which balancers that both hold the address listen for each other."""
ASK_WITHIN_S = 40.0

Proof = Callable[[], Awaitable[Mapping[Key, str]]]
"""What is wrong, by what it is wrong with."""


def proof(context: Context, via: Transport) -> Proof:
    """Who holds the virtual IP, as a function that looks; it raises nothing for a host that does not answer."""

    async def look() -> Mapping[Key, str]:
        balancers = [each for each in context.cluster.balancers if each.name not in context.absent]
        if context.cluster.endpoint.vip is None or not balancers:
            return {}
        found: list[Host] | None = None
        for _ in range(LOOKS):
            found = await _holders(context, balancers, via)
            # Nobody may be the one that does not answer.
            if found is None or len(found) == 1 or (not found and context.absent):
                return {}
            await asyncio.sleep(PAUSE)
        hosts = found or balancers
        why = await (_two(context, hosts, via) if found else _none(context, hosts, via))
        return {Key(hosts[0].name, "ready", "one holder of the virtual IP"): why}

    return look


async def _ask(hosts: Sequence[Host], script: Callable[[Host], str], via: Transport) -> dict[str, str]:
    """What each host says; nothing of one that does not."""
    said: dict[str, str] = {}

    async def one(host: Host) -> None:
        try:
            said[host.name] = await via.run(host.name, script(host), timeout=ASK_WITHIN_S)
        except (TransportError, CommandFailed):
            said[host.name] = ""

    await asyncio.gather(*(one(host) for host in hosts))
    return said


async def _holders(context: Context, balancers: Sequence[Host], via: Transport) -> list[Host] | None:
    """The balancers that have the address now; None when one of them does not tell."""
    vip = str(context.cluster.endpoint.vip)
    said = await _ask(balancers, lambda _host: f"echo asked; ip -4 -o address show to {vip}/32", via)
    if any("asked" not in text for text in said.values()):
        return None
    return [host for host in balancers if f" {vip}/" in said[host.name]]


async def _two(context: Context, holders: Sequence[Host], via: Transport) -> str:
    """Why several hold it: what does not pass between them, or what differs."""
    c = context.cluster
    addresses = [each.ip for each in holders]
    names = {each.ip: f"{each.name} ({each.ip})" for each in holders}

    def ask(host: Host) -> str:
        probe = vrrp.script(
            address=host.ip,
            interface=place.carrier(c, host, context.of(host)),
            balancers=addresses,
            router_id=place.router_id(c, context.facts.hosts),
            listen=False,
            window=ADVERTS_WITHIN_S,
        )
        return f"sed -n 's/^ *virtual_router_id /number /p' {KEEPALIVED_CONF}\n{probe}"

    said = await _ask(holders, ask, via)
    lines = {name: text.splitlines() for name, text in said.items()}
    deaf = [
        f"{name} hears no VRRP of {names.get(line.split()[1], '?')}"
        for name, text in lines.items()
        for line in text
        if line.startswith("silent ")
    ]
    numbers = {line.split()[1] for text in lines.values() for line in text if line.startswith("number ")}
    held = f"{c.endpoint.vip} is on {' and '.join(each.name for each in holders)}"
    if deaf:
        return (
            f"{held}: {', '.join(deaf)}; let IP protocol 112 pass both ways between the balancers' addresses "
            "(security groups, port security, firewalls; it is neither TCP nor UDP)"
        )
    if len(numbers) > 1:
        return f"{held}: they run with different router ids, {', '.join(sorted(numbers))}; apply again"
    return f"{held}, though VRRP passes between them now; {await _last_words(holders, via)}"


async def _none(context: Context, balancers: Sequence[Host], via: Transport) -> str:
    """Why nobody holds it, as far as keepalived tells."""
    return f"{context.cluster.endpoint.vip} is on no balancer; {await _last_words(balancers, via)}"


async def _last_words(hosts: Sequence[Host], via: Transport) -> str:
    said = await _ask(hosts, lambda _host: journal.last("keepalived.service"), via)
    return "keepalived says:\n" + "\n".join(f"{name}: {text.strip()}" for name, text in said.items())
