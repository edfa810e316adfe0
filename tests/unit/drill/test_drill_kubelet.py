"""What a drill's watch tells of a kubelet's connections: the real ss and sockets, in a network namespace."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.drill import hostwatch, lanes
from quorate.drill.board import Board
from quorate.render.drill import watch
from quorate.spec import layout
from quorate.spec.cluster import Cluster, Host, Role

PORT, ANOTHER = 8443, 8444
SERVER = f"""
import socket, threading
def answer(one):
    while data := one.recv(9):
        one.send(data)
for port in ({PORT}, {ANOTHER}):
    def serve(door=socket.create_server(("127.0.0.1", port))):
        while True:
            threading.Thread(target=answer, args=(door.accept()[0],)).start()
    threading.Thread(target=serve).start()
"""
KUBELET = """
import socket, sys
doors = {}
for line in sys.stdin:
    word, name, port = line.split()
    if word == "open":
        doors[name] = socket.create_connection(("127.0.0.1", int(port)))
    elif word == "close":
        doors.pop(name).close()
    else:
        doors[name].send(b"x"); doors[name].recv(1)
    print(line, end="", flush=True)
"""


class Worker(Net):
    """A server, and a process that does what it is told as a kubelet."""

    def prepare(self) -> None:
        self.sh("ip link set lo up")
        self.begin(sys.executable, "-c", SERVER)
        self.within(5, lambda: self.sh(f"ss -tlnH sport = :{ANOTHER}") != "")
        self.kubelet = self.etcd_host()

    def etcd_host(self) -> "subprocess.Popen[str]":
        command = ["nsenter", f"--net=/proc/{self.holder}/ns/net", "--", sys.executable, "-c", KUBELET]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def say(self, word: str, name: str = "a", port: int = PORT, by: "subprocess.Popen[str] | None" = None) -> float:
        """When it was done."""
        etcd_host = by or self.kubelet
        assert etcd_host.stdin
        assert etcd_host.stdout
        etcd_host.stdin.write(f"{word} {name} {port}\n")
        etcd_host.stdin.flush()
        assert etcd_host.stdout.readline()
        return time.monotonic()


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Worker]:
    with own_net.own_net(Worker, tmp_path) as made:
        made.prepare()
        yield made


@pytest.fixture
def watched(net: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[float]]:
    """What the watch tells until so many seconds from now, since it began."""
    conf = tmp_path / "kubelet.kubeconfig"
    conf.write_text(f'clusters:\n- cluster:\n    "server": "https://127.0.0.1:{PORT}"\n  name: c\n')
    monkeypatch.setattr(layout, "kubeconfig", lambda _name: str(conf))
    monkeypatch.setattr(watch, "BETWEEN_SOCKET_LOOKS_S", 0.1)
    host = Host(name="w", address=IPv4Address("10.9.0.1"), roles=(Role.WORKER,))
    cluster = Cluster(name="c", hosts=(host, host.model_copy(update={"name": "m", "roles": tuple(Role)[:2]})))
    procs = tmp_path / "procs"
    procs.write_text(f"{net.kubelet.pid}\n")
    script = hostwatch.script(cluster, host)
    script = re.sub(r"q_processes kubelet.service", f"q_file={procs}", script)
    process = net.begin("/bin/sh", "-c", script)
    board = Board()

    def until(seconds: float) -> list[float]:
        end = time.monotonic() + seconds
        assert process.stdout
        while time.monotonic() < end:
            hostwatch.take(board, "w", process.stdout.readline().strip(), time.monotonic())
        return board.heard("w")

    until(2.2)  # by then it is known how far the clocks are apart
    return until


GRAIN = 0.3


def seen(watched: Callable[[float], list[float]], moment: float) -> bool:
    """Whether that is what it tells last: never later, and hardly earlier even where ss waits for a CPU."""
    return moment - 0.6 < watched(1.1)[-1] < moment + GRAIN


@needs_root
def test_it_tells_when_something_came_in(net: Worker, watched: Callable[[float], list[float]]) -> None:
    net.say("open")
    moments = []
    for _ in range(3):
        moments.append(net.say("send"))
        assert seen(watched, moments[-1])
    found = watched(1.1)
    assert found[-1] < moments[-1] + GRAIN, "silence says nothing"


@needs_root
def test_a_connection_that_hangs_is_not_outvoted(net: Worker, watched: Callable[[float], list[float]]) -> None:
    net.say("open")
    net.say("open", "hung")
    net.say("send")
    last = net.say("send", "hung")
    for _ in range(2):
        net.say("send")
        assert seen(watched, last)
    net.say("close", "hung")
    again = net.say("send")
    assert seen(watched, again)
    # A new one that nobody has answered yet is no sign of life.
    net.say("open", "new")
    net.say("send")
    assert seen(watched, again)


@needs_root
def test_others_do_not_speak_for_it(net: Worker, watched: Callable[[float], list[float]]) -> None:
    net.say("open")
    last = net.say("send")
    other = net.etcd_host()
    net.say("open", by=other)
    net.say("open", "pod", ANOTHER)
    for _ in range(2):
        net.say("send", by=other)
        net.say("send", "pod")
        assert seen(watched, last)
    board = Board()
    board.clock("w", last, last)
    board.hear("w", last)
    assert lanes.talks(board, (), since=last + 0.1, fault=last, silence=7) == {"w": None}
