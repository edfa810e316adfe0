"""Checks of metrics-server, and by it of aggregation: an API of another server, behind every API server."""

import itertools
import json
from dataclasses import dataclass

from quorate.core import CommandFailed
from quorate.pki.profiles import ADMINS
from quorate.render.sh import sh
from quorate.spec import metrics_server, pki_files
from quorate.spec.cluster import Host
from quorate.verify.api import CURL
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, own_url, settled
from quorate.verify.pods import START, rollout
from quorate.verify.workload import settling

PATH = f"/apis/{metrics_server.API}/nodes"
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


async def numbers(env: Env) -> str:
    """`kubectl top nodes` has numbers of every worker."""
    found = await env.once(_top)
    return ", ".join(f"{node} {cpu} {memory}" for node, (cpu, memory) in sorted(found.items()))


async def _top(env: Env) -> dict[str, tuple[str, str]]:
    """CPU and memory by node, waited for: the first numbers take two rounds of questions."""
    c = env.cluster
    await _installed(env)
    label = f"k8s-app={metrics_server.NAME}"
    await rollout(env, metrics_server.replicas(c), metrics_server.NAME, label, metrics_server.NAMESPACE)
    said = ""

    async def look() -> dict[str, tuple[str, str]] | None:
        nonlocal said
        said = await env.admin(f"{env.kubectl()} top nodes --no-headers 2>&1 || :")
        rows = [line.split() for line in said.splitlines()]
        # Name, CPU, share of it, memory, share of it; `<unknown>` where there are none yet.
        found = {
            row[0]: (row[1], row[3]) for row in rows if len(row) == 5 and row[1][0].isdigit() and row[3][0].isdigit()
        }
        return found if {worker.node for worker in c.workers} <= found.keys() else None

    found = await settled(look, START, 2.0)
    if found is None:
        raise Wrong(f"kubectl top nodes, after {START} s: {said.strip() or 'empty'}")
    return found


async def _installed(env: Env) -> None:
    """Raise Skip with the reason where there is no metrics-server."""
    c = env.cluster
    if not c.workers:
        raise Skip("the cluster file has no worker")
    if not c.metrics.enabled:
        raise Skip("metrics.enabled is false in the cluster file")
    if not metrics_server.wanted(c):
        raise Skip(f"no metrics-server that can be had fits Kubernetes {c.versions.kubernetes}; see metrics.image")
    group, version = metrics_server.API.split("/")
    try:
        there = await env.admin(f"{env.kubectl()} get apiservice {version}.{group} --ignore-not-found -o name")
    except CommandFailed as error:
        raise Wrong(f"kubectl get apiservice: {error.stderr.strip()}") from error
    if not there.strip():
        demand(c.metrics.image is None, f"no {PATH}, though metrics.image is {c.metrics.image}")
        raise Skip("no metrics-server in the cluster: the artifact source does not bring its image; see metrics.image")


@settling
async def aggregation(env: Env) -> str:
    """Each API server passes requests on, and what stands behind believes the front proxy's certificate alone."""
    c = env.cluster
    await env.once(_top)
    label = f"kubernetes.io/service-name={metrics_server.NAME}"
    run = f"{env.kubectl()} -n {metrics_server.NAMESPACE}"
    doors = parse(await env.admin(f"{run} get endpointslices -l {label} -o json"))
    demand(bool(doors), f"no endpoint of {metrics_server.NAME} is ready")
    said = await env.many(c.masters, lambda master: _script(env, master, doors))
    for name, text in said.items():
        lines = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        through = lines.get("through", "")
        known = through.count('"usage"')
        demand(known == len(c.workers), f"{PATH} through the API server of {name}: {through[:200] or 'no answer'}")
        for door, asked in itertools.product(doors, ASKED):
            answer = lines.get(f"{asked.who}@{door}", "").strip()
            good = asked.answer in answer and answer.endswith(asked.codes)
            at = f"metrics-server at {door}, asked from {name} as {asked.who}"
            demand(good, f"{at}: {answer[-200:] or 'no answer'}")
    return (
        f"{len(said)} API servers pass on to {len(doors)} metrics-servers, which know who asks; "
        "the same words without the front proxy's certificate are refused"
    )


def _script(env: Env, master: Host, doors: list[str]) -> str:
    """Ask through the master's own API server, then each metrics-server as that API server does; a line for each."""
    lines = [
        f"printf 'through '; {env.kubectl(own_url(env.cluster, master))} get --raw {PATH} 2>&1 | tr -d '\\n'; echo"
    ]
    url = f"https://{metrics_server.SERVER_NAME}{PATH}"
    for door, asked in itertools.product(doors, ASKED):
        to = ["--cacert", pki_files.CA, "--connect-to", f"::{door}", "-w", " %{http_code}"]
        ask = f"{CURL} {sh(*to, *asked.words, url)} | tr -d '\\n'"
        lines.append(f"printf '%s ' {asked.who}@{door}; {ask}; echo")
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
