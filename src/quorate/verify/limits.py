"""Limits of CPU and memory hold: a pod on every worker that asks for more than it may have, and is kept from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.render import yaml
from quorate.render.sh import heredoc
from quorate.render.workload import pod
from quorate.report.findings import Verdict, failed, passed
from quorate.spec.cluster import Cluster
from quorate.verify import pods
from quorate.verify.env import Env, until

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


Pods = Sequence[Mapping[str, Any]]
"""The pods with limits, as the API has them."""


def _ended(items: Pods) -> list[Mapping[str, Any]]:
    return [each for each in items if each["status"].get("phase") in ("Succeeded", "Failed")]


async def look_limits(env: Env) -> Pods:
    """A pod on every worker that asks for more than it may have, when all have ended or their time is over."""
    (await env.once(pods.first)).complete()
    workers = env.cluster.workers
    run = f"{env.kubectl()} -n {env.namespace}"
    wanted = [pod(APP, host.node, image=env.cluster.verify.image, commands=COMMANDS) for host in workers]
    # A second look begins anew.
    await env.admin(f"{run} delete pod -l app={APP} --force --grace-period=0 >/dev/null 2>&1; :")
    await env.admin(f"{run} create -f - {heredoc(yaml.dump_all(wanted))}")

    async def look() -> Pods:
        return pods.parse(await env.admin(f"{run} get pods -l app={APP} -o json"))

    return await until(lambda items: len(_ended(items)) == len(workers), look, pods.PODS_RUN_S, 1.0)


def judge_limits(cluster: Cluster, seen: Pods) -> Verdict:
    """On every worker: who eats memory is killed, who burns CPU is slowed down, a limit of two cores is accepted."""
    workers = cluster.workers
    ended = _ended(seen)
    if len(ended) != len(workers):
        return failed(f"pods with limits have not ended after {pods.PODS_RUN_S} s: {pods.why_not(seen)}")
    by_node = {each["spec"]["nodeName"]: each["status"] for each in ended}
    statuses = {host.name: by_node.get(host.node, {}) for host in workers}
    for name, status in statuses.items():
        if wrong := fault(status):
            return failed(f"{name}: {wrong}")
    most = max(cores(status) or 0.0 for status in statuses.values())
    return passed(
        f"{len(workers)} workers: {MEMORY} MiB of memory hold, {SHARE} cores hold (used {most:.2f} at most), "
        f"{CORES} cores are accepted"
    )


def fault(status: Mapping[str, Any]) -> str:
    """What is wrong where a limit of a worker's pod does not hold; else empty."""
    ends = _ends(status)
    for name in COMMANDS:
        if not ends.get(name):
            why = f"{status.get('reason', '')} {status.get('message', '')}".strip() or "its pod says no more"
            return f"container {name!r} has not run: {why}"
    for name in ("burns", "wide"):
        if ends[name].get("exitCode") != 0:
            why = f"{ends[name].get('reason')}: {ends[name].get('message', '')}"
            return f"a container with a limit of CPU does not run: {why}"
    code = ends["eats"].get("exitCode")
    if code != 137:
        how = f"exit code {code}, {ends['eats'].get('reason')} {ends['eats'].get('message', '')}".rstrip()
        used = f"{EATS} MiB of memory were used under a limit of {MEMORY}"
        return f"{used if code == 0 else 'not killed'}: {how}"
    share = cores(status)
    if share is None:
        return f"no numbers of a busy container: {ends['burns'].get('message', '')!r}"
    return f"a container used {share:.2f} cores under a limit of {SHARE}" if share > MOST else ""


def cores(status: Mapping[str, Any]) -> float | None:
    """The cores that the busy container of a worker's pod used; None where it gives no numbers."""
    try:
        used, passed_by = map(int, _ends(status).get("burns", {}).get("message", "").split())
        return used / passed_by
    except (ValueError, ZeroDivisionError):
        return None


def _ends(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """How the containers of a pod ended, by name."""
    return {each["name"]: each.get("state", {}).get("terminated", {}) for each in status.get("containerStatuses", [])}
