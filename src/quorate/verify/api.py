"""Checks of the API: at the endpoint, through every balancer, at each API server's own address."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quorate.render.sh import heredoc
from quorate.report.findings import Verdict, failed, passed
from quorate.resource.ask import MARK
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster, Host
from quorate.verify import pods
from quorate.verify.env import CURL, Env, own_url, until
from quorate.verify.traffic import Pair, Traffic, traffic

SERVER_TAKEN_BACK_S = 40.0
"""Seconds until a balancer uses an API server again that was in trouble; nginx' list takes 32 at most."""
ROUNDS = 5
"""Further rounds of requests until every worker has met every API server."""


def no_balancer(cluster: Cluster) -> str:
    """Why there are no balancers' logs to read."""
    return "" if cluster.balancing else "quorate runs no load balancer in this cluster"


async def look_answers(env: Env) -> Traffic:
    """1: requests to the endpoint and every balancer."""
    return await env.once(traffic)


def judge_answers(_cluster: Cluster, seen: Traffic) -> Verdict:
    """They answer, each time."""
    lacking = [
        f"{url}: {seen.answered.get(url, 0)} of {due}"
        for url, due in seen.due.items()
        if seen.answered.get(url, 0) < due
    ]
    if lacking:
        return failed(f"answers missing: {'; '.join(lacking)}")
    count = f"{sum(seen.answered.values())} of {sum(seen.due.values())}"
    return passed(f"{count} answers from {seen.askers}, certificate checked")


Log = Mapping[str, Sequence[Pair]]
"""By balancer, who was led where."""


def _unused(cluster: Cluster, pairs: Sequence[Pair]) -> list[str]:
    """The API servers to which nobody was led."""
    return sorted({master.ip for master in cluster.masters} - {server for _, server in pairs})


async def look_alternates(env: Env) -> Log:
    """2: the balancers' logs; an API server that was in trouble is waited for."""

    def complete(log: Log) -> bool:
        return not any(_unused(env.cluster, pairs) for pairs in log.values())

    async def look() -> Log:
        return (await traffic(env)).lines

    first = (await env.once(traffic)).lines
    return first if complete(first) else await until(complete, look, SERVER_TAKEN_BACK_S, 1.0)


def judge_alternates(cluster: Cluster, seen: Log) -> Verdict:
    """The log of each balancer shows every API server."""
    parts = []
    for name, pairs in seen.items():
        if unused := _unused(cluster, pairs):
            return failed(f"{name}: no line names {', '.join(unused)} among {len(pairs)}")
        counts = {ip: sum(1 for _, server in pairs if server == ip) for ip in sorted({m.ip for m in cluster.masters})}
        parts.append(f"{name}: " + ", ".join(f"{count} to {ip}" for ip, count in counts.items()))
    return passed(f"{sum(map(len, seen.values()))} lines; {'; '.join(parts)}")


def _askers(cluster: Cluster) -> list[Host]:
    """The workers whose requests can be told from others': a balancer's come from itself."""
    return [worker for worker in cluster.workers if worker not in cluster.balancers]


def _lacking(cluster: Cluster, pairs: Collection[Pair]) -> list[str]:
    """`worker to address` for each API server that a worker's requests did not reach."""
    return [
        f"{worker.name} to {master.ip}"
        for worker in _askers(cluster)
        for master in cluster.masters
        if (worker.ip, master.ip) not in pairs
    ]


async def look_nodes_in_log(env: Env) -> frozenset[Pair]:
    """3: who was led where by any balancer; by turns of all clients, so some rounds may be needed."""
    pairs = frozenset(pair for log in (await env.once(traffic)).lines.values() for pair in log)
    for _ in range(ROUNDS):
        if not _lacking(env.cluster, pairs):
            break
        pairs |= {pair for log in (await traffic(env)).lines.values() for pair in log}
    return pairs


def judge_nodes_in_log(cluster: Cluster, seen: frozenset[Pair]) -> Verdict:
    """Every worker's requests reach every API server."""
    if lacking := _lacking(cluster, seen):
        return failed(f"no line from {'; '.join(lacking)}")
    parts = [
        f"{worker.name} to {len({server for client, server in seen if client == worker.ip})}"
        for worker in _askers(cluster)
    ]
    return passed(f"API servers by worker: {', '.join(parts)}" if parts else "all workers are balancers themselves")


