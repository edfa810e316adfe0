"""Limits of CPU and memory hold: a pod on every worker that asks for more than it may have, and is kept from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.render import yaml
from quorate.render.sh import heredoc
from quorate.render.workload import pod
from quorate.spec.cluster import Host
from quorate.verify import pods
from quorate.verify.check import Wrong, demand
from quorate.verify.env import Env, settled

MEMORY, EATS = 32, 96
"""MiB that a container may have, and what it tries to take."""
SHARE, BURNS = 0.1, 4
"""Cores that a container may use, and seconds for which it tries to use one."""
MOST = 2 * SHARE
"""Cores above which the limit does not hold: periods begin before it and end after it, so some more is due."""
CORES = 2
"""A limit above one core: control groups above the pods' may allow less, and then no such container starts."""
APP = "limits"

EAT = f"exec dd if=/dev/zero of=/dev/null bs={EATS}M count=1"
BURN = f"""\
now() {{ read up _ </proc/uptime; echo "${{up%.*}}${{up#*.}}"; }}
(while :; do :; done) & loop=$!
began=$(now); sleep {BURNS}
read -r line </proc/$loop/stat; ended=$(now); kill $loop
set -- $line; echo $((${{14}} + ${{15}})) $((ended - began)) >/dev/termination-log"""
"""Prints hundredths of a second: of a core, and by the clock. `/proc/PID/stat` counts so on every Linux (USER_HZ)."""


def _limits(**most: str) -> Mapping[str, Any]:
    return {"resources": {"limits": most, "requests": {"cpu": "10m", "memory": "8Mi"}}}


COMMANDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "eats": (EAT, _limits(memory=f"{MEMORY}Mi", cpu="500m")),
    "burns": (BURN, _limits(memory="64Mi", cpu=f"{SHARE * 1000:.0f}m")),
    "wide": (":", _limits(memory="64Mi", cpu=str(CORES))),
}


async def limits(env: Env) -> str:
    """On every worker: who eats memory is killed, who burns CPU is slowed down, a limit of two cores is accepted."""
    await env.once(pods.first)
    workers = env.cluster.workers
    run = f"{env.kubectl()} -n {env.namespace}"
    wanted = [pod(APP, host.node, image=env.cluster.verify.image, commands=COMMANDS) for host in workers]
    # A second look begins anew.
    await env.admin(f"{run} delete pod -l app={APP} --force --grace-period=0 >/dev/null 2>&1; :")
    await env.admin(f"{run} create -f - {heredoc(yaml.dump_all(wanted))}")
    last: list[dict[str, Any]] = []

    async def ended() -> list[dict[str, Any]] | None:
        last[:] = pods.parse(await env.admin(f"{run} get pods -l app={APP} -o json"))
        over = [each for each in last if each["status"].get("phase") in ("Succeeded", "Failed")]
        return over if len(over) == len(workers) else None

    found = await settled(ended, pods.START, 1.0)
    if found is None:
        raise Wrong(f"pods with limits have not ended after {pods.START} s: {pods.why_not(last)}")
    by_node = {each["spec"]["nodeName"]: each["status"] for each in found}
    shares = [judge(host, by_node.get(host.node, {})) for host in workers]
    return (
        f"{len(workers)} workers: {MEMORY} MiB of memory hold, {SHARE} cores hold (used {max(shares):.2f} at most), "
        f"{CORES} cores are accepted"
    )


def judge(host: Host, status: Mapping[str, Any]) -> float:
    """The cores that a worker's container used. Raises Wrong where a limit does not hold."""
    said: Sequence[Mapping[str, Any]] = status.get("containerStatuses", [])
    ends = {each["name"]: each.get("state", {}).get("terminated", {}) for each in said}
    for name in COMMANDS:
        demand(bool(ends.get(name)), f"{host.name}: container {name!r} has not run: {_told(status)}")
    for name in ("burns", "wide"):
        end = ends[name]
        why = f"{end.get('reason')}: {end.get('message', '')}"
        demand(end.get("exitCode") == 0, f"{host.name}: a container with a limit of CPU does not run: {why}")
    end = ends["eats"]
    got = f"exit code {end.get('exitCode')}, {end.get('reason')} {end.get('message', '')}".rstrip()
    over = f"{EATS} MiB of memory were used under a limit of {MEMORY}"
    demand(end.get("exitCode") == 137, f"{host.name}: {over if end.get('exitCode') == 0 else 'not killed'}: {got}")
    try:
        used, passed = map(int, ends["burns"].get("message", "").split())
        share = used / passed
    except (ValueError, ZeroDivisionError):
        raise Wrong(f"{host.name}: no numbers of a busy container: {ends['burns'].get('message', '')!r}") from None
    demand(share <= MOST, f"{host.name}: a container used {share:.2f} cores under a limit of {SHARE}")
    return share


def _told(status: Mapping[str, Any]) -> str:
    return f"{status.get('reason', '')} {status.get('message', '')}".strip() or "its pod says no more"
