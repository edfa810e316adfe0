"""Bad weather's parts that need no host: what hosts tell, and what that comes to."""

import os
import subprocess
import time
from dataclasses import replace

import pytest
import table
import weather
from drill_world import cluster
from weather import Look, Weather

from quorate.core import QuorateError
from quorate.drill import injections
from quorate.execute.outage import GUARD
from quorate.report.drill.report import StreamStats

METRICS = """\
# TYPE etcd_server_leader_changes_seen_total counter
etcd_server_leader_changes_seen_total 3
etcd_server_leader_changes_seen_total_other 9
"""
JOURNAL = """\
(kubernetes) Entering BACKUP STATE
(kubernetes) Entering MASTER STATE
10.0.9.2:6443 is silent
the sessions of 10.0.9.2:6443 are cut
10.0.9.2:6443 is ready
10.0.9.3:6443 answers 500
Server k8s-apiserver/m1 is UP, reason: Layer7 check passed
[WARNING]  (12) : Server k8s-apiserver/m1 is DOWN, reason: Layer4 timeout
Server k8s-apiserver/m1 is DOWN, reason: Layer4 timeout
"""


def host(script: str) -> str:
    """A script under a real sh, with what a host would say."""
    says = f"curl() {{ cat <<'X'\n{METRICS}X\n}}\njournalctl() {{ echo \"$*\" >&2; cat <<'X'\n{JOURNAL}X\n}}\n"
    return subprocess.run(["/bin/sh", "-c", says + script], capture_output=True, text=True, check=True).stdout


def test_a_host_tells_its_time_its_leader_changes_and_its_journal() -> None:
    before = weather.parse(host(weather.look_script(member=True, since=None)))
    assert abs(before.now - time.time()) < 5
    assert (before.changes, before.log) == (3, "")
    after = weather.parse(host(weather.look_script(member=True, since=before.now)))
    assert (after.changes, after.log) == (3, JOURNAL)
    assert weather.parse(host(weather.look_script(member=False, since=None))).changes == 0
    with pytest.raises(QuorateError, match="time"):
        weather.parse("")


def test_what_happened_is_counted_between_two_looks() -> None:
    c = cluster()
    before = {each.name: Look(0, 5, "") for each in c.hosts}
    after = {**before, "b1": Look(9, 0, JOURNAL), "m2": Look(9, 6, JOURNAL)}
    moves, elections, marked = weather.judge(c, before, after)
    assert moves == {"b1": 1, "b2": 0}
    assert elections == {"m1": 0, "m2": 1, "m3": 0}
    assert marked == {
        "b1": [
            "10.0.9.2:6443 is silent",
            "10.0.9.3:6443 answers 500",
            "Server k8s-apiserver/m1 is DOWN, reason: Layer4 timeout",
        ],
        "b2": [],
    }


FINE = Weather("described", 10, 1, "0 to 50 ms", 2, {"b1": 1, "b2": 0}, {"m1": 0}, {"b1": ["x is silent"]}, 0)


@pytest.mark.parametrize(
    "bad", [{"moves": {"b1": 1, "b2": 1}}, {"elections": {"m1": 1}}, {"lost": 1}, {"problem": "not healed"}]
)
def test_one_move_and_no_election_pass(bad: dict[str, object]) -> None:
    assert FINE.passed
    assert not replace(FINE, **bad).passed  # type: ignore[arg-type]


def test_a_report_is_read_back_and_shown() -> None:
    found = replace(FINE, probe={"new": StreamStats(1.02, 31, 30000, {"timeout": 31})})
    assert Weather.read(found.text()) == found
    assert '"passed": true' in found.text()
    (row,) = [line for line in table.markdown([], [found]).splitlines() if line.startswith("| described ")]
    assert row == "| described | 10 | 1 % | 0 to 50 ms | 2 | 1 | 0 | 1 | 31 of 30000 | yes |"


def test_every_cpu_is_busy_for_as_long_as_the_block() -> None:
    def count() -> int:
        argv = ["pgrep", "-fc", f"monotonic.. . {5.0625 + GUARD}"]
        return int(subprocess.run(argv, capture_output=True, text=True, check=False).stdout)

    with weather.busy(5.0625) as burners:
        assert count() == burners == os.cpu_count()
    assert count() == 0


def test_packets_are_late_by_more_or_less() -> None:
    host = cluster().hosts[0]
    assert "netem delay 25ms 25ms" in injections.slow(host, 25, 25).begin
    assert "netem delay 100ms 2>&1" in injections.slow(host, 100).begin
