"""Checks with the test pods: they run, are reached from everywhere, can be read and entered, find names."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from quorate.core import CommandFailed
from quorate.render.sh import quote, sh
from quorate.resource.ask import MARK
from quorate.spec import pki_files
from quorate.spec.cluster import Host
from quorate.verify import pods
from quorate.verify.api import CURL
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env
from quorate.verify.pods import PORT, Lab, Pod

P = ParamSpec("P")
T = TypeVar("T")

GET = f"{CURL} -f -w '\\n'"
"""With an end of line, which agnhost's answers lack."""
SERVICE_TIMES = 4
"""Requests to a service, which leads to a different pod each time or not."""


async def nodes_ready(env: Env) -> str:
    """4: all nodes are Ready, and they are those of the cluster file."""
    items = (await env.objects("nodes"))["items"]
    ready = {
        item["metadata"]["name"]
        for item in items
        if any(each["type"] == "Ready" and each["status"] == "True" for each in item["status"]["conditions"])
    }
    wanted = [host.node for host in env.cluster.workers]
    lacking = [name for name in wanted if name not in ready]
    demand(not lacking, f"not Ready: {', '.join(lacking)}")
    idle = {item["metadata"]["name"] for item in items} - ready
    demand(not idle, f"not Ready, and not in the cluster file: {', '.join(sorted(idle))}")
    versions = {item["status"]["nodeInfo"]["kubeletVersion"] for item in items}
    return f"{len(ready)} of {len(items)} Ready, {', '.join(sorted(versions))}"


async def pod_runs(env: Env) -> str:
    """10: a Deployment's pod is scheduled and runs."""
    pod = await env.once(pods.first)
    return f"{pod.name} Running on {pod.node} at {pod.ip}"


async def scales(env: Env) -> str:
    """13: more pods, on every worker."""
    lab = await env.once(pods.grown)
    counts = {host.node: sum(1 for pod in lab.pods if pod.node == host.node) for host in env.cluster.workers}
    empty = [node for node, count in counts.items() if not count]
    demand(not empty, f"no pod on {', '.join(empty)}")
    return f"{len(lab.pods)} Running: " + ", ".join(f"{count} on {node}" for node, count in counts.items())


SETTLING = 15.0
"""Seconds that kube-proxies have for the rules of a service that was just made (1 s between their rounds)."""


def settling(check: Callable[Concatenate[Env, P], Awaitable[T]]) -> Callable[Concatenate[Env, P], Awaitable[T]]:
    """The check, asked again until it passes or the network has had its time to settle: at the second look, more."""

    @wraps(check)
    async def patient(env: Env, /, *args: P.args, **more: P.kwargs) -> T:
        end = time.monotonic() + SETTLING + env.patience
        while True:
            try:
                return await check(env, *args, **more)
            except Wrong:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(1)

    return patient


@settling
async def first_node_reaches(env: Env) -> str:
    """11: from a node: the pod's address, the service, the NodePort."""
    lab = await env.once(pods.grown)
    worker = env.cluster.workers[0]
    urls = {
        "pod": f"http://{lab.pods[-1].ip}:{PORT}/",
        "service": f"http://{lab.cluster_ip}/",
        "NodePort": f"http://{worker.ip}:{lab.node_port}/",
    }
    script = f"for u in {' '.join(map(quote, urls.values()))}; do {CURL} -o /dev/null -w '%{{http_code}} ' $u; done"
    codes = dict(zip(urls, (await env.run(worker, f"{script}; :")).split(), strict=True))
    said = ", ".join(f"{what} {urls[what].removeprefix('http://').rstrip('/')} {code}" for what, code in codes.items())
    demand(set(codes.values()) == {"200"}, f"from {worker.name}: {said}")
    return f"from {worker.name}: {said}"


def _by_curl(ip: str, port: int) -> str:
    return f"{GET} http://{ip}:{port}/"


def _by_nc(ip: str, port: int) -> str:
    """For pods: a static busybox dies of its wget where it finds no C library (seen with Debian's)."""
    return f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {ip} {port} | tail -n 1 | grep ."


