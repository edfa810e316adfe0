"""Checks of metrics-server, and by it of aggregation: an API of another server, behind every API server."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from quorate.core import CommandFailed
from quorate.pki.profiles import ADMINS
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed, skipped
from quorate.spec import metrics_server, pki_files
from quorate.spec.cluster import Cluster, Host
from quorate.verify import pods
from quorate.verify.check import LookFailed
from quorate.verify.env import CURL, Env, own_url, until

PATH = f"/apis/{metrics_server.API}/nodes"
NUMBERS_COME_S = 90
"""Seconds until there are numbers of every worker."""
STRANGER = "quorate-verify"
"""A user that nobody has given any right."""

_USER = ("-H", f"X-Remote-User: {STRANGER}")
_ADMIN = (*_USER, "-H", f"X-Remote-Group: {ADMINS}")


def _cert(path: str, key: str) -> tuple[str, ...]:
    return ("--cert", path, "--key", key)


_FRONT_PROXY = _cert(pki_files.FRONT_PROXY_CLIENT, pki_files.FRONT_PROXY_CLIENT_KEY)
_OTHER = _cert(pki_files.APISERVER_KUBELET_CLIENT, pki_files.APISERVER_KUBELET_CLIENT_KEY)


@dataclass(frozen=True)
class Asked:
    """A request to metrics-server itself, and what its answer must have in it and end with."""

    who: str
    words: tuple[str, ...]
    """Arguments of curl: with which certificate, and whom the headers name."""
    answer: str
    codes: tuple[str, ...]


ASKED = (
    Asked("stranger", (*_FRONT_PROXY, *_USER), f'User \\"{STRANGER}\\"', (" 403",)),
    Asked("admin", (*_FRONT_PROXY, *_ADMIN), "NodeMetricsList", (" 200",)),
    Asked("admin-without-certificate", _ADMIN, "", (" 401", " 403")),
    Asked("admin-with-another-certificate", (*_OTHER, *_ADMIN), "", (" 401", " 403")),
)


def no_metrics(cluster: Cluster) -> str:
    """Why the cluster file leaves nothing to check."""
    if not cluster.workers:
        return pods.no_worker(cluster)
    if not cluster.metrics.enabled:
        return "metrics.enabled is false in the cluster file"
    if not metrics_server.wanted(cluster):
        return f"no metrics-server that can be had fits Kubernetes {cluster.versions.kubernetes}; see metrics.image"
    return ""


@dataclass(frozen=True)
class Top:
    """What `kubectl top nodes` says."""

    text: str = ""
    used: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """CPU and memory by node."""

    @classmethod
    def of(cls, text: str) -> "Top":
        """Read from what it prints: name, CPU, share, memory, share; `<unknown>` where there are none yet."""
        rows = [row for line in text.splitlines() if len(row := line.split()) == 5]
        return cls(text, {row[0]: (row[1], row[3]) for row in rows if row[1][0].isdigit() and row[3][0].isdigit()})


async def look_numbers(env: Env) -> Top | None:
    """`kubectl top nodes`; None where the API has no metrics."""
    return await env.once(_top)


def judge_numbers(cluster: Cluster, seen: Top | None) -> Verdict:
    """It has numbers of every worker."""
    if seen is None:
        return _absent(cluster)
    if lack := _lack(cluster, seen):
        return failed(lack)
    return passed(", ".join(f"{node} {cpu} {memory}" for node, (cpu, memory) in sorted(seen.used.items())))


def _absent(cluster: Cluster) -> Verdict:
    """The verdict where the API has no metrics: whether they should be there."""
    if cluster.metrics.image is not None:
        return failed(f"no {PATH}, though metrics.image is {cluster.metrics.image}")
    return skipped("no metrics-server in the cluster: the artifact source does not bring its image; see metrics.image")


def _lack(cluster: Cluster, top: Top) -> str:
    """What is wrong unless there are numbers of every worker; else empty."""
    if {worker.node for worker in cluster.workers} <= top.used.keys():
        return ""
    return f"kubectl top nodes, after {NUMBERS_COME_S} s: {top.text.strip() or 'empty'}"


async def _top(env: Env) -> Top | None:
    """The numbers, waited for: the first ones take two rounds of questions."""
    group, version = metrics_server.API.split("/")
    try:
        service = await env.admin(f"{env.kubectl()} get apiservice {version}.{group} --ignore-not-found -o name")
    except CommandFailed as error:
        raise LookFailed(f"kubectl get apiservice: {error.stderr.strip()}") from error
    if not service.strip():
        return None
    label, replicas = f"k8s-app={metrics_server.NAME}", metrics_server.replicas(env.cluster)
    (await pods.rollout(env, replicas, metrics_server.NAME, label, metrics_server.NAMESPACE)).complete()

    async def look() -> Top:
        return Top.of(await env.admin(f"{env.kubectl()} top nodes --no-headers 2>&1 || :"))

    return await until(lambda top: not _lack(env.cluster, top), look, NUMBERS_COME_S, 2.0)


@dataclass(frozen=True)
class Behind:
    """What API servers, and the metrics-servers behind them, answer."""

    endpoints: tuple[str, ...]
    """`address:port` of each metrics-server that is ready."""
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By master that asked: `through` its own API server, and `who@endpoint` as that API server would."""


