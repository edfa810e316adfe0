"""Two real simulated hosts: booted, broken in every way, healed, and gone without a trace."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from booting import booted, clear_leftovers
from waiting import within

from quorate.artifact.root import default_cache
from quorate.lab import cgroup, fault, kernel, listing, network
from quorate.lab.record import LabError, LabInfo, lab_id, labs_folder
from quorate.lab.up import start, up
from quorate.spec.cluster import Cluster, Endpoint, Host, Role

pytestmark = pytest.mark.lab
SUBNET = "192.168.78"
NAME = "hosts-test"


def cluster(name: str = NAME) -> Cluster:
    hosts = tuple(
        Host(name=name, address=f"{SUBNET}.{number}", roles=(Role.WORKER,))  # type: ignore[arg-type]
        for number, name in enumerate(("alpha", "beta"), start=11)
    )
    return Cluster(name=name, hosts=hosts, endpoint=Endpoint(vip=f"{SUBNET}.100"))  # type: ignore[arg-type]


def traces() -> dict[str, str]:
    """What our lab could leave on this machine."""
    name = lab_id(labs_folder() / NAME)
    commands = {
        "links": f"ip -o link | grep -F ql{name}",
        "routes": f"ip route | grep -F {SUBNET}.",
        "rules": f"iptables-save | grep -F quorate-lab-{name}",
        "mounts": f"grep -F labs/{NAME} /proc/mounts",
        "groups": f"find /sys/fs/cgroup -type d -name {name}",
        "processes": f"ps -eo args | grep -F labs/{NAME} | grep -v grep",
        "state": f"ls -d {labs_folder()}/{NAME}",
    }
    found = {}
    for what, command in commands.items():
        found[what] = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabInfo]:
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    clear_leftovers()
    assert not any(traces().values())
    alone = not kernel.bridges()
    settings = kernel.read()
    with booted(cluster(), file) as made:
        yield made
    assert not any(traces().values())
    if alone and not kernel.bridges():
        assert kernel.read() == settings
    assert not (file.parent / ".quorate").exists()


def ask(lab: LabInfo, host: str, command: str, user: str = "root", timeout: float = 20) -> str:
    argv = listing.ssh_argv(lab, host, [command], user)
    argv[1:1] = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.strip()


def answers(lab: LabInfo, host: str) -> bool:
    return greets(lab.machine(host).address)


def greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def state(host: str) -> tuple[str, bool]:
    for lab, hosts in listing.listing():
        if lab.name == NAME:
            return next((one.state, one.cut) for one in hosts if one.name == host)
    raise AssertionError(host)


def test_hosts_are_bare_and_whole(lab: LabInfo) -> None:
    for user in ("root", "debian"):
        assert ask(lab, "alpha", "sudo id -u", user) == "0"
    assert within(10, lambda: ask(lab, "alpha", "systemctl is-system-running || :") == "running")
    assert ask(lab, "alpha", "cat /proc/1/comm") == "systemd"
    assert ask(lab, "alpha", "cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert ask(lab, "alpha", "command -v kubelet docker containerd nginx keepalived python3 || echo none") == "none"
    assert ask(lab, "alpha", "ip -o -4 addr show dev eth0 | grep -c ' 192.168.78.11/24 '") == "1"
    assert "unreachable 169.254.0.0/16" in ask(lab, "alpha", "ip route")


def test_each_host_has_its_own_control_groups(lab: LabInfo) -> None:
    folder = "$(ls -d /sys/fs/cgroup/cpu 2> /dev/null || echo /sys/fs/cgroup)/probe-alpha"
    ask(lab, "alpha", f"mkdir {folder}")
    assert ask(lab, "beta", f"test -e {folder} && echo shared || echo own") == "own"
    ask(lab, "alpha", f"rmdir {folder}")
    assert ask(lab, "alpha", "systemd-run --quiet --wait true && echo ran") == "ran"


def test_hosts_differ_and_reach_each_other(lab: LabInfo) -> None:
    for question in (
        "cat /etc/machine-id",
        "cat /etc/ssh/ssh_host_ed25519_key.pub",
        "cat /sys/class/net/eth0/address",
    ):
        assert ask(lab, "alpha", question) != ask(lab, "beta", question)
    ask(lab, "alpha", "ping -c 1 -W 2 192.168.78.12")


def test_plain_folders_carry_an_overlay(lab: LabInfo) -> None:
    ask(lab, "alpha", "cd /var/lib/containerd && mkdir l u w m")
    mount = "mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m"
    ask(lab, "alpha", f"cd /var/lib/containerd && {mount} && touch m/x && umount m && rm -r l u w m")


def test_a_vip_is_reached_from_here(lab: LabInfo) -> None:
    ask(lab, "beta", "ip addr add 192.168.78.100/24 dev eth0")
    assert within(5, lambda: greets("192.168.78.100"))
    fault.kill(NAME, "beta")
    assert not greets("192.168.78.100")
    start(NAME, "beta")
    assert "192.168.78.100" not in ask(lab, "beta", "ip addr")


def test_cut_and_heal(lab: LabInfo) -> None:
    fault.cut(NAME, "beta")
    assert state("beta") == ("running", True)
    assert not answers(lab, "beta")
    fault.heal(NAME, "beta")
    assert within(5, lambda: answers(lab, "beta"))


def test_a_cable_stays_cut_over_a_power_cut(lab: LabInfo) -> None:
    fault.cut(NAME, "beta")
    fault.kill(NAME, "beta")
    start(NAME, "beta")
    time.sleep(2)
    assert not answers(lab, "beta")
    fault.heal(NAME, "beta")
    assert within(20, lambda: answers(lab, "beta"))


def test_kill_and_start_keep_the_disk(lab: LabInfo) -> None:
    ask(lab, "beta", "echo kept > /var/kept; echo kept > /var/lib/etcd/kept")
    boot = ask(lab, "beta", "cat /proc/sys/kernel/random/boot_id")
    fault.kill(NAME, "beta")
    assert state("beta") == ("off", False)
    assert not answers(lab, "beta")
    start(NAME, "beta")
    assert ask(lab, "beta", "cat /var/kept /var/lib/etcd/kept").split() == ["kept", "kept"]
    assert ask(lab, "beta", "cat /proc/sys/kernel/random/boot_id") != boot


def test_freeze_and_thaw(lab: LabInfo) -> None:
    fault.freeze(NAME, "beta")
    assert state("beta") == ("frozen", False)
    assert not answers(lab, "beta")
    fault.thaw(NAME, "beta")
    assert within(5, lambda: answers(lab, "beta"))
    fault.freeze(NAME, "beta")
    fault.kill(NAME, "beta")
    assert state("beta") == ("off", False)
    with pytest.raises(LabError):
        fault.freeze(NAME, "beta")
    start(NAME, "beta")


def test_reboot_from_inside(lab: LabInfo) -> None:
    boot = ask(lab, "beta", "cat /proc/sys/kernel/random/boot_id")
    subprocess.run(listing.ssh_argv(lab, "beta", ["reboot"]), check=False, capture_output=True)
    assert within(30, lambda: not answers(lab, "beta"))
    assert within(30, lambda: answers(lab, "beta"))
    assert ask(lab, "beta", "cat /proc/sys/kernel/random/boot_id") != boot


def test_power_off_from_inside_and_up_again(lab: LabInfo) -> None:
    subprocess.run(listing.ssh_argv(lab, "beta", ["poweroff"]), check=False, capture_output=True)
    assert within(30, lambda: state("beta") == ("off", False))
    assert up(cluster(), lab.cluster_file) == lab
    assert answers(lab, "beta")


def test_a_second_lab_on_the_same_subnet_is_refused(lab: LabInfo, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"lab {NAME}"):
        up(cluster("hosts-test-two"), tmp_path / "cluster.yaml")
    assert not (labs_folder(default_cache()) / "hosts-test-two").exists()
    with pytest.raises(LabError, match="belongs to"):
        up(cluster(), tmp_path / "cluster.yaml")


def test_up_repairs_what_a_crash_left(lab: LabInfo) -> None:
    cgroup.kill(lab.id, "beta.loop")
    cgroup.kill(lab.id, "beta")
    network.drop_bridge(lab)
    assert not answers(lab, "alpha")
    up(cluster(), lab.cluster_file)
    assert answers(lab, "alpha")
    assert answers(lab, "beta")


IDENTITY = ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/sys/class/net/eth0/address")


def test_a_replaced_host_is_a_new_machine_that_nobody_trusts(lab: LabInfo) -> None:
    ask(lab, "beta", "echo old > /var/old; echo old > /var/lib/etcd/old")
    fault.cut(NAME, "alpha")  # who replaces one touches no other
    machine, key, mac = (ask(lab, "beta", f"cat {path}") for path in IDENTITY)
    pins = lab.known_hosts.read_text()
    fault.freeze(NAME, "beta")
    fault.replace(NAME, "beta")
    for again in (False, True):
        assert answers(lab, "beta")
        assert state("alpha") == ("running", True)
        assert lab.known_hosts.read_text() == pins
        refused = subprocess.run(listing.ssh_argv(lab, "beta", ["true"]), capture_output=True, text=True, check=False)
        assert refused.returncode == 255
        assert "HOST IDENTIFICATION HAS CHANGED" in refused.stderr
        if not again:
            up(cluster(), lab.cluster_file)
    fault.heal(NAME, "alpha")
    path = lab.machine("beta").folder / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    address = lab.machine("beta").address
    trusted = [line for line in pins.splitlines() if not line.startswith(f"{address} ")]
    lab.known_hosts.write_text("".join(f"{line}\n" for line in [*trusted, f"{address} {path.read_text().strip()}"]))
    found = [ask(lab, "beta", f"cat {path}") for path in IDENTITY]
    assert found[0] != machine
    assert found[1].split()[1] != key.split()[1]
    assert found[2] == mac
    assert ask(lab, "beta", "ls /var/old /var/lib/etcd/old 2>&1 | grep -c 'No such file'") == "2"


def test_a_host_in_the_middle_of_the_file_comes_and_goes_alone(lab: LabInfo) -> None:
    boots = {name: ask(lab, name, "cat /proc/sys/kernel/random/boot_id") for name in ("alpha", "beta")}
    alpha, beta = cluster().hosts
    more = Host(name="aside", address=f"{SUBNET}.13", roles=(Role.WORKER,))  # type: ignore[arg-type]
    made = up(cluster().model_copy(update={"hosts": (alpha, more, beta)}), lab.cluster_file)
    assert ask(made, "aside", "hostname")
    assert up(cluster(), lab.cluster_file) == lab
    assert {name: ask(lab, name, "cat /proc/sys/kernel/random/boot_id") for name in boots} == boots
    assert f"{SUBNET}.13 " not in lab.known_hosts.read_text()


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from booting import booted
from quorate.spec.cluster import Cluster
with booted(Cluster.model_validate_json({cluster!r}), Path({file!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_of_tests_stands_in_nobodys_way(tmp_path: Path) -> None:
    host = Host(name="alone", address="192.168.77.11", roles=(Role.WORKER,))  # type: ignore[arg-type]
    first = Cluster(name="hosts-test-killed", hosts=(host,))
    here, file = str(Path(__file__).parent), str(tmp_path / "first.yaml")
    script = KILLED.format(here=here, cluster=first.model_dump_json(), file=file)
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (labs_folder() / first.name).exists()
    with booted(first.model_copy(update={"name": "hosts-test-next"}), tmp_path / "next.yaml") as lab:
        assert answers(lab, "alone")
        assert not (labs_folder() / first.name).exists()
