"""Drills of a deployed cluster: every fault once, and a drill that is killed in the middle of one."""

import json
import time
from pathlib import Path

from deployed import Deployed

from quorate.drill.catalog import FAULTS
from quorate.execute.outage import GUARD
from quorate.render.drill.packets import TABLE
from quorate.report.drill.report import DrillReport

RULES = f"nft list tables | grep -q {TABLE} && echo cut || :"
TIMERS = "systemctl list-units --all --no-legend 'quorate-drill-*' | wc -l"
ENOUGH = 18
"""Faults that a simulated host can have for sure; `delay-100` needs a kernel with netem."""


def every_fault_once(deployed: Deployed, folder: Path) -> None:
    """Nothing is lost, nothing moves, all heals. Gaps are for benchmarks: here they must only be numbers."""
    json_file, page = folder / "drill.json", folder / "drill.html"
    words = ("--yes", "--every", "0.05", "--output", str(json_file), "--html", str(page))
    print(deployed.quorate("drill", *words).stdout)
    found = DrillReport.read(json_file.read_text())
    assert found.ok
    assert [fault.name for fault in found.faults] == [fault.name for fault in FAULTS]
    tried = [fault for fault in found.faults if fault.counted]
    assert len(tried) >= ENOUGH
    assert all(fault.skipped for fault in found.faults if not fault.runs)
    for fault in tried:
        for run in fault.runs:
            assert run.felt["new"].total > 10, fault.name
            assert 0 < run.felt["new"].gap < run.outage + 90, fault.name
    named = {fault.name: fault.runs[0] for fault in tried}
    # A fault that is none would be felt by nobody.
    assert named["balancer-lost"].felt["kept"].failed > 0
    assert named["balancer-lost"].one_owner is not None
    assert named["balancer-lost"].one_owner > 0
    assert named["leader-lost"].takeovers["etcd"] > 0
    assert named["controller-manager-killed"].takeovers["kube-controller-manager"] > 0
    assert named["scheduler-killed"].takeovers["kube-scheduler"] > 0
    for name in ("network-restarted", "address-renewed"):
        # Who takes the virtual IP away is found out by the drill itself; whoever has it then, it is one.
        assert named[name].one_owner is not None, name
    workers = {host.name for host in deployed.cluster.workers}
    for fault in (each for each in tried if each.kubelets):
        # A host that was cut off says nothing of its kubelet, and each other one hears the API again.
        assert fault.heard, fault.name
        assert {host for _, host in fault.heard} <= workers
        assert all(seconds < 60 for seconds, _ in fault.heard), (fault.name, fault.heard)
    assert "<svg" in page.read_text()
    settled(deployed)


def settled(deployed: Deployed) -> None:
    """No rule, no timer, no pod is left of it, and nothing has to be mended."""
    assert set(deployed.run(RULES).values()) == {""}
    assert {said.strip() for said in deployed.run(TIMERS).values()} == {"0"}
    namespaces = deployed.run(
        "kubectl get ns -o name --field-selector status.phase=Active | grep -c quorate || :", "master01"
    )
    assert namespaces["master01"].strip() == "0"
    deployed.quorate("plan", code=0)


def killed_in_the_middle(deployed: Deployed) -> None:
    """`kill -9`: the host that it cut off heals itself when its timer fires."""
    balancers = [host.name for host in deployed.cluster.balancers]
    with deployed.started("drill", "--yes", "--fault", "balancer-lost") as drill:
        end = time.monotonic() + 90
        while not any(deployed.run(RULES, *balancers).values()):
            assert drill.poll() is None
            assert time.monotonic() < end, "nothing was broken"
            time.sleep(0.3)
        drill.kill()
    cut = time.monotonic()
    while any(deployed.run(RULES, *balancers).values()):
        assert time.monotonic() - cut < GUARD + 15, "still broken"
        time.sleep(1)
    print(f"healed by its own timer {time.monotonic() - cut:.0f} s after the drill was killed")
    end = time.monotonic() + 60
    while json.loads(deployed.quorate("status", "--json", code=None).stdout)["problems"]:
        assert time.monotonic() < end
        time.sleep(1)
    settled(deployed)
