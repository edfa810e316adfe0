"""haproxy in front of the API servers: the exact text of a small input, and whom it leaves out."""

import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from balancer_inputs import HAPROXY, bare

from quorate.render import haproxy

STATES = {"/m1": 200, "/m2": 404, "/m3": 503}


class State(BaseHTTPRequestHandler):
    """Answers as haproxy's page of states does."""

    def do_GET(self) -> None:
        self.send_response(STATES[self.path])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def left_out(port: int) -> list[str]:
    command = haproxy.left_out(["m1", "m2", "m3"], port)
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()


def test_haproxy_of_a_host_for_itself_listens_on_loopback_and_looks_less_often() -> None:
    lines = bare(haproxy.config(**{**HAPROXY, "ports": []}, local_ports=[6444], slower=4))
    binds = [line for line in lines if line.startswith("bind")]
    assert binds == ["bind 127.0.0.1:6444 backlog 4096", "bind 127.0.0.1:2384"]
    assert not [line for line in lines if "set-log-level silent" in line]
    checks = [line for line in lines if "check-ssl" in line]
    assert {word for line in checks for word in re.findall(r" inter (\S+)", line)} == {"800ms", "1000ms"}


def test_whom_haproxy_leaves_out() -> None:
    with HTTPServer(("127.0.0.1", 0), State) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert left_out(server.server_port) == ["m2", "m3"]
        finally:
            server.shutdown()
            thread.join()
    # Nobody answers: that haproxy is down is told elsewhere.
    assert left_out(server.server_port) == []


def test_haproxy() -> None:
    servers = ["server m1 10.0.0.1:6443", "server m2 10.0.0.2:6443"]
    assert bare(haproxy.config(**HAPROXY)) == [
        "global",
        "log stdout format raw daemon",
        "maxconn 8192",
        "user haproxy",
        "group haproxy",
        "stats socket /run/quorate-haproxy.sock mode 600 level admin expose-fd listeners",
        "hard-stop-after 30s",
        "defaults",
        "mode tcp",
        "log global",
        "option clitcpka",
        "option srvtcpka",
        "timeout connect 250ms",
        "retries 3",
        "option redispatch 1",
        "timeout client 4h",
        "timeout server 4h",
        "timeout check 3000ms",
        "frontend k8s-apiserver-in",
        "bind 0.0.0.0:6443 backlog 4096",
        'log-format "%ci %si:%sp - [%t] %ts %B"',
        "tcp-request content set-log-level silent if { src 127.0.0.1 }",
        "default_backend k8s-apiserver",
        "backend k8s-apiserver",
        "balance roundrobin",
        "option httpchk",
        "http-check send meth GET uri-lf /%[srv_name]",
        "http-check disable-on-404",
        *(
            f"{server} check addr 127.0.0.1 port 2384 inter 50ms fall 1 rise 1 "
            "on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions"
            for server in servers
        ),
        "option allbackups",
        "server m1-unchecked 10.0.0.1:6443 backup",
        "server m2-unchecked 10.0.0.2:6443 backup",
        "frontend k8s-apiserver-state",
        "mode http",
        "bind 127.0.0.1:2384",
        "no log",
        "timeout client 5s",
        "monitor-uri /",
        *(
            f"http-request deny deny_status {code} if {{ path /{name} }} !{{ srv_is_up(k8s-apiserver-{what}/{name}) }}"
            for code, what in ((503, "alive"), (404, "ready"))
            for name in ("m1", "m2")
        ),
        "http-request return status 200",
        "backend k8s-apiserver-alive",
        "option httpchk GET /livez/ping",
        "http-check expect rstatus ^[1-5]",
        "default-server check check-ssl verify none inter 200ms fastinter 20ms fall 3 rise 2",
        *servers,
        "backend k8s-apiserver-ready",
        "option httpchk GET /readyz",
        "http-check expect rstatus ^(200)$",
        "default-server check check-ssl verify none inter 500ms fastinter 20ms fall 2 rise 2",
        *servers,
    ]


def test_haproxy_verifies_when_it_can() -> None:
    text = haproxy.config(**HAPROXY, ca_file="/etc/ca.crt", client_pem="/etc/c.pem", expect=(200, 401), log="/dev/log")
    assert text.count("check-ssl verify required ca-file /etc/ca.crt crt /etc/c.pem inter") == 2
    assert "rstatus ^(200|401)$" in text
    assert "log /dev/log daemon" in text
