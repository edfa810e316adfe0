"""Checks that stop members of etcd, and what API servers do when they are back: each must write at once.

`/readyz` can't tell: from Kubernetes 1.34 on it is asked by another connection than that by which objects are written.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence

from quorate.component.etcd import etcdctl
from quorate.resource.kube import kubectl
from quorate.spec import pki_files
from quorate.spec.cluster import Host
from quorate.spec.ports import ETCD_CLIENT
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, own_url, settled
from quorate.verify.following import followed
from quorate.verify.outage import healthy, recovered, start, stop

AWAY = 60.0
"""Seconds for which all members are away: clients whose patience grows with each failure have lost much of it then."""
GOAL = 2.0
"""Seconds within which an API server should write once etcd answers; above that it is called slow."""
BACK = 10.0
"""Seconds within which it must. A machine that is busy costs some; clients that back off cost 27 to 41 s, measured
without a way to etcd that makes them wait (bench/away.py)."""
LIMIT = 150
"""Seconds after which nobody waits for that any longer."""
HEAD_START = 0.5
"""Seconds for a script to begin on a host."""


async def members_die(env: Env) -> str:
    """16: with a minority of members stopped writes go on; with a majority stopped none is confirmed."""
    members = env.cluster.members
    tolerated = (len(members) - 1) // 2
    if not tolerated:
        raise Skip(f"{len(members)} etcd members survive no loss")
    await healthy(env)
    order = await _leader_first(env)
    await _namespace(env)
    few, many = order[:tolerated], order[: tolerated + 1]
    try:
        for host in few:
            await stop(env, host, ["etcd.service"])
        began = asyncio.get_running_loop().time()
        acked = await settled(lambda: _acked(env, "with-majority"), 20, 0.5)
        took = asyncio.get_running_loop().time() - began
        demand(acked is not None, f"no write within 20 s without {_names(few)}")
        await stop(env, many[-1], ["etcd.service"])
        refused = [not await _write(env, f"without-majority-{number}") for number in range(2)]
        demand(all(refused), f"a write was confirmed without {_names(many)}")
        back = _prompt(await returned(env, many))
    finally:
        await asyncio.shield(_start(env, many))
    seconds = await recovered(env)
    await _kept(env, "with-majority")
    return (
        f"without {_names(few)} (leader first) writes go on within {took:.1f} s; without {_names(many)} "
        f"{len(refused)} of {len(refused)} are refused; back: {back}; all well in {seconds:.0f} s"
    )


async def all_away(env: Env) -> str:
    """All members are stopped for `AWAY` seconds; when etcd answers again every API server writes within `BACK`.

    Then workers follow, too: what comes next finds a cluster at rest.
    """
    await healthy(env)
    await _namespace(env)
    demand(await _write(env, "before"), "no write while all members are there")
    try:
        await asyncio.gather(*(stop(env, host, ["etcd.service"]) for host in env.cluster.members))
        await asyncio.sleep(AWAY)
        back = _prompt(await returned(env, env.cluster.members))
    finally:
        await asyncio.shield(_start(env, env.cluster.members))
    seconds = await recovered(env)
    await _kept(env, "before")
    well = f"all well in {seconds:.0f} s{await followed(env)}"
    return f"all {len(env.cluster.members)} away for {AWAY:.0f} s; back: {back}; {well}"


async def returned(env: Env, stopped: Sequence[Host]) -> dict[str, float]:
    """Start members; seconds from etcd's first answer to the first write through each API server, by host.

    `LIMIT` where none came.
    """
    masters = env.cluster.masters
    asking = asyncio.ensure_future(env.many(masters, lambda host: _until_written(env, host), LIMIT + 30))
    try:
        # They ask already when the first member comes.
        await asyncio.sleep(HEAD_START)
        await _start(env, stopped)
        said = await asking
    finally:
        asking.cancel()
    words = {name: text.split()[-1:] for name, text in said.items()}
    return {name: int(word[0]) / 1000 if word and word[0].isdigit() else LIMIT for name, word in words.items()}


def _prompt(back: Mapping[str, float]) -> str:
    """The seconds in words. Raises Wrong where one is above `BACK`."""
    told = ", ".join(
        f"{name} writes after {seconds:.2f} s" + (f" (slow, {GOAL:g} s is the goal)" if seconds > GOAL else "")
        for name, seconds in back.items()
    )
    if max(back.values()) > BACK:
        raise Wrong(f"etcd answers again: {told}, expected {BACK:g} s")
    return told


def _until_written(env: Env, master: Host) -> str:
    """sh on a master that waits until etcd answers, and prints the milliseconds until its own API server writes."""
    tls = f"--cacert {pki_files.ETCD_CA} --cert {pki_files.APISERVER_ETCD_CLIENT}"
    tls += f" --key {pki_files.APISERVER_ETCD_CLIENT_KEY}"
    urls = " ".join(f"https://{member.ip}:{ETCD_CLIENT}/health" for member in env.cluster.members)
    path = f"/api/v1/namespaces/{env.namespace}/configmaps"
    named = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"back-"}}'
    late = '[ "$(date +%s)" -lt $end ] || { echo never; exit 0; }; sleep 0.05'
    return (
        f"end=$(( $(date +%s) + {LIMIT} ))\n"
        f"answers() {{ for u in {urls}; do curl -gs --noproxy '*' --connect-timeout 0.2 --max-time 1 {tls} $u |\n"
        f'  grep -q \'"health":"true"\' && return 0; done; return 1; }}\n'
        f"until answers; do {late}; done\n"
        "began=$(date +%s%N)\n"
        f"until echo '{named}' | {kubectl(own_url(env.cluster, master), timeout='2s')} create --raw {path} -f - "
        f">/dev/null 2>&1; do {late}; done\n"
        "echo $(( ($(date +%s%N) - began) / 1000000 ))"
    )


async def _start(env: Env, hosts: Sequence[Host]) -> None:
    """Start again what is stopped there; what fails is put back at the end, or by its timer."""
    await asyncio.gather(*(start(env, host) for host in hosts), return_exceptions=True)


async def _namespace(env: Env) -> None:
    run = env.kubectl()
    await env.admin(f"{run} get namespace {env.namespace} >/dev/null 2>&1 || {run} create namespace {env.namespace}")


async def _write(env: Env, name: str) -> bool:
    """Create an object; whether the API server said that it is done."""
    run = f"{env.kubectl()} --request-timeout=6s -n {env.namespace}"
    script = f"if {run} create configmap {name} >/dev/null 2>&1; then echo acked; else echo no; fi"
    return "acked" in await env.admin(script)


async def _acked(env: Env, name: str) -> bool | None:
    return True if await _write(env, name) else None


async def _kept(env: Env, name: str) -> None:
    """What was confirmed is there, and more can be written."""
    found = await env.admin(f"{env.kubectl()} -n {env.namespace} get configmap {name} -o name --ignore-not-found")
    demand(name in found, "a confirmed write is gone")
    demand(await _write(env, f"after-{name}"), "no write after all members are back")


async def _leader_first(env: Env) -> list[Host]:
    """The members, the leader first: its loss is the hardest."""
    said = await env.many(env.cluster.members, lambda host: f"{etcdctl(host)} endpoint status -w json")
    leaders: list[Host] = []
    others: list[Host] = []
    for host in env.cluster.members:
        status = json.loads(said[host.name])[0]["Status"]
        (leaders if status["leader"] == status["header"]["member_id"] else others).append(host)
    return leaders + others


def _names(hosts: Sequence[Host]) -> str:
    return " and ".join(host.name for host in hosts)
