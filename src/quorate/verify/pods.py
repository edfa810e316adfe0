"""The test pods: one Deployment that grows over all workers, a Service, a Secret, in a namespace of their own."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.core import CommandFailed, TransportError
from quorate.render import yaml
from quorate.render.sh import heredoc
from quorate.render.workload import deployment
from quorate.spec.cluster import Cluster
from quorate.verify.check import LookFailed
from quorate.verify.env import Env, own_url

APP = "web"
PORT = 8080
SECRET = "sealed"
SECRET_TEXT = "quorate-verify-plain-text"
"""What must not be found in etcd."""
PODS_RUN_S = 90
"""Seconds for pods to run; an image may have to be pulled first."""


@dataclass(frozen=True)
class Pod:
    """One running test pod."""

    name: str
    node: str
    ip: str


@dataclass(frozen=True)
class Lab:
    """The running test pods and their Service."""

    pods: tuple[Pod, ...]
    cluster_ip: str
    node_port: int

    def names(self) -> frozenset[str]:
        """Names of the pods: each answers with its own."""
        return frozenset(pod.name for pod in self.pods)


@dataclass(frozen=True)
class Rollout:
    """How far a Deployment has come, when its pods run or their time is over."""

    wanted: int
    running: tuple[Pod, ...]
    why_not: str = ""
    """What keeps the others from running."""

    @property
    def lack(self) -> str:
        """What is missing, in one line; empty when as many pods run as are wanted."""
        if len(self.running) >= self.wanted:
            return ""
        return f"{len(self.running)} of {self.wanted} pods run after {PODS_RUN_S} s: {self.why_not}"

    def complete(self) -> tuple[Pod, ...]:
        """The pods that run. Raises LookFailed when some are missing."""
        if self.lack:
            raise LookFailed(self.lack)
        return self.running


def no_worker(cluster: Cluster) -> str:
    """Why no pod can run."""
    return "" if cluster.workers else "the cluster file has no worker"


def wanted(cluster: Cluster) -> int:
    """How many pods the Deployment grows to: at least one for each worker, and 3 as the catalogue has it."""
    return max(3, len(cluster.workers))


def objects(env: Env) -> list[dict[str, Any]]:
    """The test objects. Every pod serves its own name over HTTP."""
    meta: dict[str, Any] = {"namespace": env.namespace}
    # Kubernetes' own test server where the image has it. Both log each request, for `kubectl logs`.
    command = (
        'echo "serving as $(hostname)"; '
        f"[ ! -x /agnhost ] || exec /agnhost serve-hostname --port={PORT}; "
        f"mkdir -p /tmp/www && hostname >/tmp/www/index.html && exec httpd -f -v -p {PORT} -h /tmp/www"
    )
    pods = deployment(
        APP,
        image=env.cluster.verify.image,
        command=command,
        replicas=1,
        container={"ports": [{"containerPort": PORT}]},
        pod={"serviceAccountName": APP, "tolerations": [{"operator": "Exists"}]},
    )
    pods["metadata"]["namespace"] = env.namespace
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": env.namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, "name": APP}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**meta, "name": SECRET},
            "stringData": {"text": SECRET_TEXT},
        },
        pods,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**meta, "name": APP},
            "spec": {"type": "NodePort", "selector": {"app": APP}, "ports": [{"port": 80, "targetPort": PORT}]},
        },
    ]


def parse(text: str) -> list[dict[str, Any]]:
    """Items of a list printed by kubectl. Raises LookFailed when it is none."""
    try:
        items: list[dict[str, Any]] = json.loads(text)["items"]
    except (ValueError, KeyError):
        raise LookFailed("the API server gives no list") from None
    return items


def running(items: list[dict[str, Any]]) -> tuple[Pod, ...]:
    """The pods that run and are not being deleted."""
    return tuple(
        Pod(item["metadata"]["name"], item["spec"].get("nodeName", ""), item["status"].get("podIP", ""))
        for item in items
        if item["status"].get("phase") == "Running"
        and "deletionTimestamp" not in item["metadata"]
        and item["status"].get("podIP")
    )


def why_not(items: Sequence[Mapping[str, Any]]) -> str:
    """Why pods do not run, from their own status: image, scheduling, crash."""
    for item in items:
        name, state = item["metadata"]["name"], item["status"]
        if state.get("reason"):  # Evicted, say, with its cause; such pods stay, and others are made for them.
            return f"{name}: {state['reason']}: {state.get('message', '')}"
        for container in state.get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                return f"{name}: {waiting.get('reason')}: {waiting.get('message', '')}"
        for condition in state.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] != "True":
                return f"{name}: {condition.get('reason')}: {condition.get('message', '')}"
    return "no pod was made: does kube-controller-manager lead?" if not items else "pods do not run yet"


async def first(env: Env) -> Rollout:
    """Make everything, and one pod (check 10)."""
    await env.admin(f"{env.kubectl()} apply -f - {heredoc(yaml.dump_all(objects(env)))}")
    return await rollout(env, 1, APP, f"app={APP}", env.namespace)


async def scaled(env: Env) -> Rollout:
    """The Deployment grown over all workers (check 13)."""
    (await env.once(first)).complete()
    count = wanted(env.cluster)
    await env.admin(f"{env.kubectl()} -n {env.namespace} scale deployment {APP} --replicas={count}")
    return await rollout(env, count, APP, f"app={APP}", env.namespace)


async def grown(env: Env) -> Lab:
    """The pods of all workers and their Service. Raises LookFailed when a pod does not run."""
    running = (await env.once(scaled)).complete()
    text = await env.admin(f"{env.kubectl()} -n {env.namespace} get service {APP} -o json")
    spec = json.loads(text)["spec"]
    return Lab(running, spec["clusterIP"], spec["ports"][0]["nodePort"])


async def rollout(env: Env, count: int, name: str, label: str, namespace: str) -> Rollout:
    """Wait until so many pods of a Deployment run, or their time is over."""
    run = f"{env.kubectl()} -n {namespace}"
    script = (
        f"{run} --request-timeout=0 rollout status deployment/{name} --timeout={PODS_RUN_S}s >/dev/null 2>&1\n"
        f"{run} get pods -l {label} -o json"
    )
    items = parse(await env.admin(script, PODS_RUN_S + 20))
    pods = running(items)
    return Rollout(count, pods, "" if len(pods) >= count else why_not(items))


async def delete(env: Env) -> None:
    """Delete the namespace with all in it, without waiting for its end; an API that is away is no error here."""
    for master in env.cluster.masters:
        run = env.kubectl(own_url(env.cluster, master))
        try:
            async with asyncio.timeout(30):
                await env.run(master, f"{run} delete namespace {env.namespace} --ignore-not-found --wait=false", 25)
        except (CommandFailed, TransportError, TimeoutError):
            continue
        return
