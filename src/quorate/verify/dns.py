"""The check of DNS: pods on every worker find names, at the service's address and at every DNS server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from quorate.core import CommandFailed
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed, skipped
from quorate.spec.cluster import Cluster
from quorate.verify import pods
from quorate.verify.check import LookFailed
from quorate.verify.env import Env
from quorate.verify.pods import Lab, Pod
from quorate.verify.workload import for_each

Question = tuple[str, str]
"""A name, and the address of who is asked: empty for the one in the pod's own file."""


@dataclass(frozen=True)
class Names:
    """What pods were told about names."""

    address: str
    """Of the service kube-dns."""
    servers: int = 0
    """How many pods stand behind it."""
    wanted: Mapping[Question, str] = field(default_factory=dict)
    """What must be in an answer."""
    answers: Mapping[Pod, Mapping[Question, str]] = field(default_factory=dict)
    """By who asked, one pod on every worker."""


def no_dns(cluster: Cluster) -> str:
    """Why there is no DNS to be asked, or nobody to ask."""
    return pods.no_worker(cluster) if cluster.dns.enabled else "dns.enabled is false in the cluster file"


async def look_names(env: Env) -> Names | None:
    """Pods on every worker ask for the API and a service by name, for nobody, and every DNS server for the API.

    None where there is no service kube-dns; nobody asks where it is not at the address that pods have.
    """
    c = env.cluster
    lab = await env.once(pods.grown)
    try:
        text = await env.admin(f"{env.kubectl()} -n kube-system get service kube-dns --ignore-not-found -o json")
    except CommandFailed as error:
        raise LookFailed(f"kubectl get service kube-dns: {error.stderr.strip()}") from error
    if not text.strip():
        return None
    address = json.loads(text)["spec"]["clusterIP"]
    if address != c.dns_ip:
        return Names(address)
    servers = (await pods.rollout(env, c.dns.replicas, "coredns", "k8s-app=kube-dns", "kube-system")).complete()
    wanted = _wanted(env, lab, servers)
    inside = "\n".join(
        f"printf '%s ' {name}@{server}; nslookup {name} {server} 2>&1 | tr '\\n' ' '; echo" for name, server in wanted
    )
    outputs = await for_each(env, lab, f"exec %s -- {sh('sh', '-c', inside)}")
    return Names(address, len(servers), wanted, {pod: _answers(output) for pod, output in outputs.items()})


def _wanted(env: Env, lab: Lab, servers: tuple[Pod, ...]) -> dict[Question, str]:
    """Who is asked for which name, and what must be in the answer."""
    c = env.cluster
    api, nobody = f"kubernetes.default.svc.{c.network.dns_domain}", f"nobody.{env.namespace}.svc.{c.network.dns_domain}"
    return {
        (api, ""): c.service_ip,
        (f"{pods.APP}.{env.namespace}.svc.{c.network.dns_domain}", ""): lab.cluster_ip,
        (nobody, ""): "NXDOMAIN",
        **{(api, server.ip): c.service_ip for server in servers},
    }


def _answers(output: str) -> dict[Question, str]:
    """Answers by question, from lines of `name@server answer`."""
    answers = {}
    for line in output.splitlines():
        asked, space, answer = line.partition(" ")
        name, _, server = asked.partition("@")
        if space:
            answers[name, server] = answer
    return answers


def judge_names(cluster: Cluster, seen: Names | None) -> Verdict:
    """They are given the addresses, and told who is nobody."""
    if seen is None and cluster.dns.image is None:
        return skipped("no CoreDNS in the cluster: its image could not be had from the artifact source; see dns.image")
    if seen is None:
        return failed(f"no service kube-dns, though dns.image is {cluster.dns.image}")
    if seen.address != cluster.dns_ip:
        return failed(f"service kube-dns is at {seen.address}, pods ask {cluster.dns_ip}")
    for pod, answers in seen.answers.items():
        for (name, server), wanted in seen.wanted.items():
            answer = answers.get((name, server), "")
            if wanted not in answer.split():
                at = f" at {server}" if server else ""
                return failed(f"from {pod.name} on {pod.node}: {name}{at}: expected {wanted}, got {answer}")
    where = f"from {len(seen.answers)} pods on as many workers"
    return passed(f"3 names asked at {cluster.dns_ip}, and the API's at each of {seen.servers} DNS servers, {where}")
