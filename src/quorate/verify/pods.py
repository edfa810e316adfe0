"""The test pods: one Deployment that grows over all workers, a Service, a Secret, in a namespace of their own."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from quorate.core import CommandFailed, TransportError
from quorate.render import yaml
from quorate.render.sh import heredoc
from quorate.render.workload import deployment
from quorate.verify.check import Skip, Wrong
from quorate.verify.env import Env, own_url

APP = "web"
PORT = 8080
SECRET = "sealed"
SECRET_TEXT = "quorate-verify-plain-text"
"""What must not be found in etcd."""
START = 90
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


def wanted(env: Env) -> int:
    """How many pods the Deployment grows to: at least one for each worker, and 3 as the catalogue has it."""
    return max(3, len(env.cluster.workers))


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
    """Items of a list printed by kubectl. Raises Wrong when it is none."""
    try:
        items: list[dict[str, Any]] = json.loads(text)["items"]
    except (ValueError, KeyError):
        raise Wrong("the API server gives no list") from None
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


def why_not(items: list[dict[str, Any]]) -> str:
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


async def first(env: Env) -> Pod:
    """Make everything; the first pod, running (check 10)."""
    if not env.cluster.workers:
        raise Skip("the cluster file has no worker")
    run = env.kubectl()
    await env.admin(f"{run} apply -f - {heredoc(yaml.dump_all(objects(env)))}")
    return (await rollout(env, 1, APP, f"app={APP}", env.namespace))[0]


async def grown(env: Env) -> Lab:
    """The Deployment grown over all workers (check 13)."""
    await env.once(first)
    await env.admin(f"{env.kubectl()} -n {env.namespace} scale deployment {APP} --replicas={wanted(env)}")
    pods = await rollout(env, wanted(env), APP, f"app={APP}", env.namespace)
    text = await env.admin(f"{env.kubectl()} -n {env.namespace} get service {APP} -o json")
    spec = json.loads(text)["spec"]
    return Lab(pods, spec["clusterIP"], spec["ports"][0]["nodePort"])


async def rollout(env: Env, count: int, name: str, label: str, namespace: str) -> tuple[Pod, ...]:
    """The pods of a Deployment once so many run. Raises Wrong with what keeps them from it."""
    run = f"{env.kubectl()} -n {namespace}"
    script = (
        f"{run} --request-timeout=0 rollout status deployment/{name} --timeout={START}s >/dev/null 2>&1\n"
        f"{run} get pods -l {label} -o json"
    )
    items = parse(await env.admin(script, START + 20))
    pods = running(items)
    if len(pods) < count:
        raise Wrong(f"{len(pods)} of {count} pods run after {START} s: {why_not(items)}")
    return pods


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
