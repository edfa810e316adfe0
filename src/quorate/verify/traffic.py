"""Requests through the endpoint and every balancer, and what the balancers wrote meanwhile."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from quorate.render.sh import quote
from quorate.spec import pki_files
from quorate.spec.cluster import LOOPBACK
from quorate.spec.layout import BALANCER_LOG
from quorate.verify.check import LookFailed
from quorate.verify.env import CURL, Env, own_url

TIMES = 4
"""Requests to each address, as in the catalogue."""
_LINE = re.compile(r"^(\S+) (\d+\.\d+\.\d+\.\d+):(\d+) - \[[^\]]*\] (\S+) (\d+)$")
"""A line of the balancers' logs: client, API server, time, status (nginx) or end (haproxy), bytes."""

Pair = tuple[str, str]
"""Addresses of a client and of the API server that it was led to."""


@dataclass(frozen=True)
class Traffic:
    """Requests that were made, and what the balancers wrote meanwhile."""

    answered: Mapping[str, int]
    """Answers by URL."""
    due: Mapping[str, int]
    """Requests by URL."""
    askers: str
    """Who asked, in words."""
    lines: Mapping[str, tuple[Pair, ...]]
    """What the log of each balancer has of them, by host."""


def version_script(urls: list[str], ca: str) -> str:
    """Ask each URL for its version some times, each time over a new connection."""
    trust = f"--cacert {ca}" if ca else "-k"
    words = " ".join(quote(url) for url in urls)
    return (
        f"for u in {words}; do for i in 1 2 3 4; do printf '%s ' \"$u\"\n"
        f'{CURL} {trust} "$u/version" | tr -d \' \\n\' | grep -o \'"gitVersion":"[^"]*"\' || echo none\n'
        "done; done"
    )


async def traffic(env: Env) -> Traffic:
    """Ask the endpoint and every balancer, from here if they can be reached, and from every worker; where balancers
    are hosts' own, each host asks its own, and this machine API servers.
    """
    c = env.cluster
    balancers = [f"https://{balancer.ip}:{c.endpoint.port}" for balancer in c.balancers]
    inside = list(dict.fromkeys([c.node_url, *balancers]))
    urls = list(dict.fromkeys([c.server_url, *balancers]))
    if c.endpoint.local and not c.endpoint.address:
        urls = [own_url(c, master) for master in c.masters]
    askers = [host for host in c.workers if host not in c.balancers] or list(c.masters)
    askers = list(c.balancing) if c.endpoint.local else askers
    positions = await env.many(c.balancing, lambda _host: _log_position(env))
    outside, outputs = await asyncio.gather(
        _from_here(env, urls), env.many(askers, lambda _host: version_script(inside, pki_files.CA))
    )
    answered: dict[str, int] = dict(outside or {})
    for line in "\n".join(outputs.values()).splitlines():
        url, _, answer = line.partition(" ")
        answered[url] = answered.get(url, 0) + ('"gitVersion"' in answer)
    due = dict.fromkeys(inside, TIMES * len(askers))
    for url in urls if outside is not None else ():
        due[url] = due.get(url, 0) + TIMES
    where = f"{len(askers)} hosts" + (" and this machine" if outside is not None else " (this machine can't reach it)")
    logs = await env.many(c.balancing, lambda host: _log_since(env, positions[host.name].strip() or "0"))
    lines = {name: _pairs(log, c.host(name).ip) for name, log in logs.items()}
    return Traffic(answered, due, where, lines)


def _log_position(env: Env) -> str:
    return "date +%s" if env.cluster.load_balancer.kind == "haproxy" else f"wc -c <{BALANCER_LOG}"


def _log_since(env: Env, position: str) -> str:
    if env.cluster.load_balancer.kind == "haproxy":
        return f"journalctl -u haproxy.service --since=@{position} --no-pager -o cat"
    return f"tail -c +{int(position) + 1} {BALANCER_LOG}"


def _pairs(log: str, own: str) -> tuple[Pair, ...]:
    """Who was led where, by a balancer's log; who asked it at the loopback is the host itself, at `own`."""
    matches = filter(None, map(_LINE.match, log.splitlines()))
    return tuple((own if match[1] == LOOPBACK else match[1], match[2]) for match in matches)


async def _from_here(env: Env, urls: list[str]) -> dict[str, int] | None:
    """Answers per URL, over new connections and with the certificate checked; None if nothing is reached."""
    pem = await ca_pem(env)
    context = ssl.create_default_context(cadata=pem)

    async def one(url: str) -> bool:
        async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=3) as client:
            reply = await client.get(f"{url}/version")
            return reply.status_code == 200 and "gitVersion" in reply.text

    try:
        await one(urls[0])
    except httpx2.TransportError as error:
        # A certificate that does not fit is an answer, and a wrong one.
        if "certificate" not in str(error).lower():
            return None
    counts = dict.fromkeys(urls, 0)
    for url in urls * TIMES:
        try:
            counts[url] += await one(url)
        except httpx2.TransportError:
            continue
    return counts


async def ca_pem(env: Env) -> str:
    """The cluster's CA, as the control-plane hosts have it."""
    for master in env.cluster.masters:
        for each in (await env.views())[master.name].certificates:
            if each.path == pki_files.CA:
                return each.pem
    raise LookFailed(f"no control-plane host has {pki_files.CA}")
