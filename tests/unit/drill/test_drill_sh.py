"""The scripts of `drill` under a real sh; the programs that would break this machine are made up."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from made_up_programs import NFT, TC, Box, iptables, nft

from quorate.drill import hostwatch, injections
from quorate.drill.board import ETCD, LEFT_OUT, VIP, Board, Topic
from quorate.execute.outage import NOW, Injection, break_script, heal_script
from quorate.render.drill.packets import CANNOT
from quorate.spec.cluster import Cluster, Endpoint, Host, Role

A = Host(name="a", address=IPv4Address("10.9.0.1"), roles=(Role.ETCD, Role.LOAD_BALANCER))
B = Host(name="b", address=IPv4Address("10.9.0.2"), roles=(Role.CONTROL_PLANE,))
GUARD = "quorate-drill-x"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def own_devices() -> list[str]:
    """This machine's devices with an IPv4 address, but for loopback."""
    found = json.loads(subprocess.run(["ip", "-4", "-j", "addr"], capture_output=True, check=True).stdout)
    return sorted({each["ifname"] for each in found if each and each["ifname"] != "lo"})


DROPS: dict[str, Callable[[], Injection]] = {
    "cut": lambda: injections.cut(A),
    "apart": lambda: injections.apart(A, [A, B]),
    "deaf": lambda: injections.deaf(A, [A, B]),
    "lossy": lambda: injections.lossy(A, 30),
}


@pytest.mark.parametrize("tool", [nft, iptables])
@pytest.mark.parametrize("make", DROPS.values(), ids=DROPS)
def test_packets_are_dropped_and_let_through_again(
    box: Box, tool: Callable[[Box], None], make: Callable[[], Injection]
) -> None:
    tool(box)
    what = make()
    for _ in range(2):
        found = box.sh(break_script(what, GUARD, 35))
        assert (found.returncode, found.stdout) == (0, f"{NOW}\n"), found.stderr
    assert len(box.kept()) > 1
    assert "timer" in box.kept()
    for _ in range(2):
        assert box.sh(heal_script(what, GUARD)).returncode == 0
        assert box.kept() == set()


@pytest.mark.parametrize("tool", [nft, iptables])
def test_the_timer_heals_by_itself(box: Box, tool: Callable[[Box], None]) -> None:
    tool(box)
    assert box.sh(break_script(injections.cut(A), GUARD, 35)).returncode == 0
    timer = (box.state / "timer").read_text()
    (box.state / "timer").unlink()
    assert "$" not in timer
    assert box.kept() != set()
    assert box.sh(timer).returncode == 0
    assert box.kept() == set()
    assert "--on-active=35 --timer-property=AccuracySec=1s --unit=quorate-drill-x /bin/sh -c" in box.logged()


def test_rules_that_stay_are_told(box: Box) -> None:
    box.put("nft", NFT.replace("rm ", ": "))
    assert box.sh(break_script(injections.cut(A), GUARD, 35)).returncode == 0
    assert box.sh(heal_script(injections.cut(A), GUARD)).returncode == 1
    # Then the timer stays, too.
    assert "timer" in box.kept()


def test_only_the_operators_ssh_and_the_host_itself_get_through(box: Box) -> None:
    nft(box)
    box.sh(break_script(injections.cut(A), GUARD, 35))
    rules = (box.state / "inet").read_text()
    assert "type filter hook prerouting priority -300" in rules
    assert "type filter hook output priority -300" in rules
    accepts = [line.strip() for line in rules.splitlines() if "accept" in line and "policy" not in line]
    assert accepts == [
        "iif lo accept",
        "ip saddr 10.9.0.9 tcp dport 22 accept",
        "oif lo accept",
        "ip daddr 10.9.0.9 tcp sport 22 accept",
    ]
    assert rules.count("\n    drop\n") == 2
    assert "arp daddr ip != 10.9.0.1 drop" in (box.state / "arp").read_text()
    # keepalived's gratuitous ARP goes past the above.
    egress = (box.state / "netdev").read_text()
    assert "arp saddr ip != 10.9.0.1 drop" in egress
    (devices,) = re.findall(r"hook egress devices = \{ (.*) \} priority", egress)
    assert devices.split(", ") == own_devices()