def _ask_all(lab: Lab, get: Callable[[str, int], str]) -> str:
    """Ask each pod, then the service some times; prints `<asked> <name of who answered>`."""
    lines = [f"printf '%s ' {pod.name}; {get(pod.ip, PORT)} || echo -" for pod in lab.pods]
    ask = f"printf 'service '; {get(lab.cluster_ip, 80)} || echo -"
    return "\n".join([*lines, *[ask] * SERVICE_TIMES])


def _judge(lab: Lab, who: str, text: str) -> None:
    """Raise Wrong unless each pod answered with its own name and the service with that of one."""
    pairs = [tuple(line.split(" ", 1)) for line in text.splitlines() if " " in line]
    answered = {asked for asked, answer in pairs if asked == answer}
    silent = [f"{pod.name} ({pod.ip} on {pod.node})" for pod in lab.pods if pod.name not in answered]
    demand(not silent, f"from {who}: no answer from {', '.join(silent)}")
    served = sum(1 for asked, answer in pairs if asked == "service" and answer in lab.names())
    demand(served == SERVICE_TIMES, f"from {who}: service {lab.cluster_ip} answers {served} of {SERVICE_TIMES}")


@settling
async def hosts_reach_pods(env: Env) -> str:
    """Every worker (and with `routed` every master) reaches every pod; services work on every worker."""
    lab = await env.once(pods.grown)
    c = env.cluster
    ports = "\n".join(
        f"printf 'port-%s ' {host.ip}; {GET} http://{host.ip}:{lab.node_port}/ || echo -" for host in c.workers
    )
    api = f"printf 'api '; {GET} --cacert {pki_files.CA} https://{c.service_ip}/version >/dev/null && echo ok || echo -"
    said = await env.many(c.workers, lambda _host: f"{_ask_all(lab, _by_curl)}\n{ports}\n{api}")
    for name, text in said.items():
        _judge(lab, name, text)
        answers = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith(("port-", "api ")))
        dead = [host.ip for host in c.workers if answers.get(f"port-{host.ip}") not in lab.names()]
        demand(not dead, f"from {name}: NodePort {lab.node_port} silent at {', '.join(dead)}")
        demand(answers.get("api") == "ok", f"from {name}: the API does not answer as {c.service_ip}")
    masters: list[Host] = []
    if c.network.cni == "routed":
        masters = [host for host in c.masters if host not in c.workers]
        direct = "\n".join(f"printf '%s ' {pod.name}; {GET} http://{pod.ip}:{PORT}/ || echo -" for pod in lab.pods)
        for name, text in (await env.many(masters, lambda _host: direct)).items():
            silent = [pod.name for pod in lab.pods if f"{pod.name} {pod.name}" not in text.splitlines()]
            demand(not silent, f"from {name}: no answer from {', '.join(silent)}")
    count = len(lab.pods)
    also = f", {len(masters)} masters reach {count} pods" if masters else ""
    what = f"{count} pods, service {lab.cluster_ip}, {len(said)} NodePorts, the API's service"
    return f"{len(said)} workers reach {what}{also}"


def _one_each(env: Env, lab: Lab) -> list[Pod]:
    """A pod of every worker."""
    by_node = {pod.node: pod for pod in lab.pods}
    return [by_node[host.node] for host in env.cluster.workers if host.node in by_node]


async def _each(env: Env, asked: list[Pod], command: str) -> dict[str, str]:
    """Run kubectl for each pod, whose name stands for `%s`; what it printed by pod."""
    run = f"{env.kubectl()} --request-timeout=60s -n {env.namespace}"
    lines = (f"printf '\\n{MARK}%s\\n' {pod.name}; {run} {command.replace('%s', pod.name, 1)} 2>&1" for pod in asked)
    output = await env.admin("\n".join([*lines, ":"]), 30 + 20 * len(asked))
    return dict(block.split("\n", 1) for block in output.split(MARK)[1:])