async def look_aggregation(env: Env) -> Behind | None:
    """Every master asks through its own API server, then each metrics-server itself; None where there is none."""
    top = await env.once(_top)
    if top is None:
        return None
    if lack := _lack(env.cluster, top):
        raise LookFailed(lack)
    label = f"kubernetes.io/service-name={metrics_server.NAME}"
    run = f"{env.kubectl()} -n {metrics_server.NAMESPACE}"
    endpoints = parse(await env.admin(f"{run} get endpointslices -l {label} -o json"))
    outputs = await env.many(env.cluster.masters, lambda master: _script(env, master, endpoints))
    answers = {
        name: dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
        for name, output in outputs.items()
    }
    return Behind(tuple(endpoints), answers)


def judge_aggregation(cluster: Cluster, seen: Behind | None) -> Verdict:
    """Each API server passes requests on, and what stands behind believes the front proxy's certificate alone."""
    if seen is None:
        return _absent(cluster)
    if not seen.endpoints:
        return failed(f"no endpoint of {metrics_server.NAME} is ready")
    for name, answers in seen.answers.items():
        through = answers.get("through", "")
        if through.count('"usage"') != len(cluster.workers):
            return failed(f"{PATH} through the API server of {name}: {through[:200] or 'no answer'}")
        for endpoint, asked in itertools.product(seen.endpoints, ASKED):
            answer = answers.get(f"{asked.who}@{endpoint}", "").strip()
            if asked.answer not in answer or not answer.endswith(asked.codes):
                at = f"metrics-server at {endpoint}, asked from {name} as {asked.who}"
                return failed(f"{at}: {answer[-200:] or 'no answer'}")
    return passed(
        f"{len(seen.answers)} API servers pass on to {len(seen.endpoints)} metrics-servers, which know who asks; "
        "the same words without the front proxy's certificate are refused"
    )


def _script(env: Env, master: Host, endpoints: list[str]) -> str:
    """Ask through the master's own API server, then each metrics-server as that API server does; a line for each."""
    lines = [
        f"printf 'through '; {env.kubectl(own_url(env.cluster, master))} get --raw {PATH} 2>&1 | tr -d '\\n'; echo"
    ]
    url = f"https://{metrics_server.SERVER_NAME}{PATH}"
    for endpoint, asked in itertools.product(endpoints, ASKED):
        to = ["--cacert", pki_files.CA, "--connect-to", f"::{endpoint}", "-w", " %{http_code}"]
        ask = f"{CURL} {sh(*to, *asked.words, url)} | tr -d '\\n'"
        lines.append(f"printf '%s ' {asked.who}@{endpoint}; {ask}; echo")
    return "\n".join(lines)


def parse(text: str) -> list[str]:
    """`address:port` of each ready endpoint in a list of EndpointSlices."""
    slices = json.loads(text)["items"]
    return sorted(
        f"{address}:{each['ports'][0]['port']}"
        for each in slices
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    )