def test_iptables_do_the_same(box: Box) -> None:
    iptables(box)
    box.sh(break_script(injections.lossy(A, 30), GUARD, 35))
    lines = (box.state / "iptables-QUORATE-DRILL-IN").read_text().splitlines()
    assert lines == [
        "-A QUORATE-DRILL-IN -i lo -j ACCEPT",
        "-A QUORATE-DRILL-IN -s 10.9.0.9 -p tcp --dport 22 -j ACCEPT",
        "-A QUORATE-DRILL-IN -m statistic --mode random --probability 0.30 -j DROP",
    ]
    box.env["SSH_CONNECTION"] = "fd00::9 40000 fd00::1 2222"
    box.sh(break_script(injections.cut(A), GUARD, 35))
    assert "-s fd00::9 -p tcp --dport 2222" in (box.state / "ip6tables-QUORATE-DRILL-IN").read_text()
    assert "ACCEPT" not in (box.state / "iptables-QUORATE-DRILL-IN").read_text().replace("-i lo -j ACCEPT", "")


def test_a_link_that_is_cut_and_a_deaf_host(box: Box) -> None:
    nft(box)
    box.sh(break_script(injections.apart(A, [A, B]), GUARD, 35))
    rules = (box.state / "inet").read_text()
    assert "ip saddr { 10.9.0.2 } drop" in rules
    assert "ip daddr { 10.9.0.2 } drop" in rules
    assert not (box.state / "arp").exists()
    box.sh(break_script(injections.deaf(A, [A, B]), GUARD, 35))
    rules = (box.state / "inet").read_text()
    assert "ip saddr { 10.9.0.2 } drop" in rules
    assert "ip daddr { 10.9.0.2 } drop" not in rules
    box.sh(break_script(injections.lossy(A, 30), GUARD, 35))
    assert (box.state / "inet").read_text().count("numgen random mod 100 < 30 drop") == 2


@pytest.mark.parametrize("connection", ["", "10.9.0.9 40000", "$(reboot) 1 10.9.0.1 22"])
def test_nothing_is_dropped_where_our_own_way_is_not_known(box: Box, connection: str) -> None:
    nft(box)
    # An empty one is looked for in what the parents were given: here in nothing.
    box.env["SSH_CONNECTION"] = connection
    script = break_script(injections.cut(A), GUARD, 35)
    if not connection:
        script = script.replace('"/proc/$q_p/environ"', "/dev/null")
    found = box.sh(script)
    assert found.returncode == CANNOT
    assert NOW not in found.stdout
    assert found.stderr
    assert box.kept() == {"timer"}


def test_our_way_is_found_behind_sudo(box: Box) -> None:
    """The parent has the variable, this shell has not."""
    nft(box)
    inner = f"unset SSH_CONNECTION; exec env -u SSH_CONNECTION /bin/sh {box.state.parent}/script"
    (box.state.parent / "script").write_text(break_script(injections.cut(A), GUARD, 35))
    found = box.sh(f"/bin/sh -c '{inner}'; exit $?")
    assert found.returncode == 0, found.stderr
    assert "ip saddr 10.9.0.9 tcp dport 22 accept" in (box.state / "inet").read_text()


def test_without_a_packet_filter_it_is_said(box: Box) -> None:
    box.env["PATH"] = str(box.bin)
    for name in ("sed", "tr", "cat"):
        (box.bin / name).symlink_to(f"/usr/bin/{name}")
    found = box.sh(break_script(injections.cut(A), GUARD, 35))
    assert (found.returncode, found.stderr) == (CANNOT, "neither nft nor iptables is there\n")


def test_packets_are_late_and_in_time_again(box: Box) -> None:
    box.put("tc", TC)
    box.put(
        "ip", "echo '2: eth7    inet 10.9.0.1/24 brd 10.9.0.255 scope global eth7'; echo '1: lo    inet 127.0.0.1/8'"
    )
    found = box.sh(break_script(injections.slow(A, 100), GUARD, 35))
    assert (found.returncode, found.stdout) == (0, f"{NOW}\n"), found.stderr
    assert "tc qdisc add dev eth7 root handle 7d1: netem delay 100ms" in box.logged()
    for _ in range(2):
        assert box.sh(heal_script(injections.slow(A, 100), GUARD)).returncode == 0
        assert box.kept() == set()
    assert box.logged().count("tc qdisc del dev eth7 root") == 1


