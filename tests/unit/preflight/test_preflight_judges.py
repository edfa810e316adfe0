"""The checks of the preflight that look at several answers at once, or at the plan."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from past_clusters import member
from preflight_world import GB, GOOD, IP, change, judged, spoken, status, world

from quorate.core import Blob
from quorate.plan.step import Plan, Step
from quorate.preflight.check import Clock
from quorate.preflight.disk import WAL, needs
from quorate.preflight.pairs import needed_ports
from quorate.preflight.report import judge
from quorate.preflight.syncs import quantile
from quorate.report.findings import Status
from quorate.resource.file import Binary
from quorate.resource.package import Packages
from quorate.spec.cluster import Endpoint, Etcd, Kubelet, Network, Os
from quorate.spec.facts import Unmounted
from quorate.spec.fewer_hosts import cluster_without
from quorate.spec.layout import ETCD_DISK

P, F, WARN, U = Status.PASSED, Status.FAILED, Status.WARNED, Status.UNCHECKED
NAMES = "own box\nname box 127.0.1.1\nname localhost 127.0.0.1"


def test_hosts_that_do_not_answer() -> None:
    gone = world(lost={"m1": "no route to host", "m2": "sudo there asks for a password"})
    assert judged(gone, "reachable", "m1") == (F, "no route to host")
    assert judged(gone, "reachable", "m2") == (P, "")
    assert judged(gone, "sudo", "m2") == (F, "sudo there asks for a password")
    assert judged(gone, "sudo", "m1") is None
    left = world(established=True, lost={"m1": "no route", "m2": "sudo there asks"})
    assert judged(left, "reachable", "m1") == (WARN, "no route; it is left as it is")
    assert judged(left, "sudo", "m2") == (WARN, "sudo there asks; it is left as it is")
    told = {finding.id: finding for finding in judge(gone)}
    assert "m1" not in told["kernel"].hosts


def test_a_plan_that_can_not_be_made() -> None:
    assert judged(world(), "plan", "m1") == (P, "0 changes")
    assert judged(replace(world(), trouble="no kubelet"), "plan", "m1") == (F, "no kubelet")
    assert judged(replace(world(), trouble="no kubelet"), "plan", "m2") is None


def test_a_kubelet_that_is_told_to_refuse_cgroup_v1_is_seen_before_it_does() -> None:
    v1 = {"n1": {"cgroup": "v1"}}
    said = spoken("n1", "cgroups", "cpu cpuacct cpuset memory pids")
    told = world(facts=v1, answers=said, kubelet=Kubelet(config={"failCgroupV1": True}))
    assert status(told, "cgroups", "n1") is F
    assert status(world(facts=v1, answers=said), "cgroups", "n1") is WARN


def test_clocks() -> None:
    names = ("m1", "m2", "m3")
    there = world(clocks={name: Clock(0.0, 0.1) for name in names})
    assert judged(there, "clock", "m1") == (P, "+0.000 s from the hosts' median, measured to 0.100 s")
    late = world(clocks={**there.clocks, "m1": Clock(-2.0, 0.1)})
    assert judged(late, "clock", "m1") == (WARN, "-2.000 s from the hosts' median, measured to 0.100 s")
    assert status(late, "clock", "m2") is P
    unsure = world(clocks={**there.clocks, "m1": Clock(-2.0, 1.5)})
    assert status(unsure, "clock", "m1") is P
    far = world(clocks={**there.clocks, "m1": Clock(31.0, 0.1)})
    assert status(far, "clock", "m1") is F
    # Of two that differ, the one that agrees with this machine is right.
    pair = world(clocks={"m1": Clock(0.0, 0.1), "m2": Clock(40.0, 0.1)})
    assert status(pair, "clock", "m1") is P
    assert judged(pair, "clock", "m2") == (F, "+40.000 s from the hosts' median, measured to 0.100 s")
    assert judged(there, "clock", "n1") == (U, "the host does not tell")


def test_this_machine_against_all_hosts() -> None:
    """Certificates that are made here must be valid there, now."""

    def seen(offset: float) -> tuple[Status, str] | None:
        return judged(world(clocks={name: Clock(offset, 0.5) for name in ("m1", "m2", "m3")}), "clock", "m1")

    minutes = "s from this machine, measured to 0.500 s; certificates made here bear 3600 s"
    assert seen(-240.0) == (WARN, f"-240.000 {minutes}")
    assert seen(+240.0) == (WARN, f"+240.000 {minutes}")
    assert seen(-3600.0) == (WARN, f"-3600.000 {minutes}")
    assert seen(-4000.5) == (
        F,
        "-4000.500 s from this machine, measured to 0.500 s: certificates made here are not valid there "
        "for another 400 s",
    )
    assert seen(+4000.5) == (
        F,
        "+4000.500 s from this machine, measured to 0.500 s: certificates made here would be renewed "
        "that much too late",
    )


def test_slow_disks_against_the_clocks_of_etcd() -> None:
    def seen(times: str, **file: Any) -> tuple[Status, str] | None:
        return judged(world(answers=spoken("m1", "fsync", times), **file), "fsync", "m1")

    of = "of 5 writes near /var/lib/etcd"
    slow, wan = "\n".join(["0.2"] * 5), Network(profile="wan")
    assert seen(slow) == (
        WARN,
        f"p99 200.0 ms, median 200.0 ms {of}: above the heartbeat of 50 ms, so a busy leader is late with it, "
        "and one that is 500 ms late is lost",
    )
    assert seen(slow, network=wan) == (WARN, f"p99 200.0 ms, median 200.0 ms {of}: etcd asks for 10 ms")
    own = Etcd(heartbeat_ms=200, election_ms=1000)
    assert seen(slow, etcd=own) == (WARN, f"p99 200.0 ms, median 200.0 ms {of}: etcd asks for 10 ms")
    stuck = "\n".join(["0.6"] * 3)
    assert seen(stuck) == (
        F,
        "p99 600.0 ms, median 600.0 ms of 3 writes near /var/lib/etcd: no leader stays one, "
        "the others elect anew after 500 ms",
    )
    assert (seen(stuck, network=wan) or (P, ""))[0] is WARN
    # A hiccup is no slow disk.
    assert (seen("\n".join(["0.001", "0.001", "0.9"])) or (P, ""))[0] is WARN
    assert (seen("\n".join(["0.001"] * 5)) or (F, ""))[0] is P


def test_slow_disks_of_members_that_run() -> None:
    """By etcd's own histogram, of which the last count is that of all."""
    assert quantile(0.5, [(1, 0), (2, 10), (4, 10), (math.inf, 10)]) == 1.5
    assert quantile(0.99, [(1, 10), (2, 10), (math.inf, 100)]) == 2

    def seen(*counts: int) -> tuple[Status, str] | None:
        told = "\n".join(f"{limit} {count}" for limit, count in zip(("0.128", "0.256", "+Inf"), counts, strict=True))
        runs = {"m1": {"running": frozenset({"etcd.service"}), "etcd_member": True}}
        there = world(established=True, facts=runs, answers=spoken("m1", "syncs of etcd", told))
        return judged(there, "fsync", "m1")

    assert seen(0, 1000, 1000) == (
        WARN,
        "p99 254.7 ms, median 192.0 ms of 1000 syncs of etcd since its start: above the heartbeat of 50 ms, "
        "so a busy leader is late with it, and one that is 500 ms late is lost",
    )
    assert (seen(100_000, 100_000, 100_000) or (P, ""))[0] is WARN
    assert seen(0, 0, 0) == (U, "the host does not tell")
    assert judged(world(established=True), "fsync", "m1") is None


