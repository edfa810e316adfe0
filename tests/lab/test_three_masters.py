"""Three masters with etcd, containerd, haproxy on two of them: the other half of the choices."""

import json
import time
from pathlib import Path

import pytest
from deployed import Deployed

from quorate.report.drilled import Drilled

pytestmark = pytest.mark.lab


def test_apply_builds_it(three_masters: Deployed) -> None:
    three_masters.quorate("apply", "--yes")
    three_masters.quorate("plan", code=0)


def test_verify_proves_it(three_masters: Deployed) -> None:
    document = three_masters.json("verify", "--disruptive")
    findings = document["findings"]
    assert isinstance(findings, list)
    assert [finding["id"] for finding in findings if finding["status"] == "failed"] == []
    assert sum(finding["status"] == "passed" for finding in findings) >= 16


def test_an_api_server_that_stops_in_order_cuts_nobody_off(three_masters: Deployed, tmp_path: Path) -> None:
    """haproxy leaves it its sessions until it ends them, and cuts those of one that hangs."""
    file = tmp_path / "drill.json"
    faults = ("--fault", "apiserver-terminated", "--fault", "apiserver-hung")
    three_masters.quorate("drill", "--yes", *faults, "--runs", "2", "--output", str(file))
    found = Drilled.read(file.read_text())
    assert found.ok
    runs = {fault.name: fault.runs for fault in found.faults}
    for run in runs["apiserver-terminated"]:
        # Nobody has to wait either, but two cores for five hosts and all clients are no proof of that.
        failed = {word for stream in ("new", "kept", "writes") for word in run.felt[stream].words}
        assert not failed - {"timeout", "unknown-timeout"}, run.felt
    for run in runs["apiserver-hung"]:
        assert run.felt["kept"].gap < run.outage, "its clients went on before it did"


def left_out(deployed: Deployed) -> object:
    return json.loads(deployed.quorate("status", "--json", code=None).stdout)["left_out"]


def until(deployed: Deployed, wanted: object) -> None:
    """Wait until `status` says that of the balancers."""
    end = time.monotonic() + 30
    while (seen := left_out(deployed)) != wanted:
        assert time.monotonic() < end, seen
        time.sleep(0.5)


def test_status_names_whom_a_balancer_leaves_out(three_masters: Deployed) -> None:
    balancers = [host.name for host in three_masters.cluster.balancers]
    until(three_masters, {})
    three_masters.run("systemctl kill -s STOP kube-apiserver", "master02")
    try:
        until(three_masters, {name: ["master02"] for name in balancers})
    finally:
        three_masters.run("systemctl kill -s CONT kube-apiserver", "master02")
    until(three_masters, {})


def test_power_cut_and_back(three_masters: Deployed) -> None:
    """All hosts at once, without quorate: systemd and etcd bring the cluster back."""
    from quorate.lab import fault

    name = three_masters.cluster.name
    hosts = [host.name for host in three_masters.cluster.hosts]
    for host in hosts:
        fault.kill(name, host)
    for host in hosts:
        fault.start(name, host)
    three_masters.quorate("apply", "--yes")
    three_masters.quorate("plan", code=0)