async def look_authenticated(env: Env) -> tuple[str, ...] | None:
    """9: codes that a worker gets with a service account's token and with a made-up one; None without a token."""
    (await env.once(pods.first)).complete()
    path = f"/api/v1/namespaces/{env.namespace}/serviceaccounts/{pods.APP}/token"
    request = '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":600}}\n'
    reply = await env.admin(f"{env.kubectl()} create --raw {path} -f - {heredoc(request)}")
    match = re.search(r'"token":\s*"([A-Za-z0-9._-]+)"', reply)
    if match is None:
        return None
    code = f"{CURL} --cacert {pki_files.CA} -o /dev/null -w '%{{http_code}} ' -H @- {env.cluster.node_url}/api"
    script = "\n".join(
        f"{code} {heredoc(f'Authorization: Bearer {token}{chr(10)}')}" for token in (match[1], "not-a-token")
    )
    return tuple((await env.run(env.cluster.workers[0], script)).split())


def judge_authenticated(cluster: Cluster, seen: tuple[str, ...] | None) -> Verdict:
    """From a node, a token opens what is its, and a wrong one nothing."""
    if seen is None:
        return failed("the API server gives no token for a service account")
    if seen != ("200", "401"):
        return failed(f"codes for a good and a bad token: {' '.join(seen)}, expected 200 401")
    return passed(f"from {cluster.workers[0].name}: 200 with a service account's token, 401 with a made-up one")


async def look_endpoints(env: Env) -> frozenset[str]:
    """14: addresses of the `kubernetes` service."""
    endpoints = await env.objects("endpoints")
    return frozenset(each["ip"] for subset in endpoints.get("subsets", []) for each in subset.get("addresses", []))


def judge_endpoints(cluster: Cluster, seen: frozenset[str]) -> Verdict:
    """It leads to every API server."""
    masters = {master.ip for master in cluster.masters}
    if seen != masters:
        return failed(f"{sorted(seen)}, expected {sorted(masters)}")
    return passed(", ".join(f"{ip}:{cluster.apiserver.port}" for ip in sorted(seen)))


@dataclass(frozen=True)
class OwnAddresses:
    """What API servers say at their own addresses."""

    answers: Mapping[str, Mapping[str, str]]
    """By who asked, and who was asked."""
    left: tuple[timedelta, ...]
    """For how long their certificates are good."""


async def look_own_addresses(env: Env) -> OwnAddresses:
    """Every master asks every API server at its own address."""
    c = env.cluster

    def script(_host: Host) -> str:
        ask = f"{CURL} --cacert {pki_files.CA}"
        lines = (f"printf '{MARK}{master.name} '; {ask} {own_url(c, master)}/readyz" for master in c.masters)
        return "\n".join([*lines, ":"])

    outputs = await env.many(c.masters, script)
    blocks = {asker: [block.partition(" ") for block in text.split(MARK)[1:]] for asker, text in outputs.items()}
    views = await env.views()
    ends = [
        each.info.not_after
        for master in c.masters
        for each in views[master.name].certificates
        if each.path == pki_files.APISERVER
    ]
    return OwnAddresses(
        {asker: {name: answer.strip() for name, _, answer in block} for asker, block in blocks.items()},
        tuple(end - datetime.now(UTC) for end in ends),
    )


def judge_own_addresses(cluster: Cluster, seen: OwnAddresses) -> Verdict:
    """Every API server answers at its own address, with a certificate for it, to every other master too."""
    for asker, answers in seen.answers.items():
        for master in cluster.masters:
            if (answer := answers.get(master.name, "")) != "ok":
                return failed(f"{master.name} at its own address, asked from {asker}: {answer or 'no valid answer'}")
    if not seen.left:
        return failed(f"no master has {pki_files.APISERVER}")
    count, askers, days = len(cluster.masters), len(seen.answers), min(seen.left).days
    return passed(f"{count} API servers ready, asked from {askers} masters; certificates good for {days} days")