def test_disks_are_counted_from_the_plan(tmp_path: Path) -> None:
    binary = Binary(host="n1", path="/opt/kubernetes/bin/kubelet", blob=Blob(tmp_path, "0" * 64, 120_000_000))
    df = "at /opt/kubernetes/bin /opt\nat /var/lib/containerd /\n{0} {1} {2} 0 0 /opt /opt\n{3} 0 {3} 0 0 / /"

    def seen(used: int, root: int = 100 * GB, size: int = GB) -> tuple[Status, str] | None:
        there = world(answers=spoken("n1", "disk", df.format(size, used, size - used, root)))
        return judged(replace(there, plan=change(binary)), "disk", "n1")

    assert seen(0) == (P, "/ 100.0 GB free, /opt 1.0 GB free")
    assert seen(880_000_000)[0] is P  # type: ignore[index]
    status, words = seen(880_000_001)  # type: ignore[misc]
    assert status is F
    assert words.startswith("/opt needs 120.0 MB (120000000 bytes) for /opt/kubernetes/bin and has 120.0 MB (1199999")
    assert judged(world(), "disk", "n1") == (U, "the host does not tell")


def test_disks_that_will_be_full() -> None:
    def etcd(free: int) -> tuple[Status, str]:
        df = f"at /var/lib/etcd /var\n{100 * GB} {100 * GB - free} {free} 0 0 /var /var"
        found = judged(world(answers=spoken("m1", "disk", df)), "disk", "m1")
        assert found
        return found

    assert etcd(9 * GB)[0] is P
    assert etcd(5 * GB) == (
        WARN,
        "/var/lib/etcd may grow to 8.6 GB (etcd.quota_bytes), 5.0 GB (5000000000 bytes) are free",
    )
    assert etcd(WAL)[0] is WARN
    assert etcd(WAL - 1)[0] is F
    df = f"at /var/lib/containerd /\n{100 * GB} {90 * GB} {10 * GB} 0 0 / /"
    found = judged(world(answers=spoken("n1", "disk", df)), "disk", "n1")
    assert found
    assert found[0] is WARN
    assert "DiskPressure" in found[1]
    settled = world(established=True, answers=spoken("n1", "disk", df))
    assert status(settled, "disk", "n1") is P


