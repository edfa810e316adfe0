"""haproxy as the API's balancer: TCP passed through, with checks that cut the sessions of a dead API server.

Two things are asked of each API server. One that is not ready gets no new sessions, and keeps those that it has: it may
be stopping, and then it ends them itself, in order, while cutting them would fail requests. One that is not alive loses
them.
"""

from collections.abc import Mapping, Sequence

from quorate.render import token
from quorate.render.sh import sh
from quorate.render.two_checks import Check, checked, page, serving

NAME = "k8s-apiserver"
"""Name of the frontend and of the backend."""
CHECK_INTERVAL_MS = 200
AGAIN_MS = 20
"""Milliseconds to the next check after one whose answer is another than before."""
FALL = 3
"""Failed checks until a server is dead: refused or silent, it is found so after at most 0.85 s (a check has its
interval's time for connection and TLS, and the others follow at once). Three, for a lost packet costs a check (TCP
repeats the first one after a second). Three in a row failed once for each server in ten minutes of 1 % loss with all
CPUs busy (`bench/weather.py`); a fourth would cost clients of a lost host 0.2 s more.
"""
READY_INTERVAL_MS = 500
READY_FALL = 2
"""Failed checks until a server gets no new sessions: after at most 0.6 s, while a stopping one serves on for 3 s."""
RISE = 2
STATE_INTERVAL_MS = 50
"""Milliseconds between two looks at what the checks have found, which haproxy asks itself on loopback."""
CHECK_TIMEOUT_MS = 3000
"""Time for the answer of a check once connected. /readyz asks etcd and waits up to 2 s for it, so an etcd
election (about 1 s) makes checks slow, and must not cut every session of the cluster.
"""
SESSION_TIMEOUT = "4h"
"""Silence after which a session is cut; that of the kubelet for `exec` and `attach`."""


QUIET = (
    "    # The health check asks from here once a second; its lines would fill the disk.",
    "    tcp-request content set-log-level silent if { src 127.0.0.1 }",
)


def left_out(names: Sequence[str], state_port: int) -> str:
    """sh that prints the API servers that get no new sessions, by name; nothing where haproxy does not answer.

    `state_port` is that of `config`. Raises ValueError for what is no plain name or port.
    """
    state = f"http://127.0.0.1:{token.port(state_port)}"
    urls = [word for name in names for word in ("-o", "/dev/null", f"{state}/{token.name(name)}")]
    ask = sh("curl", "-s", "--noproxy", "*", "--max-time", "1", "-w", "%{http_code} %{url_effective}\\n", *urls)
    return f"{ask} | sed -n 's|^[45].* {state}/||p'"


def config(
    *,
    ports: Sequence[int] = (),
    local_ports: Sequence[int] = (),
    servers: Mapping[str, tuple[str, int]],
    connect_timeout_ms: int,
    address: str = "0.0.0.0",
    ca_file: str | None = None,
    client_pem: str | None = None,
    expect: Sequence[int] = (200,),
    log: str = "stdout",
    stats_socket: str = "/run/quorate-haproxy.sock",
    user: str | None = "haproxy",
    max_connections: int = 8192,
    nofile: int | None = None,
    state_port: int,
    slower: int = 1,
) -> str:
    """The whole haproxy.cfg; haproxy 2.2 or later.

    `servers` are address and port of the API servers by name. With `ca_file`, checks verify the servers'
    certificates, and `client_pem` (certificate and key in one file) is shown to them. `expect` are the HTTP
    status codes of /readyz that count as healthy; API servers without anonymous access answer 401 to a
    check without certificate. `log` is `stdout` (the journal) or a socket such as /dev/log; its lines are in the form
    of nginx'. `nofile` is set where the host can't raise RLIMIT_NOFILE, to keep haproxy from trying. `state_port` is
    the port of loopback on which haproxy itself answers HTTP: to `/` always 200, to `/<name>` whether a server is
    alive and ready (200), only alive (404) or neither (503).
    `local_ports` are of loopback alone; where there are any, its sessions are logged, too. `slower`: how many times
    less often than usual API servers are checked, once a second at least.
    Raises ValueError for what is no plain address, port, number, name or path.
    """
    if not servers or not expect or not (ports or local_ports):
        raise ValueError("a balancer needs at least one server, one port and one status to expect")
    targets = {token.name(name): f"{token.address(ip)}:{token.port(number)}" for name, (ip, number) in servers.items()}
    verify = f"verify required ca-file {token.path(ca_file)}" if ca_file else "verify none"
    identity = f" crt {token.path(client_pem)}" if client_pem else ""
    tls = f"check-ssl {verify}{identity}"
    statuses = "|".join(str(token.number(status, 100, 599)) for status in expect)
    alive_ms, ready_ms = (
        min(max(1000, each), each * token.number(slower, 1, 10**6)) for each in (CHECK_INTERVAL_MS, READY_INTERVAL_MS)
    )
    alive = Check(
        name="alive",
        get="/livez/ping",
        expect="rstatus ^[1-5]",
        how=f"{tls} inter {alive_ms}ms fastinter {AGAIN_MS}ms fall {FALL} rise {RISE}",
        comment="Costs an API server nothing but TLS; any answer will do.",
    )
    ready = Check(
        name="ready",
        get="/readyz",
        expect=f"rstatus ^({statuses})$",
        how=f"{tls} inter {ready_ms}ms fastinter {AGAIN_MS}ms fall {READY_FALL} rise {RISE}",
        keeps=True,
    )
    checks = (alive, ready)
    pulse = ["    # What the pulse asks: haproxy alone answers.", "    monitor-uri /"]
    lines = [
        "global",
        f"    log {'stdout format raw' if log == 'stdout' else token.path(log)} daemon",
        f"    maxconn {token.number(max_connections, 16, 2**20)}",
        *([f"    ulimit-n {token.number(nofile, 64, 2**30)}"] if nofile is not None else []),
        *([f"    user {token.name(user)}", f"    group {token.name(user)}"] if user else []),
        f"    stats socket {token.path(stats_socket)} mode 600 level admin expose-fd listeners",
        "    # After a reload, old processes end after this time at the latest.",
        "    hard-stop-after 30s",
        "",
        "defaults",
        "    mode tcp",
        "    log global",
        "    option clitcpka",
        "    option srvtcpka",
        "    # A dead server costs a new connection this long, then another one is tried.",
        f"    timeout connect {token.number(connect_timeout_ms, 1, 3600000)}ms",
        "    retries 3",
        "    option redispatch 1",
        "    # Sessions are long and often silent; dead peers are found by checks and keepalive.",
        f"    timeout client {SESSION_TIMEOUT}",
        f"    timeout server {SESSION_TIMEOUT}",
        f"    timeout check {CHECK_TIMEOUT_MS}ms",
        "",
        f"frontend {NAME}-in",
        *(f"    bind {token.address(address)}:{token.port(port)} backlog 4096" for port in ports),
        *(f"    bind 127.0.0.1:{token.port(port)} backlog 4096" for port in local_ports),
        '    log-format "%ci %si:%sp - [%t] %ts %B"',
        *([] if local_ports else QUIET),
        f"    default_backend {NAME}",
        "",
        f"backend {NAME}",
        "    balance roundrobin",
        *serving(targets, state_port, STATE_INTERVAL_MS, checks),
        "",
        *page(NAME, targets, state_port, checks, pulse),
        *(line for check in checks for line in ("", *checked(NAME, targets, check))),
    ]
    return "\n".join(lines) + "\n"
