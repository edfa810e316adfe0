"""The checks of the preflight, both ways: what a host said, and what is made of it."""

from dataclasses import replace
from typing import Any

import pytest
from preflight_world import GB, GOOD, IP, change, judged, spoken, world

from quorate.preflight.catalog import CHECKS
from quorate.report.findings import Status
from quorate.resource.package import Packages
from quorate.spec.cluster import Network, Os
from quorate.spec.facts import Resolver, Unmounted
from quorate.spec.layout import ETCD_DISK

P, F, WARN, U = Status.PASSED, Status.FAILED, Status.WARNED, Status.UNCHECKED


def resolving(servers: str, **resolved: str) -> dict[str, Any]:
    own = Resolver("/etc/resolv.conf", tuple(servers.split()))
    asks = (Resolver("/run/systemd/resolve/resolv.conf", tuple(each.split())) for each in resolved.values())
    return {"resolvers": (own, *asks)}


FSTAB = Unmounted("/var/lib/etcd", "/etc/fstab")
NOTED = Unmounted("/var/lib/etcd", ETCD_DISK)
RUNS = {"etcd_member": True, "running": frozenset({"etcd.service"})}


FACTS: list[tuple[str, str, dict[str, Any], dict[str, Any], Status, str]] = [
    # check, host, its facts, the cluster file, verdict, words of it
    ("architecture", "m1", {"arch": "amd64"}, {}, P, "amd64"),
    ("architecture", "m1", {"arch": "mips"}, {}, F, "no builds"),
    ("architecture", "m1", {"arch": "arm64"}, {}, F, "arm64, m2, m3, n1 not"),
    ("architecture", "m1", {"arch": ""}, {}, U, ""),
    ("os", "m1", {}, {}, P, "debian 12"),
    ("os", "m1", {"os_id": "rocky", "os_like": ("rhel",), "os_version": "9"}, {}, P, "rocky 9"),
    ("os", "m1", {"os_id": "nixos", "os_version": ""}, {}, WARN, "nixos"),
    ("os", "m1", {"os_id": "", "os_version": ""}, {}, U, ""),
    ("kernel", "n1", {"kernel": "6.1.0-30-amd64"}, {}, P, "6.1.0"),
    ("kernel", "n1", {"kernel": "2.6.32"}, {}, F, "needs 3.10"),
    ("kernel", "n1", {"kernel": "4.4.0", "cgroup": "v2"}, {}, WARN, "cgroup v2 needs 4.15"),
    ("kernel", "n1", {"kernel": "5.4.0"}, {"network": Network(proxy_mode="nftables")}, F, "needs 5.13"),
    ("kernel", "m1", {"kernel": "5.4.0"}, {"network": Network(proxy_mode="nftables")}, P, ""),
    ("kernel", "n1", {"kernel": ""}, {}, U, ""),
    ("memory", "m1", {"memory_bytes": 4_000_000_000}, {}, P, "4.0 GB"),
    ("memory", "m1", {"memory_bytes": 1_000_000_000}, {}, WARN, "control-plane should have 1.7 GB"),
    ("memory", "b1", {"memory_bytes": 200_000_000}, {}, P, ""),
    ("memory", "m1", {"memory_bytes": 0}, {}, U, ""),
    ("time-sync", "m1", {"time_sync": "chronyd"}, {}, P, "chronyd"),
    ("time-sync", "m1", {"time_sync": ""}, {}, P, "installs chrony"),
    ("time-sync", "m1", {"time_sync": ""}, {"os": Os(time_sync="require")}, F, "require"),
    ("time-sync", "m1", {"time_sync": ""}, {"os": Os(time_sync="ignore")}, WARN, "ignore"),
    ("time-sync", "m1", {"time_sync": "", "container": True}, {"os": Os(time_sync="require")}, P, "shares"),
    ("etcd-disk", "m1", {}, {}, P, "/var/lib/etcd"),
    ("etcd-disk", "m1", {"unmounted": FSTAB}, {}, F, "/etc/fstab, and nothing is mounted there: etcd would begin"),
    ("etcd-disk", "m1", {"unmounted": FSTAB, "etcd_member": True}, {}, F, "etcd would begin below it"),
    ("etcd-disk", "m1", {"unmounted": FSTAB} | RUNS, {}, WARN, "the data of the member that runs are hidden"),
    ("etcd-disk", "m1", {"unmounted": NOTED} | RUNS, {}, F, "disk was mounted at /var/lib/etcd, and nothing is"),
    ("etcd-disk", "m1", {"kernel": ""}, {}, U, ""),
    ("firewall", "m1", {}, {}, P, "none"),
    ("firewall", "m1", {"firewall": "firewalld"}, {}, P, "opens the cluster's ports"),
    ("firewall", "m1", {"firewall": "ufw"}, {"os": Os(firewall="keep")}, WARN, "left to you"),
    ("firewall", "m1", {"firewall": "ufw"}, {"os": Os(firewall="off")}, P, "stops it"),
    ("firewall", "m1", {"firewall": "iptables"}, {"os": Os(firewall="off")}, WARN, "iptables"),
    ("firewall", "m1", {"kernel": ""}, {}, U, ""),
    ("name-servers", "n1", {}, {}, P, "10.0.9.53 (/etc/resolv.conf)"),
    ("name-servers", "n1", resolving("127.0.0.53", resolved="10.0.0.1"), {}, P, "10.0.0.1 (/run/systemd/resolve/re"),
    (
        "name-servers",
        "n1",
        resolving("127.0.0.53", resolved=""),
        {},
        WARN,
        "/run/systemd/resolve/resolv.conf names none",
    ),
    (
        "name-servers",
        "n1",
        resolving("127.0.0.1 10.0.0.1"),
        {},
        WARN,
        "names 127.0.0.1, which pods can't reach, beside 10",
    ),
    ("name-servers", "n1", resolving("10.96.0.10"), {}, WARN, "/etc/resolv.conf names 10.96.0.10"),
    ("name-servers", "n1", {"resolvers": ()}, {}, F, "/etc/resolv.conf is not there"),
    ("name-servers", "n1", {"kernel": ""}, {}, U, ""),
]


