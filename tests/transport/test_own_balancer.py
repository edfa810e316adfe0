"""A host's own balancer with real programs: on loopback alone, before all API servers, and moved to by a reload."""

import getpass
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import programs
import pytest
from waiting import within

from quorate.pki.issue import issue_ca, new_key
from quorate.render import haproxy, nginx, watchdog

SERVERS = ("127.0.9.1", "127.0.9.2", "127.0.9.3")
SERVER = """\
import http.server, ssl, sys
class JournalRun(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", str(len(sys.argv[1]))); self.end_headers()
        self.wfile.write(sys.argv[1].encode())
    log_message = lambda *_: None
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), JournalRun)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); tls.load_cert_chain(sys.argv[3])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def free(address: str = "127.0.0.1") -> int:
    with socket.create_server((address, 0)) as found:
        return int(found.getsockname()[1])


class Own:
    """Three API servers and a balancer on loopback."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind, self.folder, self.stack = kind, folder, stack
        self.server_port, self.state = free("127.0.9.1"), free()
        key = new_key("ecdsa-p256")
        (folder / "pem").write_bytes(issue_ca("x", "x", key, now=datetime.now(UTC), days=1, serial=1) + key)
        pem = str(folder / "pem")
        self.servers = {ip: self.run(sys.executable, "-c", SERVER, ip, str(self.server_port), pem) for ip in SERVERS}
        assert within(20, lambda: all(listens(ip, self.server_port) for ip in SERVERS))
        self.program, self.env = programs.find(kind)
        (folder / "list").write_text("".join(f"server {ip}:{self.server_port} max_fails=0;\n" for ip in SERVERS))

    def run(self, *argv: str) -> "subprocess.Popen[bytes]":
        env = os.environ | getattr(self, "env", {})
        with (self.folder / f"{Path(argv[0]).name}.log").open("ab") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, env=env)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process

    def configure(self, ports: Sequence[int], local_ports: Sequence[int]) -> None:
        """The text of ours, with files of the test's folder."""
        folder = self.folder
        if self.kind == "nginx":
            # A link, for where programs are kept may be a hidden folder, which no file of ours names.
            module = folder / "stream.so"
            if not module.exists():
                root = programs.root("nginx") or Path("/")
                module.symlink_to(root / "usr/lib/nginx/modules/ngx_stream_module.so")
            text = nginx.stream(
                ports=ports,
                local_ports=local_ports,
                upstreams=f"{folder}/list",
                connect_timeout_ms=250,
                access_log=f"{folder}/access.log",
                error_log=f"{folder}/error.log",
                pid=f"{folder}/pid",
                user=getpass.getuser(),
                module=str(module),
                workers=1,
                connections=64,
                pulse=self.state,
            )
            # Where its package would keep what it never does.
            kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
            text = text.replace("http {", f"http {{ {places}")
        else:
            text = haproxy.config(
                ports=ports,
                local_ports=local_ports,
                servers={f"m{ip[-1]}": (ip, self.server_port) for ip in SERVERS},
                connect_timeout_ms=250,
                stats_socket=f"{folder}/sock",
                user=None,
                max_connections=64,
                state_port=self.state,
                # As on many hosts: these servers take long for a handshake.
                slower=5,
            )
        (folder / "conf").write_text(text)

    def start(self) -> None:
        conf = str(self.folder / "conf")
        flags = ["-g", "daemon off;", "-c", conf] if self.kind == "nginx" else ["-W", "-f", conf]
        self.process = self.run(self.program, *flags)

    def processes(self) -> list[int]:
        """The balancer's, as its cgroup would list them."""
        pids = [self.process.pid]
        for pid in pids:
            with suppress(OSError):
                pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return pids

    def stop(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def watched(self) -> None:
        """Its watchdog, with the list of processes and a systemctl of the test's; both note what is done."""
        folder = self.folder
        (folder / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{folder}/asked\nkill -KILL $(cat {folder}/procs)\n')
        (folder / "systemctl").chmod(0o755)
        text = watchdog.script(unit=f"{self.kind}.service", port=self.state)
        (folder / "watchdog").write_text(text.replace('"/sys/fs/cgroup/$group"', f"{folder}/procs"))
        self.list()
        self.run("env", f"PATH={folder}:{os.environ['PATH']}", "/bin/sh", str(folder / "watchdog"))

    def list(self) -> None:
        (self.folder / "procs").write_text("".join(f"{pid}\n" for pid in self.processes()))

    @property
    def asked(self) -> str:
        path = self.folder / "asked"
        return path.read_text() if path.exists() else ""

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP if self.kind == "nginx" else signal.SIGUSR2)

    @property
    def log(self) -> str:
        return (self.folder / ("access.log" if self.kind == "nginx" else "haproxy.log")).read_text()

    def ask(self, port: int, at: str = "127.0.0.1") -> str:
        """The API server that a new connection leads to; empty for none."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        with suppress(OSError), socket.create_connection((at, port), 2) as plain, tls.wrap_socket(plain) as talk:
            talk.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = b""
            while part := talk.recv(4096):
                said += part
            return said.decode().rpartition("\r\n")[2]
        return ""


def listens(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


@pytest.fixture(params=["nginx", "haproxy"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Own]:
    with ExitStack() as stack:
        yield Own(request.param, tmp_path, stack)


def test_it_leads_to_all_api_servers_from_its_own_host_alone(own: Own) -> None:
    port = free()
    own.configure([], [port])
    own.start()
    assert within(20, lambda: {own.ask(port) for _ in range(6)} == set(SERVERS))
    assert not listens("127.0.0.5", port), "no other address of the host is served"
    assert within(5, lambda: all(f"127.0.0.1 {ip}:{own.server_port} - [" in own.log for ip in SERVERS)), own.log
    own.servers[SERVERS[0]].kill()
    own.servers[SERVERS[0]].wait()
    assert within(10, lambda: {own.ask(port) for _ in range(6)} == set(SERVERS[1:]))


def test_it_is_moved_to_and_away_from_by_reloads_that_refuse_nobody(own: Own) -> None:
    wide, port = free("0.0.0.0"), free()
    for ports, local_ports in (([wide], []), ([wide], [port]), ([], [port]), ([wide], [port]), ([wide], [])):
        own.configure(ports, local_ports)
        before = {"wide": own.ask(wide, "127.0.0.5"), "own": own.ask(port)}
        if any(before.values()):
            own.reload()
        else:
            own.start()
        wanted = bool(ports), bool(local_ports)
        assert within(10, lambda wanted=wanted: (listens("127.0.0.5", wide), listens("127.0.0.1", port)) == wanted)  # type: ignore[misc]
        # Checks have had their say: one that has just started believes the first answer.
        ways = [*((wide, "127.0.0.5") for _ in ports), *((port, "127.0.0.1") for _ in local_ports)]
        assert within(20, lambda ways=ways: all(own.ask(*way) in SERVERS for way in ways for _ in range(5)))  # type: ignore[misc]
        for _ in range(10):
            assert not ports or own.ask(wide, "127.0.0.5") in SERVERS
            assert not local_ports or own.ask(port) in SERVERS


def test_one_that_hangs_is_killed_and_answers_again(own: Own) -> None:
    port = free()
    own.configure([], [port])
    own.start()
    assert within(20, lambda: own.ask(port) in SERVERS)
    own.watched()
    # As busy as a host can be: its threads wait for CPUs, and are not hung.
    for pid in own.processes():
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    for _ in range(30):
        own.ask(port)
        time.sleep(0.1)
    assert own.asked == ""
    own.stop()
    assert listens("127.0.0.1", port), "the kernel goes on accepting"
    assert within(30, lambda: own.process.poll() is not None)
    assert own.asked == f"kill -s KILL {own.kind}.service\n"
    # What its unit does: Restart=always.
    own.start()
    own.list()
    assert within(20, lambda: own.ask(port) in SERVERS)
    assert own.asked.count("\n") == 1