@settling
async def pods_reach_pods(env: Env) -> str:
    """`kubectl exec` into a pod of every worker, and from there to every pod, the service and the API."""
    lab = await env.once(pods.grown)
    # Asked in plain HTTP, the API server says that it wants HTTPS: it was reached.
    api = f"{_by_nc(env.cluster.service_ip, 443)} | grep -q HTTPS && echo 'api ok' || echo 'api -'"
    inside = f"{_ask_all(lab, _by_nc)}\n{api}"
    asked = _one_each(env, lab)
    blocks = await _each(env, asked, f"exec %s -- {sh('sh', '-c', inside)}")
    for pod in asked:
        text = blocks.get(pod.name, "")
        if "service " not in text:
            raise Wrong(f"kubectl exec {pod.name}: {text.strip() or 'no answer'}")
        _judge(lab, f"{pod.name} on {pod.node}", text)
        demand("api ok" in text, f"from {pod.name} on {pod.node}: {env.cluster.service_ip}:443 does not answer")
    where = f"{len(asked)} pods on {len(asked)} workers"
    return f"exec into {where}: each reaches {len(lab.pods)} pods, the service, the API"


async def logs(env: Env) -> str:
    """12: `kubectl logs` of a pod on every worker shows what it wrote."""
    lab = await env.once(pods.grown)
    asked = _one_each(env, lab)
    blocks = await _each(env, asked, "logs %s")
    for pod in asked:
        text = blocks.get(pod.name, "")
        demand(f"serving as {pod.name}" in text, f"{pod.name} on {pod.node}: {text.strip()[-200:] or 'empty'}")
    return f"read from {len(asked)} pods on {len(asked)} workers"


async def dns(env: Env) -> str:
    """Pods on every worker find the API and a service by name, are told who is nobody, and reach every DNS server."""
    c = env.cluster
    if not c.dns.enabled:
        raise Skip("dns.enabled is false in the cluster file")
    lab = await env.once(pods.grown)
    try:
        text = await env.admin(f"{env.kubectl()} -n kube-system get service kube-dns --ignore-not-found -o json")
    except CommandFailed as error:
        raise Wrong(f"kubectl get service kube-dns: {error.stderr.strip()}") from error
    if not text.strip():
        demand(c.dns.image is None, f"no service kube-dns, though dns.image is {c.dns.image}")
        raise Skip("no CoreDNS in the cluster: its image could not be had from the artifact source; see dns.image")
    address = json.loads(text)["spec"]["clusterIP"]
    demand(address == c.dns_ip, f"service kube-dns is at {address}, pods ask {c.dns_ip}")
    servers = await pods.rollout(env, c.dns.replicas, "coredns", "k8s-app=kube-dns", "kube-system")
    api, nobody = f"kubernetes.default.svc.{c.network.dns_domain}", f"nobody.{env.namespace}.svc.{c.network.dns_domain}"
    # Who is asked for which name, and what must be in the answer; no second address is that of the pod's own file.
    asked = {
        (api, ""): c.service_ip,
        (f"{pods.APP}.{env.namespace}.svc.{c.network.dns_domain}", ""): lab.cluster_ip,
        (nobody, ""): "NXDOMAIN",
        **{(api, server.ip): c.service_ip for server in servers},
    }
    await _names(env, lab, asked)
    from_where = f"from {len(_one_each(env, lab))} pods on as many workers"
    return f"3 names asked at {c.dns_ip}, and the API's at each of {len(servers)} DNS servers, {from_where}"


@settling
async def _names(env: Env, lab: Lab, wanted: Mapping[tuple[str, str], str]) -> None:
    """Raise Wrong unless a pod of every worker is given the wanted answers."""
    one = "printf '%s ' {0}@{1}; nslookup {0} {1} 2>&1 | tr '\\n' ' '; echo"
    inside = "\n".join(one.format(*question) for question in wanted)
    asked = _one_each(env, lab)
    blocks = await _each(env, asked, f"exec %s -- {sh('sh', '-c', inside)}")
    for pod in asked:
        answers = dict(line.split(" ", 1) for line in blocks.get(pod.name, "").splitlines() if " " in line)
        for (name, server), answer in wanted.items():
            said = answers.get(f"{name}@{server}", "")
            at = f" at {server}" if server else ""
            demand(answer in said.split(), f"from {pod.name} on {pod.node}: {name}{at}: expected {answer}, got {said}")