@pytest.mark.parametrize(("check", "host", "changed", "file", "status", "words"), FACTS)
def test_facts(
    check: str, host: str, changed: dict[str, Any], file: dict[str, Any], status: Status, words: str
) -> None:
    found = judged(world(facts={host: changed}, **file), check, host)
    assert found is not None
    assert found[0] is status, found
    assert words in found[1]


KERNEL = "overlay=yes\nasked=yes\nbridge=yes\nnat=yes"
SSHD = 'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=7,fd=3))'


def taken(at: str, name: str = "java") -> str:
    return f'asked\nlistens LISTEN 0 128 {at} 0.0.0.0:* users:(("{name}",pid=9,fd=3))'


OURS = f"{taken('*:2379', 'etcd')}\nunit pid=9 etcd.service"
NAMES = "own box\nname box 127.0.1.1\nname localhost 127.0.0.1"
DF = "at / /\nat /var/lib/etcd /var\nat /var/lib/containerd /var\n{0} {1} {2} {3} {4} /var /var\n9 0 9 0 0 / /"

PROXY = "https_proxy=http://user:geheim@10.0.9.5:3128"
SYSCTLS = {"sysctls": frozenset({"net.ipv4.ip_forward"})}


def sysctl(path: str, line: str = "net.ipv4.ip_forward = 0") -> str:
    return f"asked\nfile {path}\nset 3:{line}\nfile /etc/sysctl.d/zz-quorate.conf\nset 1:net.ipv4.ip_forward = 1"


MASKED = "asked\nfile /etc/sysctl.d/zzz.conf\nfile /usr/lib/sysctl.d/zzz.conf\nset 3:net.ipv4.ip_forward=0"

