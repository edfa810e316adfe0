"""A host's firewall is reloaded: the cluster's ports come back, with the real iptables; nobody's SSH is widened."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component import firewall
from quorate.component.context import Context
from quorate.execute import facts
from quorate.plan import guard
from quorate.procedure import rules as asked
from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.resource.unit import Unit
from quorate.spec import layout
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

HOSTS = [
    {"name": "m", "address": "10.0.0.100", "roles": ["control-plane", "etcd", "load-balancer", "worker"]},
    {"name": "b", "address": "10.0.0.101", "roles": ["etcd", "load-balancer"]},
    {"name": "w", "address": "10.0.0.1", "roles": ["worker"]},
]
SITE = """\
iptables -P INPUT DROP
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -s 192.0.2.7 -p tcp --dport 22 -j ACCEPT
iptables -A INPUT -j REJECT
"""
"""A host that lets in one management address, and nothing else."""


def context(kind: str = "iptables", ssh_ports: tuple[int, ...] = (), **more: object) -> Context:
    given = {"name": "c", "hosts": HOSTS, "endpoint": {"vip": "10.0.0.200", "port": 8443}, **more}
    cluster = Cluster.model_validate(given)
    found = HostFacts(firewall=kind, ssh_ports=ssh_ports)  # type: ignore[arg-type]
    return Context(
        cluster, Facts({each.name: found for each in cluster.hosts}), Supply(), Secrets({}, {}), table("1.36")
    )


HARMS = (
    f"iptables -F INPUT; {SITE}",
    f"iptables -F; iptables -X; {SITE}",
    "iptables -D INPUT -j QUORATE-INPUT",
    "iptables -D QUORATE-INPUT 5",
    "iptables -F QUORATE-INPUT",
    "iptables -I QUORATE-INPUT 1 -j DROP",
)


class Walled(Net):
    """A namespace with a site's rules, and script and check in a folder, where also the kind of iptables is chosen."""

    def sh(self, script: str, check: bool = True) -> str:
        return super().sh(f"PATH={self.folder}:$PATH; {script}", check)

    def prepare(self, kind: str) -> None:
        for name in ("iptables", "iptables-restore"):
            real = shutil.which(name.replace("iptables", f"iptables-{kind}"), path="/usr/sbin:/sbin")
            if not real:
                pytest.skip(f"no iptables-{kind} here")
            (self.folder / name).symlink_to(real)
        given = context()
        for resource in firewall.firewall(given, given.cluster.host("m")):
            if isinstance(resource, File) and resource.path.startswith(layout.FIREWALL):
                text = resource.content.replace("\nPATH=", f"\nPATH={self.folder}:")
                (self.folder / resource.path.rpartition("/")[2]).write_text(text)
        self.sh(SITE)

    def do(self, how: str) -> str:
        return self.sh(f"/bin/sh {self.folder}/firewall {how}")

    def missing(self) -> list[str]:
        return self.sh(f"/bin/sh {self.folder}/firewall.check").splitlines()

    def rules(self, chain: str) -> list[str]:
        return [rule for rule in self.sh(f"iptables -w -S {chain}").splitlines() if rule.startswith("-A")]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Walled]:
    with own_net.own_net(Walled, tmp_path) as made:
        made.prepare("nft")
        yield made


@needs_root
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_rules_that_a_reload_takes_come_back(kind: str, tmp_path: Path) -> None:
    with own_net.own_net(Walled, tmp_path) as net:
        net.prepare(kind)
        assert net.missing()
        net.do("fill")
        assert net.missing() == []
        assert net.do("keep") == "", "whole rules are left in peace"
        before = net.rules("QUORATE-INPUT")
        for harm in (*HARMS, *([f"nft flush ruleset; {SITE}"] if kind == "nft" else [])):
            net.sh(harm)
            assert net.missing(), harm
            assert "put back" in net.do("keep")
            assert net.missing() == [], harm
            assert net.rules("QUORATE-INPUT") == before
            assert net.rules("INPUT").count("-A INPUT -j QUORATE-INPUT") == 1
        net.do("close")
        assert "QUORATE" not in net.sh("iptables -w -S")


@needs_root
def test_who_is_banned_stays_banned_and_ssh_is_left_to_the_host(net: Walled) -> None:
    net.sh("iptables -N f2b-sshd; iptables -I INPUT 1 -p tcp -j f2b-sshd")
    net.do("fill")
    jumps = [rule.split(" -j ")[1] for rule in net.rules("INPUT")]
    assert jumps[:2] == ["f2b-sshd", "QUORATE-INPUT"]
    first, *rest = net.rules("QUORATE-INPUT")
    assert "--dport 22 " in first
    assert first.endswith("-j RETURN")
    assert not [rule for rule in rest if "--dport 22 " in rule]
    own = [rule for rule in rest if "ESTABLISHED" in rule]
    assert all("--ctdir REPLY" in rule for rule in own), "who is in and was shut out since is not let in by us"


SERVE = """\
import socket, time
held = [socket.create_server(('10.0.0.100', port)) for port in (22, 2379, 8443)]
time.sleep(60)
"""
ASK = "import socket, sys; socket.create_connection(('10.0.0.100', int(sys.argv[2])), 1, (sys.argv[1], 0))"


