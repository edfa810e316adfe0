"""Today's Kubernetes with the newest of everything, built from Go modules, on three masters with haproxy."""

import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import programs
import pytest
import recovering
import secrets_search
import site_registry
import site_wishes
import upgrading
from deployed import Deployed
from own_registry import MIRRORED, PROJECT, Registry, push, serving
from rest import rested

from quorate.artifact.resolve import resolve
from quorate.component import kubelet, runtime
from quorate.conformance.tests import QUICK
from quorate.drill.probe_config import Target
from quorate.lab import record
from quorate.lab.up import limit
from quorate.render.sh import heredoc
from quorate.report.drill.report import DrillReport
from quorate.spec.cluster import Host
from quorate.state.store import Store

pytestmark = pytest.mark.lab

CALL = "curl -sf --cacert /etc/kubernetes/pki/ca.crt"


def test_apply_builds_it(modern: Deployed) -> None:
    modern.quorate("apply", "--yes")
    modern.quorate("plan", code=0)


def test_every_part_says_the_version_of_the_file(modern: Deployed) -> None:
    """The programs that run are asked, not the files."""
    from quorate.artifact.modules import wanted

    cluster = modern.cluster
    versions = wanted(cluster)
    masters = {host.name: host.ip for host in cluster.masters}
    for name, ip in masters.items():
        text = modern.run(f"kubectl get --raw /version --server https://{ip}:{cluster.apiserver.port}", name)[name]
        said = json.loads(text)
        assert said["gitVersion"] == f"v{versions['kubernetes']}"
        assert said["gitTreeState"] == "archive"
        assert said["gitCommit"].startswith("h1:")
        member = modern.run(
            "curl -sf --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/client.crt --key /etc/etcd/pki/client.key "
            f"https://{ip}:2379/version",
            name,
        )[name]
        assert json.loads(member)["etcdserver"] == versions["etcd"]
    nodes = json.loads(modern.run("kubectl get nodes -o json", "master01")["master01"])["items"]
    assert len(nodes) == len(cluster.workers)
    for node in nodes:
        info = node["status"]["nodeInfo"]
        assert info["kubeletVersion"] == f"v{versions['kubernetes']}"
        assert info["containerRuntimeVersion"] == f"containerd://{versions['containerd']}"
    worker = cluster.workers[0].name
    assert versions["crictl"] in modern.run("crictl --version", worker)[worker]
    assert f"runc version {versions['runc']}" in modern.run("/opt/kubernetes/bin/runc --version", worker)[worker]


def test_verify_proves_it(modern: Deployed) -> None:
    """Every check; only what this topology has nothing of is skipped, and here that is nothing."""
    document = modern.json("verify", "--disruptive", "--yes", code=0)
    findings: Any = document["findings"]
    assert [(finding["id"], finding["status"]) for finding in findings if finding["status"] != "passed"] == []


def test_plan_is_empty_after_the_disruption(modern: Deployed) -> None:
    modern.quorate("plan", code=0)


def test_an_api_server_that_stops_in_order_cuts_nobody_off(modern: Deployed, tmp_path: Path) -> None:
    """haproxy leaves it its sessions until it ends them, and cuts those of one that hangs."""
    file = tmp_path / "drill.json"
    faults = ("--fault", "apiserver-terminated", "--fault", "apiserver-hung")
    limit(modern.cluster.name)
    rested()
    try:
        modern.quorate("drill", "--yes", *faults, "--runs", "2", "--output", str(file))
    finally:
        limit(modern.cluster.name, on=False)
    found = DrillReport.read(file.read_text())
    assert found.ok
    runs = {fault.name: fault.runs for fault in found.faults}
    for run in runs["apiserver-terminated"]:
        # Nobody has to wait either, but two cores for five hosts and all clients are no proof of that: not even that
        # the announcement of the end overtakes a request that is then told to come again.
        failed = {
            word.removeprefix("unknown-") for stream in ("new", "kept", "writes") for word in run.felt[stream].words
        }
        assert not failed - {"timeout", "put-off"}, run.felt
    for run in runs["apiserver-hung"]:
        assert run.felt["kept"].gap < run.outage, "its clients went on before it did"


