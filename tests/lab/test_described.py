"""The described topology with Docker and nginx, from bare hosts to bare hosts. The order of the tests is the story."""

import json
import subprocess
from pathlib import Path

import drilling
import pytest
import recovering
from deployed import Deployed
from waiting import within

from quorate.lab import listing
from quorate.lab.record import need

pytestmark = pytest.mark.lab

PROCESSES = """
for u in etcd kube-apiserver kube-controller-manager kube-scheduler containerd docker kubelet kube-proxy nginx \
  keepalived quorate-upstreams quorate-pulse quorate-routes; do
  p=$(systemctl show -p MainPID --value $u.service); [ "$p" = 0 ] || echo "$u $p"
done"""

TRACES = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/cache \
  -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd \
  -o -path /root/.cache \
  -o -path /etc/ld.so.cache -o -path /var/lib/ucf -o -path '*/__pycache__' \) -prune \
  -o -printf '%y %m %u %p %l\n' | sort
echo == units; systemctl list-unit-files --no-legend --no-pager | sort
echo == mounts; cut -d' ' -f2 /proc/mounts | sort | uniq
echo == links; ip -o link | cut -d: -f2 | sort; ip -4 -o addr | tr -s ' ' | cut -d' ' -f2-4 | sort; ip route | sort
echo == rules; iptables-save | grep -E '^-A|^:.* (DROP|REJECT|-)' | sed 's/ \[.*//' | sort
echo == packages; dpkg-query -W -f '${Package} ${db:Status-Status}\n' | grep ' installed$'
echo == users; cut -d: -f1 /etc/passwd | sort; cat /etc/hosts /etc/hostname /proc/sys/net/ipv4/ip_forward
echo == processes; ps -eo comm= | grep -E '^(etcd|kube|docker|containerd|nginx|haproxy|keepalived|quorate)' | sort
exit 0
"""

# A proxy that nobody answers at, wherever programs look for one, and a rule of hardening that stops all pods.
COMPANY = """set -e
p=http://{proxy}:3128
printf '%s\\n' http_proxy=$p https_proxy=$p HTTPS_PROXY=$p no_proxy=localhost,127.0.0.1 >> /etc/environment
echo "proxy = $p" > /root/.curlrc
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\\nDefaultEnvironment=%s\\n' "http_proxy=$p https_proxy=$p" > /etc/systemd/system.conf.d/proxy.conf
systemctl daemon-reexec
systemctl show-environment | grep -q "^https_proxy=$p"
echo net.ipv4.ip_forward = 0 > /etc/sysctl.d/99-hardening.conf
"""

found: dict[str, str] = {}


def test_hosts_are_as_companies_set_them_up(described: Deployed) -> None:
    """Up to the end of the story nothing inside the cluster goes through the proxy: each such request would fail."""
    net = str(described.cluster.hosts[0].address).rpartition(".")[0]
    described.run(COMPANY.format(proxy=f"{net}.250"))
    argv = listing.ssh_argv(need(described.cluster.name), described.cluster.hosts[0].name, ["env"])
    environment = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert f"http_proxy=http://{net}.250:3128" in environment.splitlines()


def test_bare_hosts_are_looked_at(described: Deployed) -> None:
    found.update(described.run(TRACES))
    plan = described.json("plan", code=2)
    assert plan["changes"]


def test_plan_has_changed_nothing(described: Deployed) -> None:
    assert described.run(TRACES) == found


def test_apply_builds_it(described: Deployed) -> None:
    described.quorate("apply", "--yes")


def test_hardening_counts_less_than_what_pods_need(described: Deployed) -> None:
    """As after a reboot: the host reads all its files again."""
    read = "systemctl restart systemd-sysctl; cat /proc/sys/net/ipv4/ip_forward"
    workers = [host.name for host in described.cluster.workers]
    assert [text.strip() for text in described.run(read, *workers).values()] == ["1"] * len(workers)


def test_plan_is_empty_then(described: Deployed) -> None:
    described.quorate("plan", code=0)


def test_verify_proves_it(described: Deployed) -> None:
    document = described.json("verify", "--disruptive", "--yes")
    findings = document["findings"]
    assert isinstance(findings, list)
    assert [finding["id"] for finding in findings if finding["status"] == "failed"] == []
    assert sum(finding["status"] == "passed" for finding in findings) >= 16


def test_plan_is_empty_after_the_disruption(described: Deployed) -> None:
    described.quorate("plan", code=0)


def test_second_apply_changes_and_restarts_nothing(described: Deployed) -> None:
    before = described.run(PROCESSES)
    described.quorate("apply", "--yes")
    assert described.run(PROCESSES) == before


DRIFT = {
    "edited unit": (
        "master01",
        "sed -i 's/--v=.*//; s/Kubernetes API server/Somebody was here/' /etc/systemd/system/kube-apiserver.service",
        {"master01 kube-apiserver"},
    ),
    "deleted certificate": (
        "node01",
        "rm /etc/kubernetes/pki/kubelet-server.crt",
        set(),
    ),
    "stopped service": ("master02", "systemctl stop kube-scheduler", {"master02 kube-scheduler"}),
    "readable key": ("master01", "chmod 644 /etc/kubernetes/pki/apiserver.key", set()),
    "changed kernel setting": ("node02", "echo 0 >/proc/sys/net/ipv4/ip_forward", set()),
    "edited balancer": ("nginx01", "echo '# a human' >>/etc/quorate/nginx.conf", set()),
    "killed routes": ("node01", "systemctl disable --now -q quorate-routes", {"node01 quorate-routes"}),
}


@pytest.mark.parametrize("name", DRIFT)
def test_drift_is_seen_and_mended_alone(described: Deployed, name: str) -> None:
    host, harm, restarted = DRIFT[name]
    before = processes(described)
    described.run(harm, host)
    for attempt in range(5):
        lines = described.json("plan", code=2)["lines"]
        assert isinstance(lines, list)
        # One that only answers too late, on two cores for all hosts, may be looked at again; nothing else may.
        strangers = [line for line in lines if line["host"] != host]
        if not strangers or attempt == 4 or any(line["action"] != "wait" for line in strangers):
            break
    assert {line["host"] for line in lines} == {host}, strangers
    described.quorate("apply", "--yes")
    described.quorate("plan", code=0)
    after = processes(described)
    assert {key for key in after if after[key] != before.get(key)} <= restarted
    assert before.keys() == after.keys()


def test_rules_that_a_firewalls_reload_takes_come_back_by_themselves(described: Deployed) -> None:
    look = "for f in /etc/quorate/*.check; do sh $f; done"
    gone = described.run(f"iptables -F; iptables -t nat -F; {look}", "node01")["node01"]
    assert "rules of kube-proxy are gone" in gone
    assert within(60, lambda: described.run(look, "node01")["node01"] == "")
    described.quorate("plan", code=0)


def processes(described: Deployed) -> dict[str, str]:
    """Main process by host and service."""
    lines = [f"{host} {line}" for host, output in described.run(PROCESSES).items() for line in output.splitlines()]
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines}


def test_a_flag_restarts_api_servers_alone_one_by_one(described: Deployed) -> None:
    before = processes(described)
    text = described.file.read_text()
    described.file.write_text(text + '\napiserver:\n  extra_flags:\n    event-ttl: "2h"\n')
    lines = described.quorate("apply", "--yes", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    after = processes(described)
    restarted = {key for key in after if after[key] != before.get(key)}
    ours = {f"{event['host']} {event['name']}" for event in events if event.get("event") == "step-done"
            and event["kind"] == "unit" and event["changed"]}  # fmt: skip
    assert ours == {"master01 kube-apiserver.service", "master02 kube-apiserver.service"}
    assert {"master01 kube-apiserver", "master02 kube-apiserver"} <= restarted
    # A leader whose own API server is away for longer than its lease gives the lead up and ends by itself.
    for host, unit in (key.split() for key in restarted if not key.endswith("kube-apiserver")):
        said = described.run(f"journalctl -u {unit} --since -10min -o cat --no-pager", host)[host]
        assert "leaderelection lost" in said, f"{host} {unit} was restarted"
    order = [
        (event["event"], event["host"], event["kind"])
        for event in events
        if event.get("event") in ("step-started", "step-done")
        and event.get("kind") in ("unit", "ready")
        and "apiserver" in event.get("name", "")
    ]
    ready = order.index(("step-done", "master01", "ready"))
    assert order.index(("step-started", "master02", "unit")) > ready
    described.quorate("plan", code=0)


def test_every_fault_once(described: Deployed, tmp_path: Path) -> None:
    drilling.every_fault_once(described, tmp_path)


def test_a_drill_that_is_killed_leaves_nothing_broken(described: Deployed) -> None:
    drilling.killed_in_the_middle(described)


def test_all_data_come_back_from_a_backup(described: Deployed, tmp_path: Path) -> None:
    recovering.comes_back(described, tmp_path)


def test_destroy_leaves_the_hosts_as_they_were_found(described: Deployed) -> None:
    name = described.cluster.name
    described.quorate("destroy", "--yes", name)
    after = described.run(TRACES)
    for host, text in found.items():
        was, now = set(text.splitlines()), set(after[host].splitlines())
        assert now - was == set(), f"{host}: left behind"
        assert was - now == set(), f"{host}: taken away"
