"""Pods that only live, two on each worker: no fault may move one whose host it does not take."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core import QuorateError
from quorate.drill.answer import Broken, reason
from quorate.drill.api import Api
from quorate.render.workload import deployment
from quorate.spec.cluster import Cluster

APP = "stays"
PODS_PER_WORKER = 2
"""Pods on each worker."""
RUNNING_WITHIN_S = 90.0
"""Seconds for them to run; an image may have to be pulled first."""
BETWEEN_LOOKS_S = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True)
class Pod:
    """One pod."""

    name: str
    node: str
    restarts: int
    ready: bool


Pods = Mapping[str, Pod]
"""By uid."""


def stays(cluster: Cluster) -> dict[str, Any]:
    """Two pods for each worker, spread evenly; each only sleeps."""
    replicas = PODS_PER_WORKER * len(cluster.workers)
    return deployment(APP, image=cluster.verify.image, command="exec sleep 1000000", replicas=replicas)


async def look(api: Api, namespace: str) -> Pods:
    """The pods that are there and not about to go. Raises OSError or Broken."""
    items = await api.items(f"/api/v1/namespaces/{namespace}/pods")
    return {
        item["metadata"]["uid"]: Pod(
            item["metadata"]["name"],
            item["spec"].get("nodeName", ""),
            sum(each.get("restartCount", 0) for each in item["status"].get("containerStatuses", [])),
            bool(item["status"].get("containerStatuses"))
            and all(each.get("ready") for each in item["status"]["containerStatuses"]),
        )
        for item in items
        if "deletionTimestamp" not in item["metadata"]
    }


async def start(api: Api, cluster: Cluster, namespace: str) -> str:
    """Make them and wait until they run; why they do not, if so: then nothing can be said of pods."""
    if not cluster.workers:
        return "there is no worker in the cluster file"
    end, why = time.monotonic() + RUNNING_WITHIN_S, "they do not run yet"
    made = False
    while time.monotonic() < end:
        try:
            if not made:
                path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
                reply = await api.ask("POST", path, stays(cluster))
                made = reply.status in (201, 409)
                why = "" if made else f"HTTP {reply.status}"
            found = await look(api, namespace)
            ready = sum(pod.ready for pod in found.values())
            if ready == PODS_PER_WORKER * len(cluster.workers):
                return ""
            why = f"{ready} of {PODS_PER_WORKER * len(cluster.workers)} run after {RUNNING_WITHIN_S:.0f} s"
        except (OSError, Broken) as error:
            why = reason(error)
        await asyncio.sleep(BETWEEN_LOOKS_S)
    return why


def moved(before: Pods, after: Pods, nodes: Collection[str]) -> tuple[str, ...]:
    """Names of pods that were started again or are gone, though they were not on these nodes."""
    return tuple(
        pod.name
        for uid, pod in before.items()
        if pod.node not in nodes and (uid not in after or after[uid].restarts > pod.restarts)
    )


async def insist(api: Api, namespace: str) -> Pods:
    """The pods, asked again until the API answers. Raises QuorateError when it does not for 10 s."""
    end, word = time.monotonic() + 10, ""
    while time.monotonic() < end:
        try:
            return await look(api, namespace)
        except (OSError, Broken) as error:
            word = reason(error)
        await asyncio.sleep(BETWEEN_LOOKS_S)
    raise QuorateError(f"the API does not tell its pods: {word}")
