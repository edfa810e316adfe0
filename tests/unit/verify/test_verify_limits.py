"""Verify's check of limits: what it makes of pods that were kept from more than they may have, and of others."""

import json
import subprocess
from typing import Any

import pytest
from verify_door import Door, cluster, env
from verify_model import Model, limited

from quorate.report.findings import Status
from quorate.verify import limits, pods
from quorate.verify.catalog import CHECKS
from quorate.verify.check import examine

pytestmark = pytest.mark.usefixtures("nothing_is_asked_from_here")

WORKER = cluster().workers[0]
(CHECK,) = (check for check in CHECKS if check.id == "limits")


def end(name: str, **said: Any) -> dict[str, Any]:
    """A worker's pod of which one container ended otherwise."""
    status: dict[str, Any] = limited(WORKER.node)["status"]
    for each in status["containerStatuses"]:
        if each["name"] == name:
            each["state"]["terminated"] |= said
    return status


def test_the_cores_of_a_busy_container_are_told() -> None:
    assert limits.cores(limited(WORKER.node)["status"]) == pytest.approx(0.1, abs=0.01)
    assert limits.fault(limited(WORKER.node)["status"]) == ""


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (end("eats", exitCode=0, reason="Completed"), "96 MiB of memory were used under a limit of 32"),
        (end("eats", exitCode=1, reason="Error"), "not killed: exit code 1, Error"),
        (end("burns", message="398 401\n"), "used 0.99 cores under a limit of 0.1"),
        (end("burns", message=""), "no numbers of a busy container"),
        (end("wide", exitCode=128, reason="StartError", message="cpu.cfs_quota_us: invalid argument"), "cfs_quota_us"),
        ({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough"}, "OutOfcpu Node didn't"),
    ],
)
def test_a_limit_that_does_not_hold_is_found(status: dict[str, Any], detail: str) -> None:
    assert detail in limits.fault(status)


async def test_every_worker_is_tried() -> None:
    door = Door(Model(cluster()))
    finding = await examine(CHECK, env(door))
    assert finding.status is Status.PASSED, finding
    assert finding.detail.startswith("2 workers: 32 MiB of memory hold")
    (made,) = (script for _, script in door.scripts if "create -f -" in script)
    assert all(f"nodeName: {host.node}" in made for host in cluster().workers)


async def test_pods_that_do_not_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "PODS_RUN_S", 0)

    def waiting(_host: str, script: str, text: str) -> str:
        if "get pods -l app=limits" not in script:
            return text
        items = json.loads(text)["items"]
        for item in items:
            state = {"waiting": {"reason": "CreateContainerError", "message": "no such group"}}
            item["status"] = {"phase": "Pending", "containerStatuses": [{"name": "wide", "state": state}]}
        return json.dumps({"items": items})

    finding = await examine(CHECK, env(Door(Model(cluster(), waiting))))
    assert finding.status is Status.FAILED
    assert "have not ended after 0 s" in finding.detail
    assert "CreateContainerError: no such group" in finding.detail


def test_a_busy_container_tells_what_it_used(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script itself: without a limit it uses most of a core, in numbers that are read the same way."""
    told = tmp_path / "told"
    script = limits.BURN.replace("/dev/termination-log", str(told)).replace(f"sleep {limits.BURNS}", "sleep 1")
    subprocess.run(["sh", "-c", script], check=True, timeout=60)
    used, passed = map(int, told.read_text().split())
    assert passed >= 100
    assert 0 < used <= passed + 2
