"""Checks of the pod network: pods, services and the API are reached from hosts and from pods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quorate.render.sh import quote, sh
from quorate.report.findings import Verdict, failed, passed
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster
from quorate.verify import pods
from quorate.verify.env import CURL, Env
from quorate.verify.pods import PORT, Lab, Pod
from quorate.verify.workload import for_each

GET = f"{CURL} -f -w '\\n'"
"""With an end of line, which agnhost's answers lack."""
SERVICE_TIMES = 4
"""Requests to a service, which leads to a different pod each time or not."""


@dataclass(frozen=True)
class Answer:
    """The code that a URL gave."""

    what: str
    url: str
    code: str


async def look_first_node(env: Env) -> tuple[Answer, ...]:
    """11: from a node: the pod's address, the service, the NodePort."""
    lab = await env.once(pods.grown)
    worker = env.cluster.workers[0]
    urls = {
        "pod": f"http://{lab.pods[-1].ip}:{PORT}/",
        "service": f"http://{lab.cluster_ip}/",
        "NodePort": f"http://{worker.ip}:{lab.node_port}/",
    }
    script = f"for u in {' '.join(map(quote, urls.values()))}; do {CURL} -o /dev/null -w '%{{http_code}} ' $u; done"
    codes = (await env.run(worker, f"{script}; :")).split()
    return tuple(Answer(what, url, code) for (what, url), code in zip(urls.items(), codes, strict=True))


def judge_first_node(cluster: Cluster, seen: tuple[Answer, ...]) -> Verdict:
    """All three answer."""
    answers = (f"{each.what} {each.url.removeprefix('http://').rstrip('/')} {each.code}" for each in seen)
    detail = f"from {cluster.workers[0].name}: {', '.join(answers)}"
    return passed(detail) if {each.code for each in seen} == {"200"} else failed(detail)


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


def _pairs(text: str) -> list[tuple[str, str]]:
    """Who was asked, and who answered."""
    return [(asked, answer) for asked, space, answer in (line.partition(" ") for line in text.splitlines()) if space]


def fault(lab: Lab, who: str, text: str) -> str:
    """What is wrong unless each pod answered with its own name and the service with that of one; else empty."""
    pairs = _pairs(text)
    silent = [f"{pod.name} ({pod.ip} on {pod.node})" for pod in lab.pods if (pod.name, pod.name) not in pairs]
    if silent:
        return f"from {who}: no answer from {', '.join(silent)}"
    served = sum(1 for asked, answer in pairs if asked == "service" and answer in lab.names())
    if served != SERVICE_TIMES:
        return f"from {who}: service {lab.cluster_ip} answers {served} of {SERVICE_TIMES}"
    return ""


@dataclass(frozen=True)
class FromHosts:
    """What hosts were told by pods and services, by name of the host."""

    lab: Lab
    workers: Mapping[str, str]
    masters: Mapping[str, str]
    """Those that must reach pods and run none themselves; they ask pods alone."""


async def look_from_hosts(env: Env) -> FromHosts:
    """Every worker (and with `routed` every master) asks every pod; workers also services."""
    lab = await env.once(pods.grown)
    c = env.cluster
    ports = "\n".join(
        f"printf 'port-%s ' {host.ip}; {GET} http://{host.ip}:{lab.node_port}/ || echo -" for host in c.workers
    )
    api = f"printf 'api '; {GET} --cacert {pki_files.CA} https://{c.service_ip}/version >/dev/null && echo ok || echo -"
    workers = await env.many(c.workers, lambda _host: f"{_ask_all(lab, _by_curl)}\n{ports}\n{api}")
    routed = [host for host in c.masters if host not in c.workers] if c.network.cni == "routed" else []
    direct = "\n".join(f"printf '%s ' {pod.name}; {GET} http://{pod.ip}:{PORT}/ || echo -" for pod in lab.pods)
    return FromHosts(lab, workers, await env.many(routed, lambda _host: direct))


def judge_from_hosts(cluster: Cluster, seen: FromHosts) -> Verdict:
    """Every pod answers; services work on every worker."""
    lab = seen.lab
    for name, text in seen.workers.items():
        if wrong := fault(lab, name, text):
            return failed(wrong)
        answers = dict(_pairs(text))
        dead = [host.ip for host in cluster.workers if answers.get(f"port-{host.ip}") not in lab.names()]
        if dead:
            return failed(f"from {name}: NodePort {lab.node_port} silent at {', '.join(dead)}")
        if answers.get("api") != "ok":
            return failed(f"from {name}: the API does not answer as {cluster.service_ip}")
    for name, text in seen.masters.items():
        if silent := [pod.name for pod in lab.pods if (pod.name, pod.name) not in _pairs(text)]:
            return failed(f"from {name}: no answer from {', '.join(silent)}")
    count = len(lab.pods)
    also = f", {len(seen.masters)} masters reach {count} pods" if seen.masters else ""
    what = f"{count} pods, service {lab.cluster_ip}, {len(seen.workers)} NodePorts, the API's service"
    return passed(f"{len(seen.workers)} workers reach {what}{also}")


@dataclass(frozen=True)
class FromPods:
    """What pods were told by pods and services."""

    lab: Lab
    answers: Mapping[Pod, str]
    """By who asked, one on every worker."""


async def look_from_pods(env: Env) -> FromPods:
    """`kubectl exec` into a pod of every worker, which asks every pod, the service and the API."""
    lab = await env.once(pods.grown)
    # Asked in plain HTTP, the API server says that it wants HTTPS: it was reached.
    api = f"{_by_nc(env.cluster.service_ip, 443)} | grep -q HTTPS && echo 'api ok' || echo 'api -'"
    inside = f"{_ask_all(lab, _by_nc)}\n{api}"
    return FromPods(lab, await for_each(env, lab, f"exec %s -- {sh('sh', '-c', inside)}"))


def judge_from_pods(cluster: Cluster, seen: FromPods) -> Verdict:
    """It can be entered, and all answer."""
    for pod, text in seen.answers.items():
        who = f"{pod.name} on {pod.node}"
        if "service " not in text:
            return failed(f"kubectl exec {pod.name}: {text.strip() or 'no answer'}")
        if wrong := fault(seen.lab, who, text):
            return failed(wrong)
        if "api ok" not in text:
            return failed(f"from {who}: {cluster.service_ip}:443 does not answer")
    where = f"{len(seen.answers)} pods on {len(seen.answers)} workers"
    return passed(f"exec into {where}: each reaches {len(seen.lab.pods)} pods, the service, the API")