def test_packages_need_somebody_to_install_them() -> None:
    bare = world(facts={"m1": {"package_manager": "none"}})
    assert status(bare, "os", "m1") is P
    wants = change(Packages(host="m1", purpose="basics", packages=("curl",), manager="none"))
    assert status(replace(bare, plan=wants), "os", "m1") is F


def test_one_machine() -> None:
    assert judged(world(), "one-machine", "m1") == (P, "")
    clone = world(facts={"m2": {"machine_id": "id-m1"}})
    assert judged(clone, "one-machine", "m1") == (WARN, "machine-id id-m1 is also that of m2")
    mac = spoken("m2", "addresses", GOOD["m2"]["addresses"].replace(f"02:00:{IP['m2']}", f"02:00:{IP['m1']}"))
    assert judged(world(answers=mac), "one-machine", "m1") == (WARN, f"MAC 02:00:{IP['m1']} is also that of m2")
    same = judged(world(facts={"m2": {"machine_id": "id-m1"}}, answers=mac), "one-machine", "m1")
    assert same == (F, f"is the same machine as m2: machine-id id-m1, MAC 02:00:{IP['m1']}")
    both = f"{GOOD['m1']['addresses']}\n2: eth0    inet 10.0.9.12/24 scope global eth0"
    assert status(world(answers=spoken("m1", "addresses", both)), "one-machine", "m1") is F
    uuid = {**spoken("m1", "identity", "4c4c"), "m2": {**GOOD["m2"], "identity": "4c4c"}}
    assert judged(world(answers=uuid), "one-machine", "m1") == (WARN, "product_uuid is also that of m2")
    shared = world(facts={"m1": {"container": True}}, answers=uuid)
    assert judged(shared, "one-machine", "m1") == (P, "")
    unknown = world(facts={"m1": {"machine_id": ""}}, answers=spoken("m1", "addresses", ""))
    assert status(unknown, "one-machine", "m1") is U


