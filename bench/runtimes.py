"""Another runtime under a cluster that is used: `bench/runtimes.py`, from Docker to containerd, back, and there again.

examples/described.yaml (Kubernetes 1.20.2) is deployed in a lab of its own with a Deployment and two DaemonSets, one
with a port of the host and one in its network. Each change of `runtime.kind` is applied while the drill's client asks,
writes and watches. What it felt is kept in bench/results/runtimes.json; what must hold afterwards is looked at on the
hosts: no container left in the runtime of before, all pods Ready, ports answer, verify passes, the plan is empty.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from course import Site
from stand import RESULTS, ROOT, stand, tell

from quorate.core import QuorateError
from quorate.drill.probe import Probe
from quorate.drill.probe_config import Target
from quorate.drill.record import Result
from quorate.lab.up import limit
from quorate.render.one_runtime import READY_PODS
from quorate.render.workload import deployment
from quorate.spec.layout import BIN
from quorate.state.store import Store

EXAMPLE = ROOT / "examples/described.yaml"
KEPT = RESULTS / "runtimes.json"
WISHES = (
    ("containerd", "kind: containerd"),
    ("docker", "kind: docker"),
    ("containerd beside Docker", "kind: containerd\n  keep_docker: true"),
)
"""What is asked for, one after the other."""
PORT = 8088
DAEMONS = ("daemonset/port", "daemonset/net")
WELL_WITHIN_S = 120.0
"""Seconds for pods to be Ready, after the tool's last word."""
OWN = f"{BIN}/docker run -d --name own --network host"


def main() -> None:
    """Let a node go back by itself, then go there, back and there again; each is kept as it is done."""
    with tempfile.TemporaryDirectory(prefix="quorate-runtimes-") as folder:
        example = Path(folder) / "runtimes.yaml"
        text = EXAMPLE.read_text().replace("name: described", "name: runtimes", 1)
        example.write_text(text.replace("192.168.109.", "192.168.111."))
        with stand(example) as made:
            site = Site(made)
            _deploy(site)
            _wish(site, WISHES[0][1])
            rows = [{"to": "containerd, which does not hold on the first node", **went_back(site)}]
            for what, wish in WISHES:
                if what == WISHES[-1][0]:
                    _run_own(site)
                _wish(site, wish)
                rows.append({"to": what, **changed(site)})
                tell(json.dumps(rows[-1]))
                KEPT.write_text(json.dumps(rows, indent=1) + "\n")
            _demand_own(site)


def went_back(site: Site) -> Mapping[str, Any]:
    """A kubelet that does not start for containerd: its node is as before, and the other one was never touched."""
    first, other = (host.name for host in site.cluster.workers)
    of_daemons = f"{BIN}/docker ps -q --no-trunc --filter name=k8s_POD_net- --filter name=k8s_POD_port- | sort"
    before = site.run(of_daemons, first, other)
    place = "/etc/systemd/system/kubelet.service.d"
    spoilt = '[Service]\nExecStartPre=/bin/sh -c "! grep -q container-runtime /etc/systemd/system/kubelet.service"\n'
    site.run(f"mkdir -p {place}; printf '%s' '{spoilt}' >{place}/spoilt.conf; systemctl daemon-reload", first)
    began = time.monotonic()
    said = site.stand.quorate("apply", "--yes", "--waive", "drop-ins", codes=(7,))
    seconds = round(time.monotonic() - began, 1)
    if "what ran before is back" not in said:
        raise QuorateError(f"nothing went back: {said[-4000:]}")
    _ready(site, "deployment/moves")
    cordoned = "kubectl get nodes -o 'jsonpath={.items[*].spec.unschedulable}'"
    if any(text.strip() for text in site.run(cordoned, site.cluster.masters[0].name).values()):
        raise QuorateError("a node takes no pods")
    now, left = site.run(of_daemons, first, other), _containers(site, "containerd")
    if any(left.values()) or len(now[first].split()) != 2 or now[other] != before[other]:
        raise QuorateError(f"it is not as before: in Docker {now}, before {before}, in containerd {left}")
    site.run(f"rm -r {place}; systemctl daemon-reload", first)
    return {"date": date.today().isoformat(), "apply_seconds": seconds, "nodes": _runtimes(site, "docker")}


def changed(site: Site) -> Mapping[str, Any]:
    """Apply; what a client felt meanwhile. Raises QuorateError where something is not as it must be."""
    cluster = site.cluster
    secrets = Store.beside(site.stand.file, cluster.name).secrets(cluster, datetime.now(UTC), persist=False)
    target = Target.of(cluster, secrets)
    limit(cluster.name)
    seconds = 0.0

    def act() -> float:
        began = time.monotonic()
        site.quorate("apply", "--yes", "--retry")
        return round(time.monotonic() - began, 1)

    async def run() -> Result:
        nonlocal seconds
        async with Probe(target) as probe:
            seconds = await asyncio.to_thread(act)
        assert probe.result is not None
        return probe.result

    result = asyncio.run(run())
    # Under it no pod may have a limit of its own, and verify tries one.
    limit(cluster.name, on=False)
    left = _look(site)
    site.quorate("plan")
    site.quorate("verify")
    if result.problem:
        raise QuorateError(result.problem)
    streams = {"new": result.new, "kept": result.kept, "writes": result.writes}
    return {
        **{"date": date.today().isoformat(), "apply_seconds": seconds, **left},
        "streams": {
            name: {"of": each.total, "failed": dict(each.words), "longest_gap": round(each.longest_gap, 2)}
            for name, each in streams.items()
        },
        **{"acknowledged": result.acknowledged, "lost": len(result.lost), "undone": len(result.undone)},
        "own_pause": round(result.longest_pause, 2),
    }


