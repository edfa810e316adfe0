"""The scripts of the preflight, run by this machine's own sh; they change nothing."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from preflight_world import ROLES, judged, world

from quorate.core import CommandFailed, LockLost, PlanError, TransportError
from quorate.execute.facts import gather
from quorate.preflight import syncs
from quorate.preflight.check import World
from quorate.preflight.disk import disks
from quorate.preflight.runner import parse, preflight, script
from quorate.render.questions import REACH
from quorate.report.findings import Status
from quorate.spec.cluster import Etcd
from quorate.spec.facts import Facts
from quorate.transport.local import LocalTransport

EVERYTHING = {"m1": ("control-plane", "etcd", "worker", "load-balancer"), "m2": ("worker",)}


@pytest.fixture
def here(tmp_path: Path) -> World:
    """Two hosts, both of them this machine; data of etcd would be in a folder that is not there yet."""
    return world(roles=EVERYTHING, answers={}, etcd=Etcd(data_dir=f"/tmp/{tmp_path.name}/a/etcd"))


async def test_this_machine_answers_every_question(here: World) -> None:
    via = LocalTransport()
    found, _ = await gather(here.cluster, via)
    seen = replace(here, context=replace(here.context, facts=Facts(found)))
    host = here.cluster.host("m1")
    first, names = script(seen, host)
    before = set(os.listdir("/tmp"))
    answers, seconds = parse(names, await via.run("m1", first))
    assert set(answers) == set(names) == set(seconds)
    assert {"clock", "disk", "fsync", "ports", "data", "names"} <= set(names)
    told = replace(seen, answers={"m1": answers})
    assert disks(told, host)[here.cluster.etcd.data_dir].bytes_ > 0
    status, words = judged(told, "fsync", "m1") or (None, "")
    assert status in (Status.PASSED, Status.WARNED), words
    assert seconds["fsync"] < 3
    assert {name for name in set(os.listdir("/tmp")) - before if "quorate" in name} == set()
    for check in ("features", "swap", "inodes", "ports", "names", "data"):
        assert (judged(told, check, "m1") or (Status.UNCHECKED,))[0] is not Status.UNCHECKED, check


async def test_a_whole_flight(here: World) -> None:
    report = await preflight(here, LocalTransport())
    told = {finding.id: finding for finding in report.findings}
    assert set(told["clock"].hosts) == {"m1", "m2"}
    assert told["clock"].status is Status.PASSED
    # The hosts of this world have other addresses.
    assert told["address"].status is Status.FAILED
    assert 2 <= report.scripts <= 4
    assert report.seconds > 0


@pytest.mark.parametrize("late", [False, True])
def test_any_sh_comes_to_the_end(late: bool) -> None:
    """Nobody's shell with an empty PATH: what can't be asked is not told, and nothing hangs."""
    there = world(roles=ROLES)
    for name in ("m1", "n1", "b1"):
        text, names = script(there, there.cluster.host(name), late=late)
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            env={"PATH": "/nonexistent"},
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers, _ = parse(names, done.stdout)
        told = replace(there, answers={**there.answers, name: {**there.answers[name], **answers}})
        for check in ("ports", "reach", "mtu", "vip-free", "router-id", "fsync", "disk", "names", "clock"):
            said = judged(told, check, name)
            assert said is None or said[0] is Status.UNCHECKED, (check, said)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def connect(folder: Path, port: int, *programs: str, **fakes: str) -> str:
    """What `tcp` says of a port of this machine, with these programs and fakes alone in PATH."""
    for name in ("timeout", *programs):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, text in fakes.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    text = f"{REACH}tcp 127.0.0.1 {port}"
    env = {"PATH": str(folder), "LC_ALL": "C"}
    done = subprocess.run(["/bin/sh", "-c", text], env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].rpartition(" ")[2]


@pytest.mark.parametrize("program", ["bash", "curl"])
def test_a_port_answers_or_refuses(tmp_path: Path, listener: int, program: str) -> None:
    assert connect(tmp_path, listener, program) == "open"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (tmp_path / "x").mkdir()
    assert connect(tmp_path / "x", port, program) == "refused"


def test_a_port_that_is_silent_or_barred(tmp_path: Path) -> None:
    for number, (program, body, how) in enumerate(
        [
            ("bash", "exit 124", "silent"),
            ("bash", "echo 'bash: connect: No route to host' >&2; exit 1", "barred"),
            ("curl", "printf '0.000000 '; echo 'curl: (28) Connection timed out' >&2; exit 28", "silent"),
            ("curl", "printf '0.000000 '; echo 'curl: (7) No route to host' >&2; exit 7", "barred"),
            ("curl", "printf '0.000211 '; echo 'curl: (28) Operation timed out' >&2; exit 28", "open"),
            ("curl", "printf '0.000211 '; echo 'curl: (52) Empty reply' >&2; exit 52", "open"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert connect(folder, 1, **{program: body}) == how, body


def test_packets_of_full_size(tmp_path: Path) -> None:
    for number, (body, how) in enumerate(
        [("exit 0", "passes"), ('case "$*" in *do*) exit 1;; esac', "small"), ("exit 1", "silent")]
    ):
        ping = tmp_path / str(number) / "ping"
        ping.parent.mkdir()
        ping.write_text(f"#!/bin/sh\n{body}\n")
        ping.chmod(0o755)
        text = f"{REACH}mtu 10.0.0.1 1472"
        done = subprocess.run(["/bin/sh", "-c", text], env={"PATH": str(ping.parent)}, capture_output=True, text=True)
        assert done.stdout.splitlines() == ["asked mtu", f"mtu 10.0.0.1 {how}"]


class Broken:
    """A door behind which every host fails in its own way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def run(self, host: str, script: str, **_more: object) -> str:
        raise self.error

    async def close(self) -> None:
        pass