def test_data_of_others() -> None:
    there = world()
    pems = there.context.secrets
    sums = {"/etc/kubernetes/pki/ca.crt": pems.digest("ca.crt"), "/etc/etcd/pki/ca.crt": pems.digest("etcd-ca.crt")}
    ours = "\n".join(["asked", *(f"{digest}  {path}" for path, digest in sums.items())])
    other = ours.replace(pems.digest("etcd-ca.crt"), "0" * 64)

    def seen(answer: str, host: str = "m1", **changed: Any) -> tuple[Status, str]:
        found = judged(world(facts={host: changed}, answers=spoken(host, "data", answer)), "data", host)
        assert found
        return found

    runs = frozenset({"kubelet.service"})
    assert seen("asked") == (P, "")
    assert seen(ours, etcd_member=True, running=runs) == (P, "")
    assert seen("asked", etcd_member=True)[0] is F
    assert seen(other, etcd_member=True) == (
        F,
        "/var/lib/etcd holds a member of another etcd cluster, or this one's state folder was lost",
    )
    assert seen(other)[0] is WARN
    assert seen(other, running=runs)[0] is F
    assert seen("asked", host="n1", etcd_member=True)[0] is WARN
    assert seen("asked\nleft /etc/kubernetes/admin.conf") == (
        F,
        "a cluster of kubeadm's, by /etc/kubernetes/admin.conf: `kubeadm reset -f`, "
        "then rm -rf /etc/kubernetes /etc/cni/net.d",
    )
    assert seen(f"{ours}\nleft /etc/kubernetes/admin.conf") == (P, ""), "whoever put it beside our own"
    k3s = "asked\nleft /var/lib/rancher/k3s\nId=k3s.service\nUnitFileState=disabled\nActiveState="
    assert seen(f"{k3s}inactive")[0] is WARN
    assert seen(f"{k3s}active") == (
        F,
        "a cluster of k3s's, by /var/lib/rancher/k3s, and k3s.service: "
        "k3s-uninstall.sh, on an agent k3s-agent-uninstall.sh",
    )
    assert seen("")[0] is U


def test_a_database_without_a_log() -> None:
    """That of a start on a blank disk goes by itself; a larger one is for somebody to judge."""
    blank = world(answers=spoken("m1", "data", "asked\nremains 28"))
    assert judged(blank, "data", "m1") == (P, "")
    large = world(answers=spoken("m1", "data", "asked\nremains 4096"))
    assert judged(large, "data", "m1") == (
        F,
        "/var/lib/etcd/member has 4096 kB and no log of etcd's (wal): no member can start with it",
    )
    assert status(world(answers=spoken("n1", "data", "asked\nremains 4096")), "data", "n1") is P


def test_a_disk_that_a_member_had_and_its_successor_has_not() -> None:
    noted = {"m1": {"unmounted": Unmounted("/var/lib/etcd", ETCD_DISK)}}
    there = world(facts=noted)
    assert status(there, "etcd-disk", "m1") is F
    replaced = replace(there.context, replaced=frozenset({"m1"}))
    assert status(replace(there, context=replaced), "etcd-disk", "m1") is P


def test_data_of_a_member_that_was_removed() -> None:
    ca = world().context.secrets.digest("etcd-ca.crt")
    answers = spoken("m1", "data", f"asked\n{ca}  /etc/etcd/pki/ca.crt")
    for listed, wanted in ((("m2", "m3"), F), (("m1", "m2", "m3"), P)):
        known = tuple(member(name) for name in listed)
        there = world(facts={"m1": {"etcd_member": True}, "m2": {"members": known}}, answers=answers)
        assert status(there, "data", "m1") is wanted
    facts = {"m1": {"etcd_member": True}, "m2": {"members": (member("m2"),)}}
    back = world(facts=facts, answers=answers, established=True)
    before = replace(back.context, established=cluster_without(back.cluster, {"m1"}))
    back = replace(back, context=before, machines={name: id for name, id in back.machines.items() if name != "m1"})
    assert before.is_ghost(back.cluster.host("m1"))
    assert status(back, "data", "m1") is P, "the plan lays them aside"


