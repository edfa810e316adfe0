"""Checks of the API: at the endpoint, through every balancer, at each API server's own address."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from quorate.render.sh import heredoc, quote
from quorate.resource.ask import MARK
from quorate.spec import pki_files
from quorate.spec.cluster import LOOPBACK, Host
from quorate.spec.layout import BALANCER_LOG
from quorate.verify import pods
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, own_url, settled

TIMES = 4
"""Requests to each address, as in the catalogue."""
TAKEN_BACK = 40.0
"""Seconds until a balancer uses an API server again that was in trouble; nginx' list takes 32 at most."""
ROUNDS = 5
"""Further rounds of requests until every worker has met every API server."""
CURL = "curl -gs --noproxy '*' --max-time 5"
_LINE = re.compile(r"^(\S+) (\d+\.\d+\.\d+\.\d+):(\d+) - \[[^\]]*\] (\S+) (\d+)$")
"""A line of the balancers' logs: client, API server, time, status (nginx) or end (haproxy), bytes."""


@dataclass(frozen=True)
class Traffic:
    """Requests that were made, and what the balancers wrote meanwhile."""

    passed: int
    total: int
    said: str
    """Who asked, for details."""
    wrong: tuple[str, ...]
    lines: dict[str, list[tuple[str, str]]]
    """(client, API server) pairs by balancer."""


def version_script(urls: list[str], ca: str) -> str:
    """Ask each URL for its version some times, each time over a new connection."""
    trust = f"--cacert {ca}" if ca else "-k"
    words = " ".join(quote(url) for url in urls)
    return (
        f"for u in {words}; do for i in 1 2 3 4; do printf '%s ' \"$u\"\n"
        f'{CURL} {trust} "$u/version" | tr -d \' \\n\' | grep -o \'"gitVersion":"[^"]*"\' || echo none\n'
        "done; done"
    )


def _log_position(env: Env) -> str:
    return "date +%s" if env.cluster.load_balancer.kind == "haproxy" else f"wc -c <{BALANCER_LOG}"


def _log_since(env: Env, position: str) -> str:
    if env.cluster.load_balancer.kind == "haproxy":
        return f"journalctl -u haproxy.service --since=@{position} --no-pager -o cat"
    return f"tail -c +{int(position) + 1} {BALANCER_LOG}"


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
    before = await env.many(c.balancing, lambda _host: _log_position(env))
    askers = [host for host in c.workers if host not in c.balancers] or list(c.masters)
    askers = list(c.balancing) if c.endpoint.local else askers
    outside, said = await asyncio.gather(
        _from_here(env, urls), env.many(askers, lambda _host: version_script(inside, pki_files.CA))
    )
    counts: dict[str, int] = dict(outside or {})
    for text in said.values():
        for line in text.splitlines():
            url, _, answer = line.partition(" ")
            counts[url] = counts.get(url, 0) + ('"gitVersion"' in answer)
    due = dict.fromkeys(inside, TIMES * len(askers))
    for url in urls if outside is not None else ():
        due[url] = due.get(url, 0) + TIMES
    where = f"{len(askers)} hosts" + (" and this machine" if outside is not None else " (this machine can't reach it)")
    after = await env.many(c.balancing, lambda host: _log_since(env, before[host.name].strip() or "0"))
    lines = {
        name: [match.group(1, 2) for line in text.splitlines() if (match := _LINE.match(line))]
        for name, text in after.items()
    }
    wrong = tuple(f"{url}: {counts.get(url, 0)} of {each}" for url, each in due.items() if counts.get(url, 0) < each)
    pairs = {
        name: [(c.host(name).ip if client == LOOPBACK else client, server) for client, server in found]
        for name, found in lines.items()
    }
    return Traffic(sum(counts.values()), sum(due.values()), where, wrong, pairs)


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
    raise Wrong(f"no control-plane host has {pki_files.CA}")


async def answers(env: Env) -> str:
    """1: the endpoint and every balancer answer, each time."""
    found = await env.once(traffic)
    demand(not found.wrong, f"answers missing: {'; '.join(found.wrong)}")
    return f"{found.passed} of {found.total} answers from {found.said}, certificate checked"


async def alternates(env: Env) -> str:
    """2: the log of the balancer shows every API server."""
    lines = await _logged(env)
    masters = {master.ip for master in env.cluster.masters}

    async def all_used() -> dict[str, list[tuple[str, str]]] | None:
        found = (await traffic(env)).lines
        return found if all(masters <= {server for _, server in pairs} for pairs in found.values()) else None

    if any(masters - {server for _, server in pairs} for pairs in lines.values()):
        lines = await settled(all_used, TAKEN_BACK, 1.0) or lines
    total = sum(len(found) for found in lines.values())
    parts = []
    for name, found in lines.items():
        counts = {ip: sum(1 for _, server in found if server == ip) for ip in sorted(masters)}
        lacking = [ip for ip, count in counts.items() if not count]
        demand(not lacking, f"{name}: no line names {', '.join(lacking)} among {len(found)}")
        parts.append(f"{name}: " + ", ".join(f"{count} to {ip}" for ip, count in counts.items()))
    return f"{total} lines; {'; '.join(parts)}"


