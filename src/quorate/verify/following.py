"""Whether workers follow the API again after etcd was away: a service that is made then must lead to its pods."""

import asyncio

from quorate.core import CommandFailed
from quorate.render.sh import sh
from quorate.spec.cluster import Host
from quorate.spec.minor import parts
from quorate.verify import pods
from quorate.verify.api import CURL
from quorate.verify.check import demand
from quorate.verify.env import Env, settled
from quorate.verify.outage import recovered

PATIENCE = 150.0
"""Seconds for a worker to know of it. What watches the API waits longer after each attempt that failed, up to 60 s
(client-go, tools/cache/reflector.go: 30 s, and as much again by chance); so do API servers' own caches towards etcd."""
PROMPT = 5.0
"""Seconds that a worker needs when nothing was away; one that needs more is named."""
NAME = "followed"
SOUND = (1, 27)
"""Kubernetes from which on a watch that begins while the API server's own watch at etcd breaks off gets its events
(kubernetes/kubernetes#116122). Before that it may stay silent until it ends, 5 to 10 minutes later: a kube-proxy or a
kubelet knows of nothing new, and has no error to tell of."""


async def followed(env: Env) -> str:
    """In words, how soon every worker leads to the pods of a new service. Raises Wrong where one does not."""
    if not env.cluster.workers:
        return ""
    await env.once(pods.grown)
    run = f"{env.kubectl()} -n {env.namespace}"
    address = await env.admin(
        f"{run} delete service {NAME} --ignore-not-found >/dev/null && "
        f"{run} expose deployment {pods.APP} --name={NAME} --port=80 --target-port={pods.PORT} >/dev/null && "
        f"{run} get service {NAME} -o jsonpath='{{.spec.clusterIP}}'"
    )
    url = f"http://{address.strip()}/"
    late = await _silent(env, url, PROMPT)
    told = f"; {', '.join(late)} slow to know of a new service" if late else ""
    if parts(env.cluster.versions.kubernetes) < SOUND:
        told += await _anew(env)
    began = asyncio.get_running_loop().time()
    silent = await _silent(env, url, PATIENCE)
    demand(not silent, f"from {', '.join(silent)}: a service made after that does not answer in {PATIENCE:.0f} s{told}")
    after = f" {asyncio.get_running_loop().time() - began:.0f} s later" if late else f" within {PROMPT:.0f} s"
    return f"{told}; {len(env.cluster.workers)} workers lead to it{after}"


async def _anew(env: Env) -> str:
    """Let all watches begin anew by a restart of one API server after the other; in words. Those of kubelets too, say,
    may be silent where those of kube-proxies are not."""
    for master in env.cluster.masters:
        await env.run(master, sh("systemctl", "restart", "kube-apiserver.service"), 120)
        await recovered(env)
    return f"; API servers restarted, for {env.cluster.versions.kubernetes} may leave watches without events after that"


async def _silent(env: Env, url: str, within: float) -> list[str]:
    """The workers from which the service does not answer in time."""

    async def answers(worker: Host) -> bool:
        async def look() -> bool | None:
            try:
                await env.run(worker, f"{CURL} -f -o /dev/null {url}")
            except CommandFailed:
                return None
            return True

        return bool(await settled(look, within, 1.0))

    found = await asyncio.gather(*(answers(worker) for worker in env.cluster.workers))
    return [worker.name for worker, each in zip(env.cluster.workers, found, strict=True) if not each]