def slowly(deployed: Deployed, master: Host, seconds: int) -> int:
    """Create an object whose text takes so long to arrive at one API server; the status that it answers."""
    cluster = deployed.cluster
    secrets = Store.beside(deployed.file, cluster.name).secrets(cluster, datetime.now(UTC), persist=False)
    context = Target.of(cluster, secrets).context("http/1.1")
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "slow-", "namespace": "default"}}
    body = json.dumps(made).ljust(1000).encode()
    way = http.client.HTTPSConnection(master.ip, cluster.apiserver.port, context=context, timeout=30)
    way.putrequest("POST", "/api/v1/namespaces/default/configmaps")
    way.putheader("Content-Type", "application/json")
    way.putheader("Content-Length", str(len(body)))
    way.endheaders()
    for at in range(seconds):
        way.send(body[at * len(body) // seconds : (at + 1) * len(body) // seconds])
        time.sleep(1)
    answer = way.getresponse()
    answer.read()
    way.close()
    return answer.status


def test_a_request_that_takes_its_time_ends_before_its_server_does(modern: Deployed) -> None:
    master = modern.cluster.masters[2]
    with ThreadPoolExecutor() as beside:
        request = beside.submit(slowly, modern, master, 25)
        time.sleep(2)
        modern.run("systemctl restart kube-apiserver", master.name)
        assert request.done(), "its server waited for it"
    assert request.result() == http.HTTPStatus.CREATED


def left_out(deployed: Deployed) -> object:
    return json.loads(deployed.quorate("status", "--json", code=None).stdout)["left_out"]


def until(deployed: Deployed, wanted: object) -> None:
    """Wait until `status` says that of the balancers."""
    end = time.monotonic() + 30
    while (seen := left_out(deployed)) != wanted:
        assert time.monotonic() < end, seen
        time.sleep(0.5)


def test_status_names_whom_a_balancer_leaves_out(modern: Deployed) -> None:
    balancers = [host.name for host in modern.cluster.balancers]
    until(modern, {})
    modern.run("systemctl kill -s STOP kube-apiserver", "master02")
    try:
        until(modern, {name: ["master02"] for name in balancers})
    finally:
        modern.run("systemctl kill -s CONT kube-apiserver", "master02")
    until(modern, {})


def waiting(deployed: Deployed, name: str) -> set[str]:
    """Why containers of the pods do not run, once each of them says so."""
    end = time.monotonic() + 60
    while True:
        items = json.loads(deployed.run(f"kubectl get pods -l app={name} -o json", "master01")["master01"])["items"]
        states = [each["state"] for item in items for each in item["status"].get("containerStatuses", [])]
        told = [state["waiting"] for state in states if "message" in state.get("waiting", {})]
        if len(told) == len(deployed.cluster.workers):
            return {f"{each['reason']}: {each['message']}" for each in told}
        assert time.monotonic() < end, states
        time.sleep(0.5)


@pytest.fixture
def registry(modern: Deployed, tmp_path: Path) -> Iterator[Registry]:
    """A registry on the bridge, with an image `hello:1` of the project that mirrors."""
    found = record.find(modern.cluster.name)
    assert found is not None
    pause = asyncio.run(resolve(modern.cluster, print, beside=modern.file.parent)).images
    archive = site_registry.image(next(blob.path for name, blob in pause.items() if "pause" in name), tmp_path)
    program = programs.find("docker-registry")
    with serving(program, found.gateways[0].partition("/")[0], tmp_path) as made:
        push(made, archive)
        yield made


def test_images_come_from_a_mirror_and_a_registry_that_want_a_login(modern: Deployed, registry: Registry) -> None:
    """Both are the site's own program. Who has another login gets nothing, and no login shows anywhere."""
    workers = [host.name for host in modern.cluster.workers]
    mirrored, direct = f"{MIRRORED}/hello:1", f"{registry.server}/{PROJECT}/hello:1"
    with site_registry.told(modern, registry):
        with secrets_search.sampled(modern) as seen:
            applied = modern.quorate("apply", "--yes", "-v")
        script = f"kubectl create -f - {heredoc(site_registry.pods(modern, 'hello', mirrored, direct))}"
        modern.run(f"{script}\nkubectl wait --for=condition=Ready pod -l app=hello --timeout=60s", "master01")
        assert len(registry.asked(f"/v2/{PROJECT}/hello/blobs/")) >= len(workers)
        assert registry.asked(f"manifests/1?ns={MIRRORED}"), "it was asked as a mirror, too"

        login = {"login": site_registry.forms(registry)}
        assert seen.found(login) == []
        outputs = {"apply": applied.stdout + applied.stderr, "plan": modern.quorate("plan", "-v").stdout}
        assert secrets_search.searched(modern, outputs, login) == []

        registry.write_login(registry.login + "x")
        modern.quorate("apply", "--yes")
        modern.run(f"kubectl create -f - {heredoc(site_registry.pods(modern, 'refused', mirrored))}", "master01")
        reasons = waiting(modern, "refused")
        assert all("ImagePull" in reason and "authorization failed" in reason for reason in reasons), reasons
    modern.run("kubectl delete pod -l 'app in (hello,refused)'", "master01")
    modern.quorate("apply", "--yes")
    modern.quorate("plan", code=0)
    left = f"ls -d {kubelet.CREDENTIALS} {runtime.AUTHORITIES} {runtime.HOSTS}/* 2>/dev/null || :"
    # Both names are of one image: with the first goes the second.
    assert set(modern.run(f"{left}; crictl rmi {mirrored} >/dev/null", *workers).values()) == {""}


def test_an_unpinned_image_is_drift(modern: Deployed) -> None:
    """kubelet's garbage collection takes what is not pinned; no registry here would bring it back."""
    worker = modern.cluster.workers[0].name
    pins = 'ctr -n k8s.io images ls labels.\\"io.cri-containerd.pinned\\"==pinned -q'
    before = modern.run(pins, worker)[worker].split()
    coredns = next(name for name in before if "coredns" in name)
    modern.run(f"ctr -n k8s.io images label {coredns} io.cri-containerd.pinned= >/dev/null", worker)
    modern.quorate("plan", code=2)
    modern.quorate("apply", "--yes")
    assert coredns in modern.run(pins, worker)[worker].split()


def test_the_endpoint_gets_a_name_and_nodes_their_marks_and_back(modern: Deployed) -> None:
    site_wishes.to_a_name_and_back(modern)


def test_kubernetes_own_tests_pass(modern: Deployed, tmp_path: Path) -> None:
    """The quick run of the conformance suite, on images that were made here."""
    # The first time on a machine this builds the suite.
    modern.quorate("conformance", "--images", str(tmp_path), limit=3600)
    text = modern.file.read_text()
    archive = tmp_path / "conformance-images.tar"
    modern.file.write_text(text.replace("  packages: bundle", f"  images: [{archive}]\n  packages: bundle"))
    modern.quorate("apply", "--yes")
    document = modern.json("conformance", "--jobs", "4", code=0)
    assert document["failed"] == []
    assert document["left"] == []
    assert document["passed"] == len(QUICK) + len(modern.cluster.masters)
    spaces = modern.run("kubectl get namespaces -l e2e-run -o name", "master01")["master01"]
    assert spaces.strip() == ""
    modern.quorate("plan", code=0)
    modern.file.write_text(text)
    modern.quorate("apply", "--yes")


def test_hosts_take_backups_by_themselves(modern: Deployed, tmp_path: Path) -> None:
    recovering.left_to_the_hosts(modern, tmp_path)


def test_power_cut_and_back(modern: Deployed) -> None:
    """All hosts at once, without quorate: systemd and etcd bring the cluster back."""
    from quorate.lab import fault

    name = modern.cluster.name
    hosts = [host.name for host in modern.cluster.hosts]
    for host in hosts:
        fault.kill(name, host)
    for host in hosts:
        fault.start(name, host)
    modern.quorate("apply", "--yes")
    modern.quorate("plan", code=0)


def test_it_is_upgraded_while_it_is_used(modern: Deployed, tmp_path: Path) -> None:
    """The newest pair of minors, with the etcd and the runtime that belong to each."""
    upgrading.while_it_is_used(modern, tmp_path)
