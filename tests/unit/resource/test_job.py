"""A job: it goes on without who watches, and begins again at its cursor."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from own_root import OURS, Root

from quorate.core import CommandFailed
from quorate.execute import batch
from quorate.resource.job import Job

SYSTEMCTL = """#!/bin/sh
case $1 in
is-active) grep -q '^State:[[:space:]]*[A-Y]' "/proc/$(cat /etc/test/pid 2>/dev/null || echo none)/status" 2>/dev/null;;
stop) p=$(cat /etc/test/pid 2>/dev/null) && kill -- -"$p" 2>/dev/null;;
esac
"""
RUN = """#!/bin/sh
for last; do case $last in --setenv=*) export "${last#--setenv=}";; esac; done
setsid /bin/sh "$last" </dev/null >/dev/null 2>&1 &
echo $! >/etc/test/pid
"""
WORK = """\
n=$(cat "$1" 2>/dev/null || echo 0)
while [ "$n" -lt 6 ]; do
  n=$((n + 1)); echo "piece $n at $RATE" >>/etc/test/work; echo "$n" >"$1"; echo "progress $n 6"
  [ ! -e "/etc/test/fails$n" ] || { echo "piece $n is bad"; exit 3; }
  sleep 0.5
done
"""
JOB = Job(host="h", what="rewriting of Secrets", id="4711", script=WORK, rate=7)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    made = Root(tmp_path, (*OURS, "usr/local/sbin"))
    for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", RUN)):
        path = tmp_path / "usr/local/sbin" / name
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return made


def work(root: Root) -> list[str]:
    path = root.etc / "work"
    return path.read_text().splitlines() if path.exists() else []


async def test_it_works_to_its_end_and_tells_how_far_it_is(root: Root) -> None:
    assert await root.state_of(JOB) == {"done": "no"}
    told: list[str] = []
    (action,) = JOB.converge({})
    await root.via.run("h", batch.upload(action), on_line=told.append)
    assert await root.state_of(JOB) == JOB.desired
    assert work(root) == [f"piece {n} at 7" for n in range(1, 7)]
    said = [batch.told(line) for line in told if batch.told(line)]
    assert said
    assert set(said) <= {f"{n} of 6" for n in range(1, 7)}
    await root.converge(JOB)
    assert len(work(root)) == 6, "what is done is not done again"


async def test_it_goes_on_when_nobody_watches_and_who_comes_back_watches_the_same(root: Root) -> None:
    (action,) = JOB.converge({})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await root.via.run("h", batch.upload(action))
    before = len(work(root))
    await asyncio.sleep(0.8)
    assert len(work(root)) > before, "it ended with its watcher"
    await root.converge(JOB)
    assert work(root) == [f"piece {n} at 7" for n in range(1, 7)]


async def test_after_a_reboot_it_begins_at_its_cursor(root: Root) -> None:
    (action,) = JOB.converge({})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await root.via.run("h", batch.upload(action))
    await root.via.run("h", "PATH=/usr/local/sbin:$PATH; systemctl stop x")
    did = len(work(root))
    assert 0 < did < 6
    await root.converge(JOB)
    assert work(root) == [f"piece {n} at 7" for n in range(1, 7)]


async def test_a_failure_says_why_and_the_next_try_goes_on(root: Root) -> None:
    (root.etc / "fails3").touch()
    with pytest.raises(CommandFailed) as refused:
        await root.converge(JOB)
    assert "piece 3 is bad" in refused.value.stderr
    assert await root.state_of(JOB) == {"done": "no"}
    (root.etc / "fails3").unlink()
    await root.converge(JOB)
    assert work(root) == [f"piece {n} at 7" for n in range(1, 7)]


async def test_that_of_another_operation_begins_anew(root: Root) -> None:
    await root.converge(JOB)
    other = replace(JOB, id="4712")
    assert await root.state_of(other) != other.desired
    await root.converge(other)
    assert len(work(root)) == 12


async def test_destroy_ends_it(root: Root) -> None:
    (action,) = JOB.converge({})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await root.via.run("h", batch.upload(action))
    await root.remove(JOB)
    did = len(work(root))
    await asyncio.sleep(1)
    assert len(work(root)) == did
    assert list((root.state / "jobs").iterdir()) == []