def test_mtu() -> None:
    peers = [f"mtu 10.0.9.{number} passes" for name, number in IP.items() if name != "m1"]
    fine = spoken("m1", "pairs", "\n".join(["asked mtu", *peers]))
    assert judged(world(answers=fine), "mtu", "m1") == (P, "1500")
    small = spoken("m1", "pairs", f"asked mtu\nmtu 10.0.9.{IP['n1']} small")
    assert judged(world(answers=small), "mtu", "m1") == (
        WARN,
        "packets of 1500 bytes do not arrive at n1, small ones do",
    )
    silent = spoken("m1", "pairs", f"asked mtu\nmtu 10.0.9.{IP['n1']} silent")
    assert judged(world(answers=silent), "mtu", "m1") == (U, "no answer to ping from n1")
    assert status(world(answers=spoken("m1", "pairs", "asked tcp")), "mtu", "m1") is U
    other = spoken("m1", "addresses", GOOD["m1"]["addresses"].replace("1500", "1450"))
    assert judged(world(answers=other), "mtu", "m1") == (WARN, "1450, other hosts have 1500")
    wide = world(answers=fine, network=Network(mtu=9000))
    assert judged(wide, "mtu", "m1") == (WARN, "network.mtu is 9000, that of the host 1500")


def test_ports_of_other_hosts() -> None:
    there = world()
    needed = needed_ports(there, there.cluster.host("m1"))
    assert {(host.name, port) for host, port in needed} >= {("m2", 2379), ("m2", 2380), ("m2", 6443), ("n1", 10250)}
    assert not {("n1", 22), ("m1", 2379)} & {(host.name, port) for host, port in needed}

    def seen(how: str, **more: Any) -> tuple[Status, str]:
        lines = [f"tcp {host.ip} {port} {how if host.name == 'n1' else 'refused'}" for host, port in needed]
        found = judged(world(answers=spoken("m1", "pairs", "\n".join(["asked tcp", *lines])), **more), "reach", "m1")
        assert found
        return found

    assert seen("open")[0] is P
    assert seen("refused")[0] is P
    assert seen("silent") == (F, "can't reach n1:10250 (no answer)")
    assert seen("barred") == (F, "can't reach n1:10250 (turned away)")
    walled = {"n1": {"firewall": "firewalld"}}
    assert seen("barred", facts=walled)[0] is P
    assert "apply opens n1:10250" in seen("barred", facts=walled)[1]
    assert seen("barred", facts=walled, os=Os(firewall="keep"))[0] is F
    assert status(world(answers=spoken("m1", "pairs", "asked tcp")), "reach", "m1") is U
    assert status(world(answers=spoken("m1", "pairs", "asked mtu")), "reach", "m1") is U


def test_the_virtual_ip_on_a_host_of_ours() -> None:
    held = spoken("b2", "addresses", f"{GOOD['b2']['addresses']}\n2: eth0    inet 10.0.9.100/24 scope global eth0")
    assert status(world(answers=held), "vip-free", "b1") is WARN
    runs = {"b2": {"running": frozenset({"keepalived.service"})}}
    assert judged(world(answers=held, facts=runs), "vip-free", "b1") == (P, "held by b2")
    assert judged(world(established=True), "vip-free", "b1") is None
    moved = world(established=True, endpoint=Endpoint(vip="10.0.9.101"))  # type: ignore[arg-type]
    assert judged(moved, "vip-free", "b1") is not None
    assert judged(moved, "vip-free", "m1") is None


def test_a_name_as_endpoint_must_be_found() -> None:
    def seen(answer: str) -> Status | None:
        roles = {"m1": ("control-plane", "etcd"), "n1": ("worker",)}
        answers = spoken("m1", "names", f"{NAMES}\n{answer}")
        return status(world(roles=roles, endpoint=Endpoint(address="api.example"), answers=answers), "names", "m1")

    assert seen("name api.example 203.0.113.9") is P
    assert seen("name api.example ") is F


def test_what_is_there_needs_no_room() -> None:
    binary = Binary(host="n1", path="/opt/x", blob=Blob(Path("/x"), "0" * 64, 5))
    there = world()
    n1, m1 = there.cluster.host("n1"), there.cluster.host("m1")
    assert needs(replace(there, plan=change(binary)), n1) == {"/opt": 5}
    assert needs(replace(there, plan=Plan({binary.key: Step(binary, binary.desired)}, {})), n1) == {}
    assert needs(there, m1) == {"/var/lib/etcd": WAL}
    assert needs(world(established=True), m1) == {}
