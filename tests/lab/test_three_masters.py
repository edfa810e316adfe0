"""Three masters with etcd, containerd, haproxy on two of them: the other half of the choices."""

import pytest
from deployed import Deployed

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