@needs_root
def test_packets_pass_as_the_table_says(net: Walled) -> None:
    """A worker, whom everything is open to, has no way to SSH; a stranger has one to the endpoint alone."""
    net.do("fill")
    far = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        mine = Path("/proc/self/ns/net").readlink()
        assert net.within(5, lambda: Path(f"/proc/{far.pid}/ns/net").readlink() != mine)
        inside = f"nsenter --net=/proc/{far.pid}/ns/net"
        net.sh("ip link set lo up; ip link add e0 type veth peer name e1; ip addr add 10.0.0.100/24 dev e0")
        net.sh(f"ip link set e0 up; ip link set e1 netns {far.pid}; ip route add 192.0.2.0/24 dev e0")
        for source in ("10.0.0.1", "10.0.0.9", "192.0.2.7"):
            net.sh(f"{inside} ip addr add {source}/24 dev e1")
        net.sh(f"{inside} ip link set e1 up")
        net.begin(sys.executable, "-c", SERVE)

        def reaches(source: str, port: int) -> bool:
            return net.sh(f"{inside} {sys.executable} -c {quote(ASK)} {source} {port}", check=False) == "0"

        assert net.within(10, lambda: reaches("10.0.0.9", 8443))
        assert reaches("10.0.0.1", 2379)
        assert not reaches("10.0.0.9", 2379)
        assert reaches("192.0.2.7", 22)
        assert not reaches("10.0.0.1", 22)
        assert not reaches("10.0.0.9", 22)
    finally:
        far.kill()
        far.wait()


@pytest.mark.parametrize("kind", ["iptables", "ufw", "firewalld"])
def test_a_service_keeps_them_and_plan_sees_what_is_missing(kind: str) -> None:
    given = context(kind)
    found = list(firewall.firewall(given, given.cluster.host("m")))
    [setting] = [resource for resource in found if isinstance(resource, Setting)]
    [unit] = [resource for resource in found if isinstance(resource, Unit)]
    files = {resource.path: resource.content for resource in found if isinstance(resource, File)}
    assert setting.desired == {"rules": "whole"}
    assert f"{layout.FIREWALL}.check" in setting.check
    assert unit.reload, "other rules are no reason for a gap"
    text = files[f"{layout.UNITS}/{unit.unit}"]
    assert f"{layout.FIREWALL} keep" in text
    assert "ExecStopPost" not in text, "a restart takes nothing away"
    assert 'port="22"' not in files[f"{layout.FIREWALL}.check"]
    assert asked.parse("a\n\n b\na\n") == ("a", "b")


def test_ports_of_ssh_are_in_no_range_of_firewalld() -> None:
    given = context("firewalld", (30022, 2222))
    [check] = [
        resource.content
        for resource in firewall.firewall(given, given.cluster.host("m"))
        if isinstance(resource, File) and resource.path.endswith(layout.CHECKS)
    ]
    spans = [word for line in check.splitlines() if '"tcp"' in line for word in line.split('"') if word[0].isdigit()]
    for span in (each for each in spans if "." not in each):
        first, _, last = span.partition("-")
        assert not {port for port in (30022, 2222) if int(first) <= port <= int(last or first)}, span
    assert 'port="30000-30021"' in check
    assert 'port="30023-32767" protocol="tcp"' in check
    assert 'port="30000-32767" protocol="udp"' in check


def test_plan_says_which_ports_go_to_whom_before_they_are_opened() -> None:
    said = "\n".join(guard.notes(context()))
    assert "m: iptables will let in 2379/tcp from 10.0.0.101 (etcd clients)" in said
    assert "8443/tcp from everybody (API endpoint)" in said
    assert "SSH stays as it is" in said
    assert "will let in" not in "\n".join(guard.notes(context("none")))
    given = context()
    runs = HostFacts(firewall="iptables", running=frozenset({layout.FIREWALL_UNIT}))
    known = Facts({each.name: runs for each in given.cluster.hosts})
    assert "will let in" not in "\n".join(guard.notes(replace(given, facts=known)))


def test_a_firewall_that_is_just_reloaded_is_still_one(tmp_path: Path) -> None:
    script = facts.script(context().cluster, context().cluster.host("m"))
    assert f"elif [ -e {layout.FIREWALL} ]; then" in script
    said = "ssh_port=2222\nssh_port=22\nssh_port=22\n"
    assert facts.parse(said).ssh_ports == (22, 2222)


def test_sshd_is_found_where_systemd_listens_for_it(tmp_path: Path) -> None:
    programs = {
        "systemctl": """case "$*" in
  *"-p Listen"*" ssh.socket") echo "Listen=0.0.0.0:30022 (Stream)"; echo "Listen=[::]:22 (Stream)";;
  *"-p Listen"*) echo "Listen=[::]:2200 (Stream)";;
  *) echo Id=ssh.socket; echo ActiveState=active; echo; echo Id=dropbear.socket; echo ActiveState=inactive;;
esac""",
        "ss": """echo 'LISTEN 0 9 *:22 *:* users:(("systemd",pid=1,fd=9))'
echo 'LISTEN 0 9 0.0.0.0:2222 0.0.0.0:* users:(("dropbear",pid=7,fd=3))'""",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = facts.script(context().cluster, context().cluster.host("m"))
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=env).stdout
    assert facts.parse(said).ssh_ports == (22, 2222, 30022)
