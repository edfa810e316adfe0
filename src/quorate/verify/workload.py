"""Checks of nodes and of what runs on them: nodes are Ready, test pods run everywhere, their logs can be read."""

from collections.abc import Mapping
from dataclasses import dataclass

from quorate.report.findings import Verdict, failed, passed
from quorate.resource.ask import MARK
from quorate.spec.cluster import Cluster
from quorate.verify import pods
from quorate.verify.env import Env
from quorate.verify.pods import Lab, Pod, Rollout


@dataclass(frozen=True)
class Node:
    """A node, as the API has it."""

    name: str
    ready: bool
    version: str
    """Of its kubelet."""


async def look_nodes(env: Env) -> tuple[Node, ...]:
    """4: all nodes."""
    return tuple(
        Node(
            item["metadata"]["name"],
            any(each["type"] == "Ready" and each["status"] == "True" for each in item["status"]["conditions"]),
            item["status"].get("nodeInfo", {}).get("kubeletVersion", ""),
        )
        for item in (await env.objects("nodes"))["items"]
    )


def judge_nodes(cluster: Cluster, seen: tuple[Node, ...]) -> Verdict:
    """They are Ready, and those of the cluster file."""
    ready = {node.name for node in seen if node.ready}
    lacking = [host.node for host in cluster.workers if host.node not in ready]
    if lacking:
        return failed(f"not Ready: {', '.join(lacking)}")
    if idle := {node.name for node in seen} - ready:
        return failed(f"not Ready, and not in the cluster file: {', '.join(sorted(idle))}")
    versions = sorted({node.version for node in seen})
    return passed(f"{len(ready)} of {len(seen)} Ready, {', '.join(versions)}")


async def look_pod(env: Env) -> Rollout:
    """10: a Deployment of one pod."""
    return await env.once(pods.first)


def judge_pod(_cluster: Cluster, seen: Rollout) -> Verdict:
    """It is scheduled and runs."""
    if seen.lack:
        return failed(seen.lack)
    pod = seen.running[0]
    return passed(f"{pod.name} Running on {pod.node} at {pod.ip}")


async def look_scaled(env: Env) -> Rollout:
    """13: the Deployment with more pods."""
    return await env.once(pods.scaled)


def judge_scaled(cluster: Cluster, seen: Rollout) -> Verdict:
    """They run, on every worker."""
    if seen.lack:
        return failed(seen.lack)
    counts = {host.node: sum(1 for pod in seen.running if pod.node == host.node) for host in cluster.workers}
    if empty := [node for node, count in counts.items() if not count]:
        return failed(f"no pod on {', '.join(empty)}")
    shares = ", ".join(f"{count} on {node}" for node, count in counts.items())
    return passed(f"{len(seen.running)} Running: {shares}")


def one_each(cluster: Cluster, lab: Lab) -> list[Pod]:
    """A pod of every worker."""
    by_node = {pod.node: pod for pod in lab.pods}
    return [by_node[host.node] for host in cluster.workers if host.node in by_node]


async def for_each(env: Env, lab: Lab, command: str) -> dict[Pod, str]:
    """Run kubectl for a pod of every worker, whose name stands for `%s`; what it printed by pod."""
    asked = one_each(env.cluster, lab)
    run = f"{env.kubectl()} --request-timeout=60s -n {env.namespace}"
    lines = (f"printf '\\n{MARK}%s\\n' {pod.name}; {run} {command.replace('%s', pod.name, 1)} 2>&1" for pod in asked)
    output = await env.admin("\n".join([*lines, ":"]), 30 + 20 * len(asked))
    blocks = dict(block.split("\n", 1) for block in output.split(MARK)[1:])
    return {pod: blocks.get(pod.name, "") for pod in asked}


async def look_logs(env: Env) -> Mapping[Pod, str]:
    """12: `kubectl logs` of a pod on every worker."""
    return await for_each(env, await env.once(pods.grown), "logs %s")


def judge_logs(_cluster: Cluster, seen: Mapping[Pod, str]) -> Verdict:
    """They show what each wrote."""
    for pod, text in seen.items():
        if f"serving as {pod.name}" not in text:
            return failed(f"{pod.name} on {pod.node}: {text.strip()[-200:] or 'empty'}")
    return passed(f"read from {len(seen)} pods on {len(seen)} workers")
