"""What sites ask for, on a cluster that runs: a name besides the virtual IP, and back; labels and taints."""

import json
import re
from typing import Any

from deployed import Deployed

from quorate.lab.up import limit
from quorate.render.sh import quote

NAME = "api.site.example"
WATCH = "quorate-watch"


def to_a_name_and_back(deployed: Deployed) -> None:
    """An edit each way: nobody who asks the virtual IP meanwhile is left without an answer, and no plan stays."""
    text, cluster = deployed.file.read_text(), deployed.cluster
    worker, master = cluster.workers[0], cluster.masters[0]
    vip = cluster.endpoint.vip
    try:
        named = text.replace(f"\n  vip: {vip}", f"\n  vip: {vip}\n  name: {NAME}", 1)
        deployed.file.write_text(_marked(named, worker.name))
        _applied(deployed)
        assert _servers(deployed, worker.name) == {f"https://{NAME}:{cluster.endpoint.port}"}
        assert f"{vip} {NAME}" in deployed.run("cat /etc/hosts", worker.name)[worker.name]
        marks = _marks(deployed, master.name, worker.node)
        assert marks["labels"]["node-role.kubernetes.io/worker"] == ""
        assert marks["labels"]["site.k8s.io/rack"] == "r7"
        assert {"key": "example.org/hot", "value": "1", "effect": "PreferNoSchedule"} in marks["taints"]
        deployed.quorate("verify")

        deployed.file.write_text(text)
        _applied(deployed)
        assert _servers(deployed, worker.name) == {cluster.server_url}
        assert NAME not in deployed.run("cat /etc/hosts", worker.name)[worker.name]
        marks = _marks(deployed, master.name, worker.node)
        assert not {"node-role.kubernetes.io/worker", "site.k8s.io/rack"} & marks["labels"].keys()
        assert "kubernetes.io/hostname" in marks["labels"], "what others set stays"
        assert not marks["taints"]
    finally:
        deployed.file.write_text(text)


def _applied(deployed: Deployed) -> None:
    """The file applied, while a worker asks the virtual IP ten times a second; no plan stays.

    With the limit of a host's CPU, as where drills are measured: on two cores one busy host stops the clocks of the
    others' keepalived, and the address moves for reasons that are the machine's.
    """
    cluster, worker = deployed.cluster, deployed.cluster.workers[0].name
    told = "%{http_code} %{time_connect} %{time_appconnect} %{time_total} %{errormsg}"
    url = f"https://{cluster.endpoint.vip}:{cluster.endpoint.port}/readyz"
    ask = f"curl -gsk --noproxy '*' -o /dev/null -w '{told}\\n' --max-time 2 {url}"
    loop = f'while :; do echo "$(date +%T.%2N) $({ask})"; sleep 0.1; done >/run/{WATCH}'
    limit(cluster.name)
    deployed.run(f"systemd-run -q --unit={WATCH} sh -c {quote(loop)}", worker)
    try:
        deployed.quorate("apply", "--yes")
        deployed.quorate("plan", code=0)
    finally:
        deployed.run(f"systemctl stop {WATCH} 2>/dev/null || :", worker)
        limit(cluster.name, on=False)
    answers = deployed.run(f"cat /run/{WATCH}; rm /run/{WATCH}", worker)[worker].splitlines()
    if bad := [answer for answer in answers if answer.split()[1] != "200"]:
        raise AssertionError("\n".join([*bad, _journals(deployed)]))
    assert len(answers) > 10


def _journals(deployed: Deployed) -> str:
    """What balancers and API servers told lately, for whoever has to find out why one look had no answer."""
    script = "journalctl -o short-precise -n 60 --no-pager -u haproxy -u keepalived -u quorate-pulse -u kube-apiserver"
    masters = [host.name for host in deployed.cluster.masters]
    return "\n".join(f"--- {name}\n{text}" for name, text in deployed.run(f"{script} | cut -c 1-300", *masters).items())


def _marked(text: str, name: str) -> str:
    """The file with labels and a taint at a host."""
    marks = (
        'labels: {node-role.kubernetes.io/worker: "", site.k8s.io/rack: r7}, '
        'taints: [{key: example.org/hot, value: "1", effect: PreferNoSchedule}]'
    )
    return re.sub(rf"(\{{name: {name}, .*)\}}", rf"\1, {marks}}}", text, count=1)


def _servers(deployed: Deployed, host: str) -> set[str]:
    """Where the kubeconfigs of a host lead."""
    said = deployed.run("sed -n 's/^ *server: //p' /etc/kubernetes/*.kubeconfig", host)
    return set(said[host].split())


def _marks(deployed: Deployed, master: str, node: str) -> dict[str, Any]:
    """Labels and taints of a node."""
    found = json.loads(deployed.run(f"kubectl get node {node} -o json", master)[master])
    return {"labels": found["metadata"]["labels"], "taints": found["spec"].get("taints", [])}