async def test_hosts_that_fail_meanwhile() -> None:
    report = await preflight(world(answers={}), Broken(TransportError("cut", host="m1")))
    assert {finding.id: finding.status for finding in report.findings}["reachable"] is Status.FAILED
    report = await preflight(world(answers={}), Broken(CommandFailed("hangs", host="m1")))
    told = {finding.id: finding.status for finding in report.findings}
    assert told["reachable"] is Status.PASSED
    assert told["disk"] is Status.UNCHECKED
    with pytest.raises(LockLost):
        await preflight(world(answers={}), Broken(LockLost("taken", host="m1")))


async def test_a_clock_that_is_wrong_is_measured_against_ours() -> None:
    class Late:
        async def run(self, host: str, script: str, *, on_line: object = None, **_more: object) -> str:
            assert callable(on_line)
            on_line(f"clock {time.time() - 4000:.9f}")
            return ""

        async def close(self) -> None:
            pass

    report = await preflight(world(answers={}), Late())
    found = next(finding for finding in report.findings if finding.id == "clock")
    assert found.status is Status.FAILED
    words = r"clock@m1: -4000[.]0.*not valid there for another (399|400) s[.] Fix: set the clock"
    with pytest.raises(PlanError, match=words):
        report.demand()


@pytest.mark.parametrize(("seconds", "status"), [("0.2", Status.WARNED), ("0.6", Status.FAILED)])
def test_a_slow_disk_is_measured_in_a_second_or_three_writes(tmp_path: Path, seconds: str, status: Status) -> None:
    dd = tmp_path / "bin/dd"
    dd.parent.mkdir()
    dd.write_text(
        f"#!/bin/sh\ncase $* in *dsync*) sleep {seconds}; echo '2300 bytes copied, {seconds} s, 1 kB/s' >&2;; "
        f'*) exec {shutil.which("dd")} "$@";; esac\n'
    )
    dd.chmod(0o755)
    (tmp_path / "disk").mkdir()
    there = world(answers={}, etcd=Etcd(data_dir=f"{tmp_path}/disk/etcd"))
    text = syncs._ask_fsync(there, there.cluster.host("m1"))
    env = {**os.environ, "PATH": f"{dd.parent}:{os.environ['PATH']}"}
    began = time.monotonic()
    done = subprocess.run(["/bin/sh", "-c", text], env=env, capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 5
    assert 3 <= len(done.stdout.split()) <= 6
    assert list((tmp_path / "disk").iterdir()) == []
    assert (judged(replace(there, answers={"m1": {"fsync": done.stdout}}), "fsync", "m1") or (None,))[0] is status
