"""Answers of hosts become facts: one case file for each kind of host, and this machine's own sh."""

import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from quorate.execute import facts
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Host, Os, Role
from quorate.spec.facts import HostFacts, Resolver

CASES = Path(__file__).parents[2] / "cases/facts"

EXPECTED = {
    "debian-12": HostFacts(
        os_id="debian",
        os_version="12",
        kernel="6.1.0-30-amd64",
        interface="ens33",
        memory_bytes=4018352 * 1024,
        cpus=2,
        time_sync="systemd-timesyncd",
        sysctls=frozenset({"fs.inotify.max_user_instances", "net.ipv4.ip_forward"}),
        modules=frozenset({"overlay", "br_netfilter", "nf_conntrack", "ip_vs", "nf_tables"}),
        resolvers=(Resolver("/etc/resolv.conf", ("10.0.0.53", "fd00::53")),),
        etcd_member=True,
        restored="0123456789abcdef",
        running=frozenset({"etcd.service", "kubelet.service"}),
    ),
    "rhel-9": HostFacts(
        os_id="rhel",
        os_like=("fedora",),
        os_version="9.4",
        package_manager="dnf",
        arch="arm64",
        kernel="5.14.0-427.el9.aarch64",
        interface="enp1s0",
        prefix=22,
        memory_bytes=16000000 * 1024,
        cpus=8,
        nofile_limit=524288,
        ipvs=False,
        nftables=False,
        firewall="firewalld",
        selinux="enforcing",
        time_sync="chronyd",
        sysctls=frozenset({"net.ipv4.ip_forward"}),
        modules=frozenset({"overlay"}),
    ),
    "ubuntu-24.04": HostFacts(
        os_id="ubuntu",
        os_like=("debian",),
        os_version="24.04",
        kernel="6.8.0-45-generic",
        prefix=16,
        memory_bytes=1000 * 1024,
        cpus=4,
        container=True,
        conntrack_writable=False,
        oom_adjustable=False,
        ipvs=False,
        nftables=False,
        firewall="ufw",
        resolvers=(
            Resolver("/etc/resolv.conf", ("127.0.0.53",)),
            Resolver("/run/systemd/resolve/resolv.conf"),
        ),
    ),
    "silent": HostFacts(os_id="", arch="", package_manager="none", interface="", ipvs=False, nftables=False),
}


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.txt")))
def test_answers_become_facts(case: str) -> None:
    assert facts.parse((CASES / f"{case}.txt").read_text()) == EXPECTED[case]


def test_the_questions_are_answered_by_any_sh_even_without_anything() -> None:
    """An unprivileged shell with an empty PATH and hostile keys must still come to the end."""
    host = Host(name="h", address=IPv4Address("10.0.0.1"), roles=(Role.WORKER,))
    cluster = Cluster(name="c", hosts=(host,), os=Os(sysctl={"net.core.somaxconn": "$(id)"}))
    script = facts.script(cluster, host)
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": "/nonexistent"}, user=65534, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = facts.parse(done.stdout)
    assert found.package_manager == "none"
    assert found.memory_bytes > 0


def test_a_service_that_reloads_runs() -> None:
    """nginx reloads by itself when an API server comes or goes: no drift, and no start."""
    unit = Unit(host="b1", unit="nginx.service", loads=("/etc/quorate/nginx.conf",), reload=True)
    state = unit.parse("active=reloading\nenabled=enabled\nreload=no\nloaded=current")
    assert state == unit.desired


def test_a_member_leads_by_its_own_word_alone() -> None:
    lines = '{"header":{"cluster_id":"1","member_id":"7"},"version":"3.6.16","leader":"%s"}'
    assert facts.parse(f"member={lines % 7}\n").etcd_leads
    assert not facts.parse(f"member={lines % 8}\n").etcd_leads
    for broken in ("", "{}", "null", "7", '{"leader":"7","header":[]}'):
        assert not facts.parse(f"member={broken}\n").etcd_leads