def test_a_kernel_without_netem_says_so_itself(box: Box) -> None:
    box.put("tc", "echo 'Error: Specified qdisc kind is unknown.' >&2; exit 2")
    box.put("ip", "echo '2: eth7    inet 10.9.0.1/24 brd 10.9.0.255 scope global eth7'")
    found = box.sh(break_script(injections.slow(A, 100), GUARD, 35))
    assert found.returncode == CANNOT
    assert found.stderr.strip() == "no delay can be made: Error: Specified qdisc kind is unknown."
    assert box.sh(heal_script(injections.slow(A, 100), GUARD)).returncode == 0


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_the_main_process_is_killed(box: Box, victim: subprocess.Popen[bytes]) -> None:
    (box.state / "main").write_text(str(victim.pid))
    found = box.sh(break_script(injections.killed(A, "nginx.service"), GUARD, 35))
    assert (found.returncode, found.stdout) == (0, f"{NOW}\n"), found.stderr
    assert victim.wait(5) == -signal.SIGKILL
    assert box.sh(heal_script(injections.killed(A, "nginx.service"), GUARD)).returncode == 0
    assert "systemctl start --no-block nginx.service" in box.logged()


def test_what_does_not_run_is_not_killed(box: Box) -> None:
    (box.state / "main").write_text("0")
    found = box.sh(break_script(injections.killed(A, "nginx.service"), GUARD, 35))
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "nginx.service does not run\n")


@pytest.mark.parametrize(
    ("make", "order"),
    [
        (injections.killed_whole, "systemctl kill -s KILL nginx.service"),
        (injections.hung, "systemctl kill -s STOP nginx.service"),
        (injections.terminated, "systemctl restart --no-block nginx.service"),
        (injections.stopped, "systemctl stop --no-block nginx.service"),
    ],
)
def test_services_are_broken_and_go_on(box: Box, make: Callable[[Host, str], Injection], order: str) -> None:
    what = make(A, "nginx.service")
    assert box.sh(break_script(what, GUARD, 35)).returncode == 0
    assert order in box.logged()
    for _ in range(2):
        box.log.unlink()
        assert box.sh(heal_script(what, GUARD)).returncode == 0
        healing = box.logged()
        assert "systemctl kill -s CONT nginx.service" in healing
        assert healing.index("reset-failed nginx.service") < healing.index("start --no-block nginx.service")


def test_the_watch_tells_what_changes_and_ends_when_nobody_listens(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    used = box.state / "list"
    used.write_text("server 10.9.0.2:6443 max_fails=0;\nserver 10.9.0.3:6443 down;\n")
    monkeypatch.setattr(hostwatch, "UPSTREAMS_LIST", str(used))
    cluster = Cluster(name="c", hosts=(A, B), endpoint=Endpoint(vip=IPv4Address("10.9.0.100")))
    held = "2: eth0    inet 10.9.0.100/24 scope global secondary eth0"
    box.put(
        "ip",
        f"case $* in *monitor*) echo $$ >$STATE/monitor; sleep 0.6; echo '{held}'; sleep 0.3; "
        f"echo 'Deleted {held}'; exec sleep 60;; "
        "*) echo '2: eth0    inet 10.9.0.1/24';; esac",
    )
    answer = '{"header":{"member_id":"11","raft_term":"2"},"version":"3.4.23","leader":"22"}'
    box.put("curl", f"case $* in *-V*) exit 2;; esac\nprintf '%s-\\n' '{answer}'")
    seen = Board()
    process = subprocess.Popen(
        ["/bin/sh", "-c", hostwatch.script(cluster, A)], env=box.env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        hostwatch.take(seen, "a", line.rstrip("\n"), time.monotonic())
        if line.startswith("left out"):
            used.write_text("server 10.9.0.3:6443 max_fails=0;\n")
        if "no" in line and len(list(seen.stretches(Topic(VIP, "a"), 0, time.monotonic()))) == 3:
            break
    assert [each.value for each in seen.stretches(Topic(VIP, "a"), 0, time.monotonic())] == ["no", "yes", "no"]
    lists = [each.value for each in seen.stretches(Topic(LEFT_OUT, "a"), 0, time.monotonic())]
    assert lists == ["10.9.0.3:6443", ""]
    assert seen.members == {"11": "a"}
    assert seen.now(Topic(ETCD, "a")) == "22"
    process.stdout.close()
    assert process.wait(5) != 0
    monitor = (box.state / "monitor").read_text().strip()
    for _ in range(50):
        if not Path("/proc", monitor).exists():
            break
        time.sleep(0.1)
    assert not Path("/proc", monitor).exists()
