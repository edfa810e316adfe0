"""nginx and its list of API servers on a host: no client sees that one starts, stops or hangs, and one that is
well keeps its sessions. The API servers are stand-ins on this machine. The order of the tests is the story.
"""

import signal
import time

import pytest
from balanced import A, B, Balanced, C, Load, session

from quorate.component import balancer
from quorate.execute import batch

pytestmark = pytest.mark.lab

SLACK = 2.0
"""Seconds that a busy machine may add to what takes its time."""


def test_a_host_gets_it_and_both_servers_are_asked_in_turn(balanced: Balanced) -> None:
    balanced.serve(A, "ready")
    balanced.serve(B, "ready")
    balanced.apply(A, B)
    assert balanced.soon(A, B)
    with Load() as load:
        time.sleep(1)
    assert load.failed == []
    assert abs(len(balanced.requests(A)) - len(balanced.requests(B))) < 4


def test_a_restart_refuses_nobody_and_nobody_is_sent_to_a_starting_one(balanced: Balanced) -> None:
    kept = session(B)
    before = len(balanced.requests(A))
    with Load(kept) as load:
        balanced.how(A, "stopping")
        time.sleep(3)
        balanced.kill(A)
        time.sleep(0.5)
        balanced.serve(A, "starting")
        time.sleep(2)
        balanced.how(A, "ready")
        assert balanced.soon(A, B)
        time.sleep(1)
    print(f"{load.made} connections")
    assert (load.failed, load.broken) == ([], [])
    seen = balanced.requests(A)[before:]
    assert "starting" not in seen
    assert "ready" in seen


def test_a_hung_one_is_out_within_moments_and_its_sessions_end(balanced: Balanced) -> None:
    kept, stuck = session(B), session(A)
    stuck.socket.settimeout(20)
    with Load(kept) as load:
        time.sleep(0.5)
        balanced.servers[A].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011
            stuck.ask()
        stuck.close()
        cut = time.monotonic() - began
        time.sleep(2)
        last = max((when for when, _ in load.failed), default=began) - began
        balanced.servers[A].send_signal(signal.SIGCONT)
        assert balanced.soon(A, B)
    print(f"{len(load.failed)} of {load.made} connections, the last {last:.2f} s after the hang; cut after {cut:.2f} s")
    assert last < 1.25 + SLACK
    assert cut < 2.25 + SLACK
    assert load.broken == []


def test_when_none_is_ready_both_are_tried(balanced: Balanced) -> None:
    for address in (A, B):
        balanced.how(address, "stopping")
    time.sleep(1)
    with Load() as load:
        time.sleep(1)
        assert balanced.listed() == {A, B}
    for address in (A, B):
        balanced.how(address, "ready")
    assert load.failed == []
    assert balanced.on_host(f"journalctl -u quorate-upstreams -o cat --no-pager | grep -c '{B}.*answers 500'") == "1\n"


def test_it_costs_little(balanced: Balanced) -> None:
    """With Debian 12's curl, whose processes live on: what they have used, in nanoseconds."""
    group = "system.slice/quorate-upstreams.service/cgroup.procs"
    pids = f"$(cat /sys/fs/cgroup/{group} /sys/fs/cgroup/*/{group} 2>/dev/null | sort -u)"
    used = f"for p in {pids}; do cut -d ' ' -f 1 /proc/$p/schedstat; done"
    found = balanced.on_host(f"{used}; echo; sleep 4; {used}").split("\n\n")
    before, after = (sum(map(int, part.split())) for part in found)
    print(f"{(after - before) / 4e6:.1f} ms of CPU a second")
    assert (after - before) / 4e6 < 50


def test_another_master_comes_when_it_is_ready_and_one_goes(balanced: Balanced) -> None:
    kept = session(B)
    with Load(kept) as load:
        balanced.apply(A, B, C)
        assert balanced.listed() == {A, B}
        balanced.serve(C, "starting")
        time.sleep(1)
        balanced.how(C, "ready")
        assert balanced.soon(A, B, C)
        balanced.apply(B, C)
        assert balanced.soon(B, C)
        before = len(balanced.requests(A))
        time.sleep(1)
    assert (load.failed, load.broken) == ([], [])
    assert len(balanced.requests(A)) - before < 3, "workers of before end"
    # Who comes and goes meanwhile, is in the list of the next start too.
    balanced.kill(C)
    assert balanced.soon(B)
    balanced.on_host("systemctl restart nginx")
    assert balanced.listed() == {B}
    assert balanced.changes(B, C) == []


def test_haproxy_instead_leaves_nothing_behind(balanced: Balanced) -> None:
    resources = balanced.resources(B, C)
    for resource in reversed(resources):
        for action in resource.remove():
            balanced.on_host(batch.upload(action))
    left = balanced.on_host(
        f"ls {balancer.UPSTREAMS_LIST} {balancer.UPSTREAMS} 2>/dev/null; pgrep -l nginx; pgrep curl || :"
    )
    assert left == ""