async def nodes_in_log(env: Env) -> str:
    """3: every worker's requests reach every API server; by turns of all clients, so some rounds may be needed."""
    everything = [pair for found in (await _logged(env)).values() for pair in found]
    askers = [worker for worker in env.cluster.workers if worker not in env.cluster.balancers]
    lacking = _lacking(env, askers, everything)
    for _ in range(ROUNDS):
        if not lacking:
            break
        everything += [pair for found in (await traffic(env)).lines.values() for pair in found]
        lacking = _lacking(env, askers, everything)
    demand(not lacking, f"no line from {'; '.join(lacking)}")
    parts = [
        f"{worker.name} to {len({server for client, server in everything if client == worker.ip})}" for worker in askers
    ]
    return f"API servers by worker: {', '.join(parts)}" if parts else "all workers are balancers themselves"


def _lacking(env: Env, askers: list[Host], pairs: list[tuple[str, str]]) -> list[str]:
    """`worker to address` for each API server that a worker's requests did not reach."""
    return [
        f"{worker.name} to {master.ip}"
        for worker in askers
        for master in env.cluster.masters
        if (worker.ip, master.ip) not in pairs
    ]


async def _logged(env: Env) -> dict[str, list[tuple[str, str]]]:
    if not env.cluster.balancing:
        raise Skip("quorate runs no load balancer in this cluster")
    return (await env.once(traffic)).lines


async def authenticated(env: Env) -> str:
    """9: from a node, a token opens what is its, and a wrong one nothing."""
    if not env.cluster.workers:
        raise Skip("the cluster file has no worker")
    await env.once(pods.first)
    path = f"/api/v1/namespaces/{env.namespace}/serviceaccounts/{pods.APP}/token"
    request = '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":600}}\n'
    reply = await env.admin(f"{env.kubectl()} create --raw {path} -f - {heredoc(request)}")
    match = re.search(r'"token":\s*"([A-Za-z0-9._-]+)"', reply)
    if match is None:
        raise Wrong("the API server gives no token for a service account")
    worker, url = env.cluster.workers[0], f"{env.cluster.node_url}/api"
    code = f"{CURL} --cacert {pki_files.CA} -o /dev/null -w '%{{http_code}} ' -H @- {url}"
    script = "\n".join(
        f"{code} {heredoc(f'Authorization: Bearer {token}{chr(10)}')}" for token in (match[1], "not-a-token")
    )
    codes = (await env.run(worker, script)).split()
    demand(codes == ["200", "401"], f"codes for a good and a bad token: {' '.join(codes)}, expected 200 401")
    return f"from {worker.name}: 200 with a service account's token, 401 with a made-up one"


async def endpoints(env: Env) -> str:
    """14: the `kubernetes` service leads to every API server."""
    found = await env.objects("endpoints")
    addresses = {each["ip"] for subset in found.get("subsets", []) for each in subset.get("addresses", [])}
    masters = {master.ip for master in env.cluster.masters}
    demand(addresses == masters, f"{sorted(addresses)}, expected {sorted(masters)}")
    return ", ".join(f"{ip}:{env.cluster.apiserver.port}" for ip in sorted(addresses))


async def own_addresses(env: Env) -> str:
    """Every API server answers at its own address, with a certificate for it, to every other master too."""
    c = env.cluster

    def script(_host: Host) -> str:
        ask = f"{CURL} --cacert {pki_files.CA}"
        lines = (f"printf '{MARK}{master.name} '; {ask} {own_url(c, master)}/readyz" for master in c.masters)
        return "\n".join([*lines, ":"])

    said = await env.many(c.masters, script)
    for asker, text in said.items():
        for block in text.split(MARK)[1:]:
            name, _, answer = block.partition(" ")
            seen = answer.strip() or "no valid answer"
            demand(seen == "ok", f"{name} at its own address, asked from {asker}: {seen}")
    views = await env.views()
    until = min(
        each.info.not_after
        for master in c.masters
        for each in views[master.name].certificates
        if each.path == pki_files.APISERVER
    )
    days = (until - datetime.now(UTC)).days
    return f"{len(c.masters)} API servers ready, asked from {len(said)} masters; certificates good for {days} days"