ANSWERS: list[tuple[str, str, str, str, dict[str, Any], Status, str]] = [
    # check, host, question, its answer, the host's facts, verdict, words of it
    ("features", "n1", "kernel", KERNEL, {}, P, ""),
    ("features", "n1", "kernel", "asked=yes\nnat=yes\nbridge=yes", {}, F, "overlay"),
    ("features", "n1", "kernel", "asked=yes\nnat=yes\nbridge=yes\nmodule=overlay", {}, P, ""),
    ("features", "n1", "kernel", "asked=yes\nnat=yes\nbridge=yes", {"modules": frozenset({"overlay"})}, P, ""),
    ("features", "n1", "kernel", "overlay=yes\nasked=yes\nnat=Table does not exist", {}, F, "Table does not exist"),
    ("features", "n1", "kernel", "overlay=yes\nasked=yes\nnat=yes", {}, WARN, "br_netfilter"),
    ("features", "n1", "kernel", "overlay=yes\nasked=yes\nbridge=yes", {}, WARN, "ip_tables"),
    ("features", "n1", "kernel", "overlay=yes\nasked=yes\nbridge=yes\nmodule=nf_tables", {}, P, ""),
    ("features", "n1", "kernel", "", {}, U, ""),
    ("cgroups", "n1", "cgroups", "cpuset cpu io memory pids", {}, P, "v2"),
    ("cgroups", "n1", "cgroups", "cpuset cpu io pids", {}, F, "without memory"),
    ("cgroups", "n1", "cgroups", "cpu io memory pids", {}, WARN, "without cpuset"),
    ("cgroups", "n1", "cgroups", "cpu cpuacct cpuset memory pids", {"cgroup": "v1"}, WARN, "failCgroupV1: false"),
    ("cgroups", "n1", "cgroups", "", {}, U, ""),
    ("systemd", "n1", "systemd", "systemd 252 (252.39-1~deb12u1)", {}, P, "252"),
    ("systemd", "n1", "systemd", "systemd 219", {}, F, "need 231"),
    ("systemd", "n1", "systemd", "systemd 239", {"cgroup": "v2"}, WARN, "244"),
    ("systemd", "n1", "systemd", "none", {}, F, "does not run"),
    ("systemd", "n1", "systemd", "", {}, U, ""),
    ("swap", "m1", "swap", "asked\nFilename", {}, P, "off"),
    ("swap", "m1", "swap", "asked\nFilename\n/dev/sda2", {}, WARN, "/dev/sda2"),
    ("swap", "n1", "swap", "asked\nFilename\n/dev/sda2", {}, P, "switches it off"),
    ("swap", "m1", "swap", "", {}, U, ""),
    ("inodes", "n1", "disk", DF.format(100 * GB, 0, 100 * GB, 1000, 900), {}, P, "900"),
    ("inodes", "n1", "disk", DF.format(100 * GB, 0, 100 * GB, 1000, 40), {}, WARN, "40 of 1000"),
    ("inodes", "n1", "disk", DF.format(100 * GB, 0, 100 * GB, 1000, 0), {}, F, "/var has 0 inodes left"),
    ("inodes", "n1", "disk", DF.format(100 * GB, 0, 100 * GB, 0, 0), {}, P, ""),
    ("inodes", "n1", "disk", "", {}, U, ""),
    ("fsync", "m1", "fsync", "\n".join(["0.0002"] * 99 + ["0.5"]), {}, P, "p99 0.2 ms"),
    ("fsync", "m1", "fsync", "\n".join(["0.0002"] * 90 + ["1.2e-02"] * 10), {}, WARN, "p99 12.0 ms"),
    ("fsync", "m1", "fsync", "", {}, U, ""),
    ("address", "m1", "addresses", GOOD["m1"]["addresses"], {}, P, "10.0.9.11 on eth0"),
    ("address", "m1", "addresses", "2: eth0    inet 10.0.9.99/24 scope global eth0", {}, F, "10.0.9.99"),
    ("address", "m1", "addresses", "", {}, U, ""),
    ("ports", "m1", "ports", "asked", {}, P, "free"),
    ("ports", "m1", "ports", taken("0.0.0.0:2379"), {}, F, "2379 (etcd) is taken by java (pid=9)"),
    ("ports", "m1", "ports", taken("[::]:6443"), {}, F, "6443"),
    ("ports", "m1", "ports", taken("10.0.9.11:2380"), {}, F, "2380"),
    ("ports", "m1", "ports", taken("127.0.0.1:2379"), {}, F, "2379"),
    ("ports", "m1", "ports", taken("127.0.0.1:6443"), {}, WARN, "6443"),
    ("ports", "m1", "ports", taken("172.17.0.1:2379"), {}, WARN, "172.17.0.1"),
    ("ports", "m1", "ports", taken("10.0.9.11:10257"), {}, WARN, "10257"),
    ("ports", "m1", "ports", OURS, {}, P, "ours"),
    ("ports", "m1", "ports", OURS.replace("unit pid=9 etcd", "unit pid=9 dropbear"), {}, F, "dropbear.service"),
    ("ports", "m1", "ports", f"asked\nlistens {SSHD}", {}, P, ""),
    ("ports", "b1", "ports", taken("172.17.0.1:6443"), {}, F, "endpoint.port"),
    ("ports", "m1", "ports", "", {}, U, "no ss"),
    ("names", "m1", "names", NAMES, {}, P, "box"),
    ("names", "m1", "names", f"{NAMES}\nname m1 10.0.9.11", {}, P, ""),
    ("names", "m1", "names", NAMES.replace("127.0.1.1", "203.0.113.7"), {}, WARN, "box leads to 203.0.113.7"),
    ("names", "m1", "names", NAMES.replace("localhost 127.0.0.1", "localhost 10.0.0.1"), {}, WARN, "localhost leads"),
    ("names", "m1", "names", NAMES.replace("localhost 127.0.0.1", "localhost"), {}, WARN, "nowhere"),
    ("names", "m1", "names", f"{NAMES}\nname m2 10.0.9.77", {}, WARN, "m2 leads to 10.0.9.77"),
    ("names", "m1", "names", "", {}, U, "getent"),
    ("vip-subnet", "b1", "addresses", GOOD["b1"]["addresses"], {}, P, "10.0.9.0/24"),
    ("vip-subnet", "b1", "addresses", GOOD["b1"]["addresses"].replace("/24", "/27"), {}, F, "outside of 10.0.9.0/27"),
    ("vip-subnet", "b1", "addresses", GOOD["b1"]["addresses"].replace("/24", "/32"), {}, WARN, "outside of"),
    ("vip-subnet", "b1", "addresses", GOOD["b1"]["addresses"].replace("eth0", "eth7"), {}, F, "no interface eth0"),
    ("vip-subnet", "b1", "addresses", "", {}, U, ""),
    ("vip-free", "b1", "virtual IP", "asked", {}, P, "is free"),
    ("vip-free", "b1", "virtual IP", "asked\nneighbour 10.0.9.100 dev eth0 FAILED", {}, P, "is free"),
    ("vip-free", "b1", "virtual IP", "asked\nanswers\nneighbour 10.0.9.100 dev eth0 lladdr 9:9 STALE", {}, F, "at 9:9"),
    ("vip-free", "b1", "virtual IP", "asked\nneighbour 10.0.9.100 dev eth0 lladdr 9:9 REACHABLE", {}, F, "ARP"),
    ("vip-free", "b1", "virtual IP", "asked\nneighbour 10.0.9.100 dev eth0 lladdr 9:9 STALE", {}, P, "is free"),
    ("vip-free", "b1", "virtual IP", f"asked\nneighbour x dev eth0 lladdr 02:00:{IP['b2']} STALE", {}, P, "last held"),
    ("vip-free", "b1", "virtual IP", "listened", {}, U, "neither ping nor curl"),
    ("router-id", "b1", "virtual IP", "asked\nlistened", {}, P, "120"),
    ("router-id", "b1", "virtual IP", "listened\nIP 10.0.9.77 > 224.0.0.18: VRRPv2, vrid 120", {}, WARN, "10.0.9.77"),
    ("router-id", "b1", "virtual IP", "listened\nIP 10.0.9.77 > 224.0.0.18: VRRPv2, vrid 51", {}, P, ""),
    ("router-id", "b1", "virtual IP", f"listened\nIP 10.0.9.{IP['b2']} > 224.0.0.18: VRRPv3, vrid 120", {}, P, ""),
    ("router-id", "b1", "virtual IP", "asked", {}, U, "tcpdump"),
    ("proxies", "n1", "proxies", "asked", {}, P, "none"),
    (
        "proxies",
        "n1",
        "proxies",
        f"asked\nnamed /etc/environment:2:{PROXY}",
        {},
        WARN,
        "/etc/environment:2: http://(se",
    ),
    ("proxies", "n1", "proxies", "asked\nnamed login:http_proxy=me:word@h:1", {}, WARN, "the login: (secret)@h:1;"),
    ("proxies", "n1", "proxies", f"asked\nnamed login:{PROXY}", {}, WARN, "the login: http://(secret)@10.0.9.5:3128;"),
    ("proxies", "n1", "proxies", "", {}, U, ""),
    ("sysctl", "n1", "sysctl", "asked", SYSCTLS, P, "no other"),
    (
        "sysctl",
        "n1",
        "sysctl",
        sysctl("/etc/sysctl.d/99-hardening.conf"),
        SYSCTLS,
        P,
        "/99-hardening.conf:3 (net.ipv4.ip",
    ),
    ("sysctl", "n1", "sysctl", sysctl("/run/sysctl.d/zzz.conf"), SYSCTLS, F, "after a reboot /run/sysctl.d/zzz.conf:3"),
    (
        "sysctl",
        "n1",
        "sysctl",
        sysctl("/etc/sysctl.conf"),
        SYSCTLS,
        WARN,
        "/etc/sysctl.conf:3 (net.ipv4.ip_forward = 0)",
    ),
    ("sysctl", "n1", "sysctl", sysctl("/etc/ufw/sysctl.conf", "net/ipv4/ip_forward=0"), SYSCTLS, WARN, "/etc/ufw/"),
    ("sysctl", "n1", "sysctl", sysctl("/run/sysctl.d/zzz.conf", "net.ipv4.ip_forward = 1"), SYSCTLS, P, ""),
    ("sysctl", "n1", "sysctl", sysctl("/run/sysctl.d/zzz.conf", "-net.ipv4.conf.all.forwarding=0"), SYSCTLS, F, "zzz"),
    (
        "sysctl",
        "n1",
        "sysctl",
        sysctl("/usr/lib/sysctl.d/1.conf", "net.ipv4.conf.*.forwarding=0"),
        SYSCTLS,
        F,
        "/1.con",
    ),
    ("sysctl", "n1", "sysctl", sysctl("/run/sysctl.d/zzz.conf", "net.ipv4.conf.*.rp_filter=0"), SYSCTLS, P, "no other"),
    ("sysctl", "n1", "sysctl", sysctl("/run/sysctl.d/zzz.conf", "net.ipv4.ip_forwar*=0"), SYSCTLS, P, "comes after"),
    ("sysctl", "n1", "sysctl", MASKED, SYSCTLS, P, "no other"),
    ("sysctl", "n1", "sysctl", "", SYSCTLS, U, ""),
]


