"""Checks that stop members of etcd, and what API servers do when they are back: each must write at once.

`/readyz` can't tell: from Kubernetes 1.34 on it is asked by another connection than that by which objects are written.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quorate.component.etcd import etcdctl
from quorate.report.findings import Status, Verdict, failed, passed
from quorate.resource.kube import kubectl
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster, Host
from quorate.spec.ports import ETCD_CLIENT
from quorate.verify import following
from quorate.verify.env import Env, own_url, until
from quorate.verify.following import Followed, followed
from quorate.verify.outage import NOT_AWAITED, Recovery, healthy, recovered, start, stop

ALL_AWAY_S = 60.0
"""Seconds for which all members are away: clients whose patience grows with each failure have lost much of it then."""
WRITES_GOAL_S = 2.0
"""Seconds within which an API server should write once etcd answers; above that it is called slow."""
WRITES_WITHIN_S = 10.0
"""Seconds within which it must. A machine that is busy costs some; clients that back off cost 27 to 41 s, measured
without a way to etcd that makes them wait (bench/away.py)."""
WRITES_GIVEN_UP_S = 150
"""Seconds after which nobody waits for that any longer."""
MINORITY_WRITES_S = 20.0
"""Seconds for a write without some members: a new leader is there long before."""
ASKING_HEAD_START_S = 0.5
"""Seconds for a script to begin on a host."""


@dataclass(frozen=True)
class Aftermath:
    """What is left when all members are back."""

    recovery: Recovery = NOT_AWAITED
    kept: bool = False
    """Whether a write that was confirmed is there."""
    writes: bool = False
    """Whether more can be written."""

    @property
    def fault(self) -> str:
        """What is wrong; else empty."""
        if self.recovery.fault:
            return self.recovery.fault
        if not self.kept:
            return "a confirmed write is gone"
        return "" if self.writes else "no write after all members are back"


@dataclass(frozen=True)
class Loss:
    """Writes without some members of etcd, and what came after that."""

    few: tuple[str, ...]
    """A minority, which was stopped first."""
    many: tuple[str, ...]
    """The smallest majority, which was stopped then."""
    seconds: float | None = None
    """Until a write was confirmed without the few; None when none was."""
    refused: tuple[bool, ...] = ()
    """For each write without the many."""
    back: Mapping[str, float] = field(default_factory=dict)
    """By master, seconds until its API server wrote again."""
    aftermath: Aftermath = Aftermath()

    @property
    def fault(self) -> str:
        """What is wrong, the aftermath aside; else empty. The experiment goes no further then."""
        if self.seconds is None:
            return f"no write within {MINORITY_WRITES_S:.0f} s without {' and '.join(self.few)}"
        if not all(self.refused):
            return f"a write was confirmed without {' and '.join(self.many)}"
        return late(self.back)


def no_tolerance(cluster: Cluster) -> str:
    """Why no member may stop."""
    count = len(cluster.members)
    return "" if count > 2 else f"{count} etcd members survive no loss"


async def look_loss(env: Env) -> Loss:
    """16: a minority of members stops, the leader first, then one more."""
    tolerated = (len(env.cluster.members) - 1) // 2
    await healthy(env)
    order = await _leader_first(env)
    await _namespace(env)
    many = order[: tolerated + 1]
    try:
        loss = await _stopped(env, order[:tolerated], many)
    finally:
        await asyncio.shield(_start(env, many))
    return loss if loss.fault else replace(loss, aftermath=await _aftermath(env, "with-majority"))


async def _stopped(env: Env, few: Sequence[Host], many: Sequence[Host]) -> Loss:
    """Stop the few, then the rest of the many, and start them again; as far as all goes well."""
    loss = Loss(_names(few), _names(many))
    for host in few:
        await stop(env, host, ["etcd.service"])
    began = asyncio.get_running_loop().time()
    if not await until(bool, lambda: _write(env, "with-majority"), MINORITY_WRITES_S, 0.5):
        return loss
    loss = replace(loss, seconds=asyncio.get_running_loop().time() - began)
    await stop(env, many[-1], ["etcd.service"])
    refused = [not await _write(env, f"without-majority-{number}") for number in range(2)]
    loss = replace(loss, refused=tuple(refused))
    return loss if loss.fault else replace(loss, back=await returned(env, many))


def judge_loss(_cluster: Cluster, seen: Loss) -> Verdict:
    """Without a minority writes go on; without a majority none is confirmed; then all is well, and nothing is lost."""
    if wrong := seen.fault or seen.aftermath.fault:
        return failed(wrong)
    few, many, count = " and ".join(seen.few), " and ".join(seen.many), len(seen.refused)
    well = f"all well in {seen.aftermath.recovery.seconds:.0f} s"
    return passed(
        f"without {few} (leader first) writes go on within {seen.seconds or 0.0:.1f} s; without {many} "
        f"{count} of {count} are refused; back: {_paces(seen.back)}; {well}"
    )


@dataclass(frozen=True)
class Away:
    """What came of it when all members of etcd were away."""

    wrote: bool
    """Whether there was a write before."""
    back: Mapping[str, float] = field(default_factory=dict)
    """By master, seconds until its API server wrote again."""
    aftermath: Aftermath = Aftermath()
    followed: Followed | None = None
    """How workers did; None where there are none."""

    @property
    def fault(self) -> str:
        """What is wrong, the aftermath aside; else empty. The experiment goes no further then."""
        return late(self.back) if self.wrote else "no write while all members are there"


async def look_away(env: Env) -> Away:
    """All members are stopped for a while. Workers must follow afterwards: what comes next finds a cluster at rest."""
    await healthy(env)
    await _namespace(env)
    away = Away(await _write(env, "before"))
    if away.fault:
        return away
    members = env.cluster.members
    try:
        await asyncio.gather(*(stop(env, host, ["etcd.service"]) for host in members))
        await asyncio.sleep(ALL_AWAY_S)
        away = replace(away, back=await returned(env, members))
    finally:
        await asyncio.shield(_start(env, members))
    if away.fault:
        return away
    away = replace(away, aftermath=await _aftermath(env, "before"))
    return away if away.aftermath.fault else replace(away, followed=await followed(env))


def judge_away(cluster: Cluster, seen: Away) -> Verdict:
    """When etcd answers again every API server writes at once, nothing is lost, and workers follow."""
    if wrong := seen.fault or seen.aftermath.fault:
        return failed(wrong)
    workers = following.judge(cluster, seen.followed)
    if workers.status is Status.FAILED:
        return workers
    well = f"all well in {seen.aftermath.recovery.seconds:.0f} s{workers.detail}"
    return passed(f"all {len(cluster.members)} away for {ALL_AWAY_S:.0f} s; back: {_paces(seen.back)}; {well}")


def late(back: Mapping[str, float]) -> str:
    """What is wrong where an API server took too long to write again; else empty."""
    if max(back.values(), default=0.0) <= WRITES_WITHIN_S:
        return ""
    return f"etcd answers again: {_paces(back)}, expected {WRITES_WITHIN_S:g} s"


def _paces(back: Mapping[str, float]) -> str:
    """In words, how soon each API server wrote again."""
    return ", ".join(
        f"{name} writes after {seconds:.2f} s"
        + (f" (slow, {WRITES_GOAL_S:g} s is the goal)" if seconds > WRITES_GOAL_S else "")
        for name, seconds in back.items()
    )


async def returned(env: Env, stopped: Sequence[Host]) -> dict[str, float]:
    """Start members; seconds from etcd's first answer to the first write through each API server, by host.

    `WRITES_GIVEN_UP_S` where none came.
    """
    masters = env.cluster.masters
    asking = asyncio.ensure_future(env.many(masters, lambda host: _until_written(env, host), WRITES_GIVEN_UP_S + 30))
    try:
        # They ask already when the first member comes.
        await asyncio.sleep(ASKING_HEAD_START_S)
        await _start(env, stopped)
        outputs = await asking
    finally:
        asking.cancel()
    words = {name: output.split()[-1:] for name, output in outputs.items()}
    return {
        name: int(word[0]) / 1000 if word and word[0].isdigit() else WRITES_GIVEN_UP_S for name, word in words.items()
    }


def _until_written(env: Env, master: Host) -> str:
    """sh on a master that waits until etcd answers, and prints the milliseconds until its own API server writes."""
    tls = f"--cacert {pki_files.ETCD_CA} --cert {pki_files.APISERVER_ETCD_CLIENT}"
    tls += f" --key {pki_files.APISERVER_ETCD_CLIENT_KEY}"
    urls = " ".join(f"https://{member.ip}:{ETCD_CLIENT}/health" for member in env.cluster.members)
    path = f"/api/v1/namespaces/{env.namespace}/configmaps"
    named = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"back-"}}'
    late = '[ "$(date +%s)" -lt $end ] || { echo never; exit 0; }; sleep 0.05'
    return (
        f"end=$(( $(date +%s) + {WRITES_GIVEN_UP_S} ))\n"
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


async def _aftermath(env: Env, name: str) -> Aftermath:
    """Wait until all is well, look whether what was confirmed is there, and write more."""
    recovery = await recovered(env)
    if recovery.fault:
        return Aftermath(recovery)
    objects = await env.admin(f"{env.kubectl()} -n {env.namespace} get configmap {name} -o name --ignore-not-found")
    kept = name in objects
    return Aftermath(recovery, kept, kept and await _write(env, f"after-{name}"))


async def _leader_first(env: Env) -> list[Host]:
    """The members, the leader first: its loss is the hardest."""
    outputs = await env.many(env.cluster.members, lambda host: f"{etcdctl(host)} endpoint status -w json")
    leaders: list[Host] = []
    others: list[Host] = []
    for host in env.cluster.members:
        status = json.loads(outputs[host.name])[0]["Status"]
        (leaders if status["leader"] == status["header"]["member_id"] else others).append(host)
    return leaders + others


def _names(hosts: Sequence[Host]) -> tuple[str, ...]:
    return tuple(host.name for host in hosts)
