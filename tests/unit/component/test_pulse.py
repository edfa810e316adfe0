"""The balancer's pulse: the script with real shells, among a curl and a /proc that say what a test wants."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import within

from quorate.component import balancer, virtual_ip
from quorate.component.context import Context
from quorate.execute.survey import units
from quorate.render import haproxy, nginx, pulse
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.layout import BALANCER_HUNG, KEEPALIVED_CONF
from quorate.spec.ports import BALANCER_STATE, Listener
from quorate.spec.processes import listeners
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

GOOD: dict[str, Any] = {
    "unit": "nginx.service",
    "port": 2384,
    "peers": ["10.0.0.5", "10.0.0.4"],
    "peer_port": 6443,
    "track_file": "/run/quorate/pulse",
    "ports": [6443, 7443],
}
CURL = f"""\
case $* in
*' -V') exit $(cat "$0.old") ;;
*https://*)
  for url; do :; done
  echo "$url" >>"$0.peers"
  [ "$url" != https://10.0.0.5:6443/livez/ping ] || sleep 2
  cat "$0.peer"
  ;;
*num_connects*) . "$0.again" ;;
*'--max-time {pulse.SILENCE_S} '*)
  echo "$*" >>"$0.row"
  read -r code
  exit "$code"
  ;;
*) exit "$(cat "$0.back")" ;;
esac <>"$0.pipe"
"""
HANGS = "echo 1:000; exit 28"
SS = """\
echo "$* $(cat "${0%/*}/pulse")" >>"$0.cut"
"""
"""Notes what it is to cut, and what keepalived has been told by then."""


class Pulse:
    """The script in a folder: a master and a worker of nginx, both asleep, a peer that answers and one that is lost.

    The processes are real ones, that it may kill; what is known of them is what a test says.
    """

    def __init__(self, folder: Path, shell: tuple[str, ...], old: bool) -> None:
        self.folder, self.file = folder, folder / "pulse"
        for name, text in {"curl": CURL, "ss": SS}.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}")
            (folder / name).chmod(0o755)
        os.mkfifo(folder / "curl.pipe")
        self.pipe = os.open(folder / "curl.pipe", os.O_RDWR)
        for name, text in {"old": "2" if old else "0", "peer": "200\n", "again": HANGS, "back": "28"}.items():
            (folder / f"curl.{name}").write_text(text)
        self.nginx: list[subprocess.Popen[bytes]] = []
        self.start()
        self.file.write_text("1\n")
        text = pulse.script(**GOOD).replace("/run/quorate/pulse", str(self.file)).replace("/proc/", f"{folder}/proc/")
        (folder / "script").write_text(text.replace('"/sys/fs/cgroup/$group"', str(folder / "procs")))
        env = {"PATH": f"{folder}:/usr/bin:/bin"}
        argv = [*shell, str(folder / "script")]
        with (folder / "out").open("w") as out:
            self.process = subprocess.Popen(argv, env=env, stdout=out, stderr=out, start_new_session=True)
        assert self.asked(1)

    def start(self) -> None:
        """A balancer of two processes, and a third of which nothing is known."""
        self.nginx = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
        for process in self.nginx[:2]:
            (self.folder / f"proc/{process.pid}/task/{process.pid}").mkdir(parents=True)
            self.thread(process.pid, "S", "900 10 3")
        self.put("procs", self.named("MASTER\nWORKER\n"))

    def named(self, text: str) -> str:
        """The text with the processes' ids."""
        for name, process in zip(("MASTER", "WORKER", "OTHER"), self.nginx, strict=True):
            text = text.replace(name, str(process.pid))
        return text

    def killed(self) -> list[bool]:
        """Which of the processes were ended by SIGKILL."""
        return [process.poll() == -signal.SIGKILL for process in self.nginx]

    def thread(self, pid: int, state: str, ran: str) -> None:
        for name, text in {"stat": f"{pid} (nginx) R) {state} 1 70 0\n", "schedstat": f"{ran}\n"}.items():
            self.put(f"proc/{pid}/task/{pid}/{name}", text)

    def put(self, name: str, text: str) -> None:
        """What the programs read from now on, whole."""
        (self.folder / "new").write_text(text)
        (self.folder / "new").replace(self.folder / name)

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        for process in (self.process, *self.nginx):
            process.kill()
            process.wait()
        os.close(self.pipe)

    def ends(self, code: int) -> None:
        """The questions in a row end like this."""
        os.write(self.pipe, f"{code}\n".encode())

    def asked(self, rows: int) -> bool:
        return within(20, lambda: self.said("curl.row").count("\n") >= rows)

    def said(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture(params=[("/bin/sh", False), ("/bin/sh", True), ("bash", False)], ids=["sh", "sh, old curl", "bash"])
def heart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pulse]:
    shell, old = request.param
    made = Pulse(tmp_path, (shell, *(["--posix"] if shell == "bash" else [])), old)
    assert ("--rate" in made.said("curl.row")) is not old
    try:
        yield made
        assert not [line for line in made.said("out").splitlines() if not line.startswith("the balancer ")]
    finally:
        made.close()


def test_a_balancer_that_hangs_is_told_until_it_answers(heart: Pulse) -> None:
    assert heart.file.read_text() == "0\n", "what a former one wrote is forgotten"
    for state in ("T", "S"):
        heart.thread(heart.nginx[1].pid, state, "900 10 3")
        heart.put("curl.back", "28")
        began = time.monotonic()
        heart.ends(28)
        assert within(20, lambda: heart.file.read_text() == "1\n")
        assert time.monotonic() - began < 1.5, "a lost peer is not waited for"
        assert within(5, lambda: heart.killed() == [True, True, False]), "nobody else"
        heart.nginx[2].kill()
        heart.nginx[2].wait()
        heart.start()
        heart.put("curl.back", "0")
        assert within(20, lambda: heart.file.read_text() == "0\n")
    assert heart.said("out") == "the balancer hangs: it is killed, and starts again\nthe balancer answers again\n" * 2
    cut = "-Ktn exclude time-wait ( sport = :6443 or sport = :7443 )"
    assert heart.said("ss.cut").splitlines() == [f"{cut} 0"] * 2, "listeners too, before the address goes"
    assert heart.said("curl.peers").splitlines().count("https://10.0.0.4:6443/livez/ping") == 2


@pytest.mark.parametrize(
    ("state", "again", "peer", "procs"),
    [
        ("S", "echo 1:204", "200\n", "MASTER\nWORKER\n"),
        ("S", "echo 0:000; exit 28", "200\n", "MASTER\nWORKER\n"),
        ("S", HANGS, "000\n", "MASTER\nWORKER\n"),
        ("R", HANGS, "200\n", "MASTER\nWORKER\n"),
        ("D", HANGS, "200\n", "MASTER\nWORKER\n"),
        ("S", 'echo 901 10 4 >"${0%/*}/proc/WORKER/task/WORKER/schedstat"; ' + HANGS, "200\n", "MASTER\nWORKER\n"),
        ("S", 'echo "WORKER (nginx) R" >"${0%/*}/proc/WORKER/task/WORKER/stat"; ' + HANGS, "200\n", "MASTER\nWORKER\n"),
        ("S", HANGS, "200\n", ""),
        ("S", HANGS, "200\n", "MASTER\nOTHER\n"),
    ],
    ids=["answers", "never asked", "no peer", "busy", "disk", "ran", "woke up", "ended", "unseen"],
)
def test_silence_that_proves_nothing(heart: Pulse, state: str, again: str, peer: str, procs: str) -> None:
    heart.thread(heart.nginx[1].pid, state, "900 10 3")
    for name, text in {"curl.again": again, "curl.peer": peer, "procs": procs}.items():
        heart.put(name, heart.named(text))
    heart.ends(28)
    assert heart.asked(2)
    assert heart.file.read_text() == "0\n"
    assert heart.said("out") == ""
    assert heart.killed() == [False] * 3


@pytest.mark.parametrize("code", [0, 7, 52], ids=["all answered", "refused", "cut off"])
def test_no_silence_no_suspicion(heart: Pulse, code: int) -> None:
    heart.ends(code)
    assert heart.asked(2)
    assert heart.file.read_text() == "0\n"
    assert heart.said("curl.peers") == ""


def test_a_pulse_is_answered_by_the_balancer_itself() -> None:
    settings: dict[str, Any] = {"ports": [6443], "upstreams": "/l", "connect_timeout_ms": 250, "access_log": "/a"}
    alone, text = nginx.stream(**settings), nginx.stream(**settings, pulse=2384)
    wanted = "http { access_log off; server { listen 127.0.0.1:2384; return 204; } }"
    assert text.startswith(alone)
    assert re.sub(r"\s+", " ", re.sub("#.*", "", text[len(alone) :])).strip() == wanted
    settings = {"ports": [6443], "servers": {"m1": ("10.0.0.1", 6443)}, "connect_timeout_ms": 250}
    text = haproxy.config(**settings, state_port=2384)
    wanted = "frontend k8s-apiserver-state mode http bind 127.0.0.1:2384 no log timeout client 5s monitor-uri / "
    assert wanted in re.sub(r"\s+", " ", re.sub("#.*", "", text))


@pytest.mark.parametrize(
    "bad",
    [{"unit": "a b"}, {"port": 0}, {"peers": []}, {"peers": ["$(x)"]}, {"peer_port": 65536}, {"track_file": "a"}],
    ids=str,
)
def test_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        pulse.script(**{**GOOD, **bad})


def resources(kind: str, balancers: int, **endpoint: str) -> tuple[Cluster, dict[str, Resource]]:
    hosts: list[dict[str, object]] = [
        {"name": "m", "address": "10.0.0.1", "roles": ["control-plane", "etcd", "worker"]}
    ]
    hosts += [{"name": f"b{n}", "address": f"10.0.1.{n}", "roles": ["load-balancer"]} for n in range(balancers)]
    given = {"name": "c", "hosts": hosts, "endpoint": endpoint, "load_balancer": {"kind": kind}}
    cluster = Cluster.model_validate(given)
    context = Context(cluster, Facts(), Supply(), Secrets({}, {}), table("1.36"))
    host = cluster.host("b0")
    return cluster, {
        resource.name: resource for part in (balancer, virtual_ip) for resource in part.resources(context, host)
    }


def content(resource: Resource) -> str:
    assert isinstance(resource, File)
    return resource.content


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_balancers_with_a_peer_have_it(kind: str) -> None:
    cluster, found = resources(kind, 2, vip="10.0.0.200")
    conf = content(found[balancer.NGINX_CONF if kind == "nginx" else balancer.HAPROXY_CONF])
    script, unit = content(found[virtual_ip.PULSE]), content(found["/etc/systemd/system/quorate-pulse.service"])
    assert f"127.0.0.1:{BALANCER_STATE}" in conf
    assert f"http://127.0.0.1:{BALANCER_STATE}/" in script
    assert "peers=10.0.1.1:6443\n" in script
    assert f"system.slice/{kind}.service/" in script
    assert f"echo 0 >{BALANCER_HUNG}" in unit.partition("ExecStopPost=")[2]
    assert "CapabilityBoundingSet=CAP_KILL CAP_NET_ADMIN\n" in unit
    assert f"    file {BALANCER_HUNG}\n" in content(found[KEEPALIVED_CONF])
    names = list(found)
    assert names.index(f"{kind}.service") < names.index("quorate-pulse.service") < names.index("keepalived.service")
    host = cluster.host("b0")
    assert units(cluster, host)[-3:] == ("quorate-pulse.service", "keepalived.service", "quorate-address.service")
    assert Listener(BALANCER_STATE, "balancer's state", local=True) in listeners(cluster, host)


@pytest.mark.parametrize(("balancers", "endpoint"), [(1, {"vip": "10.0.0.200"}), (2, {"address": "10.0.0.200"})])
def test_without_somebody_to_take_the_address_there_is_none(balancers: int, endpoint: dict[str, str]) -> None:
    cluster, found = resources("nginx", balancers, **endpoint)
    assert not [name for name in found if "pulse" in name]
    assert not [
        resource.name for resource in found.values() if isinstance(resource, File) and "pulse" in resource.content
    ]
    assert "quorate-pulse.service" not in units(cluster, cluster.host("b0"))
    assert BALANCER_STATE not in {listener.port for listener in listeners(cluster, cluster.host("b0"))}