@pytest.mark.parametrize(("check", "host", "question", "answer", "changed", "status", "words"), ANSWERS)
def test_answers(
    check: str, host: str, question: str, answer: str, changed: dict[str, Any], status: Status, words: str
) -> None:
    there = world(facts={host: changed}, answers=spoken(host, question, answer))
    if check == "inodes" and status is F:
        there = replace(there, plan=change(Packages(host=host, purpose="x", packages=("x",), manager="apt")))
    found = judged(there, check, host)
    assert found is not None
    assert found[0] is status, found
    assert words in found[1]


def test_every_check_is_seen_to_fail_and_to_pass() -> None:
    here = {name: {row[0] for row in FACTS if row[4] in wanted} | {row[0] for row in ANSWERS if row[5] in wanted}
            for name, wanted in {"good": {P}, "bad": {F, WARN}}.items()}  # fmt: skip
    below = {"reachable", "sudo", "plan", "releases", "haproxy", "clock", "disk", "one-machine", "data", "mtu", "reach"}
    below |= {"mounts", "drop-ins", "upgrades", "endpoint", "folders", "endpoint-name", "vrrp", "overlaps"}
    below |= {"docker", "registries"}  # test_preflight_runtime.py
    # Those that count in upgrades alone: test_preflight_upgrade.py.
    always = {check.id for check in CHECKS if not check.upgrade}
    assert always == here["good"] | below
    assert always == here["bad"] | below