def _deploy(site: Site) -> None:
    """A Deployment and two DaemonSets, Ready."""
    image, api = site.cluster.verify.image, site.cluster.masters[0].name
    serve = (
        f"[ ! -x /agnhost ] || exec /agnhost serve-hostname --port={PORT}; "
        f"mkdir -p /tmp/www && hostname >/tmp/www/index.html && exec httpd -f -p {PORT} -h /tmp/www"
    )
    some = {"containerPort": PORT}
    pods = deployment("moves", image=image, command="exec sleep 1000000", replicas=3)
    behind = deployment(
        "port", image=image, command=serve, replicas=1, container={"ports": [some | {"hostPort": PORT}]}
    )
    beside = deployment("net", image=image, command="exec sleep 1000000", replicas=1, pod={"hostNetwork": True})
    for each in (behind, beside):
        each["kind"] = "DaemonSet"
        del each["spec"]["replicas"], each["spec"]["template"]["spec"]["topologySpreadConstraints"]
    items = {"apiVersion": "v1", "kind": "List", "items": [pods, behind, beside]}
    site.run(f"kubectl apply -f - <<'END'\n{json.dumps(items)}\nEND", api)
    _ready(site, "deployment/moves")


def _ready(site: Site, *what: str) -> None:
    api, waits = site.cluster.masters[0].name, f"--timeout={WELL_WITHIN_S:.0f}s"
    for each in (*DAEMONS, *what):
        site.run(f"kubectl rollout status {each} {waits}", api)
    for host in site.cluster.workers:
        found = site.run(f"curl -s -m 5 http://{host.ip}:{PORT}/ || :", api)[api]
        if not found.startswith("port-"):
            raise QuorateError(f"port {PORT} of {host.name} does not lead to its pod: {found!r}")


def _look(site: Site) -> Mapping[str, Any]:
    """What hosts run; raises QuorateError where something of the runtime of before is left."""
    _ready(site, "deployment/moves")
    kind, hosts = site.cluster.runtime.kind, [host.name for host in site.cluster.workers]
    in_docker, in_containerd = _containers(site, "docker"), _containers(site, "containerd")
    shims = site.run(
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[n]amespace moby ' | wc -l", *hosts
    )
    other = in_docker if kind == "containerd" else in_containerd
    if any(other.values()):
        raise QuorateError(f"containers of pods are left: {other}")
    own = int(site.cluster.runtime.keep_docker)
    of_docker = {name: int(text) for name, text in shims.items()}
    if kind == "containerd" and any(count != own for count in of_docker.values()):
        raise QuorateError(f"processes of Docker's are left: {of_docker}, and {own} are not Kubernetes'")
    noted = site.run(f"cat {READY_PODS}", *hosts)
    if any(int(text) < len(DAEMONS) for text in noted.values()):
        raise QuorateError(f"DaemonSet pods were not counted before: {noted}")
    return {"nodes": _runtimes(site, kind), "containers": {"docker": in_docker, "containerd": in_containerd}}


def _containers(site: Site, kind: str) -> Mapping[str, int]:
    """How many containers of pods a runtime has, by host."""
    ask = {
        "docker": f"[ ! -x {BIN}/docker ] || {BIN}/docker ps -a --format '{{{{.Names}}}}' | grep -c ^k8s_ || :",
        "containerd": f"{BIN}/ctr -n k8s.io containers ls -q | wc -l",
    }[kind]
    found = site.run(ask, *(host.name for host in site.cluster.workers))
    return {name: int(text.strip() or 0) for name, text in found.items()}


def _runtimes(site: Site, kind: str) -> list[str]:
    """What the nodes say that they run; raises QuorateError where one runs something else."""
    api, asked = site.cluster.masters[0].name, "jsonpath={.items[*].status.nodeInfo.containerRuntimeVersion}"
    said = site.run(f"kubectl get nodes -o '{asked}'", api)[api].split()
    if not all(each.startswith(f"{kind}://") for each in said):
        raise QuorateError(f"nodes run {said}")
    return said


def _wish(site: Site, wish: str) -> None:
    """Write it into the cluster file."""
    text = site.stand.file.read_text()
    site.stand.file.write_text(re.sub(r"^runtime:\n(  .*\n)+", f"runtime:\n  {wish}\n", text, flags=re.M))


def _run_own(site: Site) -> None:
    """A container in Docker that is not Kubernetes', on each worker."""
    image = site.cluster.verify.image
    for host in site.cluster.workers:
        site.run(f"{OWN} --entrypoint sh {image} -c 'exec sleep 1000000'", host.name)


def _demand_own(site: Site) -> None:
    """It runs on, as the same process."""
    hosts = [host.name for host in site.cluster.workers]
    found = site.run(f"{BIN}/docker inspect -f '{{{{.State.Running}}}} {{{{.RestartCount}}}}' own", *hosts)
    if any(text.strip() != "true 0" for text in found.values()):
        raise QuorateError(f"containers that are not Kubernetes' do not run on: {found}")


if __name__ == "__main__":
    main()
