"""Whether workers follow the API again after etcd was away: a service that is made then must lead to its pods."""

import asyncio
from dataclasses import dataclass

from quorate.core import CommandFailed
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed
from quorate.spec.cluster import Cluster, Host
from quorate.spec.minor import parts
from quorate.verify import pods
from quorate.verify.env import CURL, Env, until
from quorate.verify.outage import Recovery, recovered

WORKERS_KNOW_S = 150.0
"""Seconds for a worker to know of it. What watches the API waits longer after each attempt that failed, up to 60 s
(client-go, tools/cache/reflector.go: 30 s, and as much again by chance); so do API servers' own caches towards etcd."""
WORKERS_KNOW_SOON_S = 5.0
"""Seconds that a worker needs when nothing was away; one that needs more is named."""
NAME = "followed"
SOUND = (1, 27)
"""Kubernetes from which on a watch that begins while the API server's own watch at etcd breaks off gets its events
(kubernetes/kubernetes#116122). Before that it may stay silent until it ends, 5 to 10 minutes later: a kube-proxy or a
kubelet knows of nothing new, and has no error to tell of."""


@dataclass(frozen=True)
class Followed:
    """How soon workers led to the pods of a new service."""

    slow: tuple[str, ...]
    """Workers that did not within `WORKERS_KNOW_SOON_S`."""
    silent: tuple[str, ...]
    """Those that did not at all."""
    seconds: float
    """Until the last of the slow ones did."""
    restart: Recovery | None = None
    """From the last restart of an API server, where they were restarted before, for all watches to begin anew. Nobody
    waited for workers where it did not come."""


async def followed(env: Env) -> Followed | None:
    """Make a service, and wait until every worker leads to its pods. None without workers."""
    if not env.cluster.workers:
        return None
    await env.once(pods.grown)
    run = f"{env.kubectl()} -n {env.namespace}"
    address = await env.admin(
        f"{run} delete service {NAME} --ignore-not-found >/dev/null && "
        f"{run} expose deployment {pods.APP} --name={NAME} --port=80 --target-port={pods.PORT} >/dev/null && "
        f"{run} get service {NAME} -o jsonpath='{{.spec.clusterIP}}'"
    )
    url = f"http://{address.strip()}/"
    slow = await _silent(env, url, WORKERS_KNOW_SOON_S)
    anew = parts(env.cluster.versions.kubernetes) < SOUND
    restart = await _restarted(env) if anew else None
    if restart and restart.fault:
        return Followed(slow, slow, 0.0, restart)
    began = asyncio.get_running_loop().time()
    silent = await _silent(env, url, WORKERS_KNOW_S)
    return Followed(slow, silent, asyncio.get_running_loop().time() - began, restart)


def judge(cluster: Cluster, seen: Followed | None) -> Verdict:
    """Every worker does; the detail goes on with a sentence."""
    if seen is None:
        return passed()
    if seen.restart and seen.restart.fault:
        return failed(seen.restart.fault)
    before = f"; {', '.join(seen.slow)} slow to know of a new service" if seen.slow else ""
    if seen.restart:
        version = cluster.versions.kubernetes
        before += f"; API servers restarted, for {version} may leave watches without events after that"
    if seen.silent:
        late = f"a service made after that does not answer in {WORKERS_KNOW_S:.0f} s"
        return failed(f"from {', '.join(seen.silent)}: {late}{before}")
    after = f" {seen.seconds:.0f} s later" if seen.slow else f" within {WORKERS_KNOW_SOON_S:.0f} s"
    return passed(f"{before}; {len(cluster.workers)} workers lead to it{after}")


async def _restarted(env: Env) -> Recovery:
    """Let all watches begin anew by a restart of one API server after the other, as long as all is well after each.

    Those of kubelets too, say, may be silent where those of kube-proxies are not.
    """
    recovery = Recovery()
    for master in env.cluster.masters:
        await env.run(master, sh("systemctl", "restart", "kube-apiserver.service"), 120)
        recovery = await recovered(env)
        if recovery.fault:
            break
    return recovery


async def _silent(env: Env, url: str, within: float) -> tuple[str, ...]:
    """The workers from which the service does not answer in time."""

    async def answers(worker: Host) -> bool:
        async def look() -> bool:
            try:
                await env.run(worker, f"{CURL} -f -o /dev/null {url}")
            except CommandFailed:
                return False
            return True

        return await until(bool, look, within, 1.0)

    workers = env.cluster.workers
    answered = await asyncio.gather(*(answers(worker) for worker in workers))
    return tuple(worker.name for worker, answer in zip(workers, answered, strict=True) if not answer)
