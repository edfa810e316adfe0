"""nginx as the API's balancer: TCP passed through to the API servers in turn, TLS untouched.

The free nginx has no active checks: `upstreams` makes them, and keeps the list of servers. What nginx does have is
tuned so that until then a dead API server costs a new connection little, and a kept one is found dead by TCP keepalive
instead of by a timeout of minutes.
"""

from collections.abc import Sequence

from quorate.render import token

NAME = "k8s-apiserver"
"""Name of the upstream and of its shared memory zone."""
PROXY_TIMEOUT = "4h"
"""Silence after which a session is cut: that of the kubelet for `exec` and `attach`, so that nginx is never
the first to give up. Dead peers are found by keepalive, not by this.
"""
KEEPALIVE = "10s:2s:3"
"""TCP keepalive of clients (idle:interval:probes): a vanished client is dropped after 16 s. Towards the API
servers nginx can only switch keepalive on; its times are the host's net.ipv4.tcp_keepalive_* settings.
"""
BACKLOG = 4096
"""Connections waiting to be accepted (nginx: 511), for the moment when all nodes of a cluster come at once
after a failover; the kernel cuts it to net.core.somaxconn.
"""
SHUTDOWN_TIMEOUT = "5m"
"""After a reload, old workers end after this time at the latest, and cut the sessions that they still have; without a
limit, watches would keep them for hours. Each API server that goes or comes is a reload, and those who use another
one should not notice: so not seconds. Each old worker with a session holds 4 MB meanwhile (nginx 1.22, 8192
connections).
"""


QUIET = (
    "    # The health check asks from here once a second; its lines would fill the disk.",
    "    map $remote_addr $from_outside {",
    "        127.0.0.1 0;",
    "        default 1;",
    "    }",
)


def stream(
    *,
    ports: Sequence[int] = (),
    local_ports: Sequence[int] = (),
    upstreams: str,
    connect_timeout_ms: int,
    access_log: str,
    address: str = "0.0.0.0",
    error_log: str = "/var/log/nginx/error.log",
    pid: str = "/run/nginx.pid",
    user: str = "www-data",
    module: str | None = None,
    workers: int | None = None,
    connections: int = 8192,
    nofile: int | None = None,
    pulse: int | None = None,
) -> str:
    """The whole nginx.conf.

    `local_ports` are of loopback alone; where there are any, its sessions are logged, too. `upstreams` is the path of
    the list of API servers. `user`: www-data on Debian, nginx on RPM
    distributions. `module` is the path of ngx_stream_module.so where it is not built in. `workers`: None is
    one for each CPU. `connections` is per worker and counts both sides of a session. `nofile` raises the
    workers' RLIMIT_NOFILE, where the host allows that. `pulse` is the port of loopback on which nginx itself answers
    HTTP. Raises ValueError for what is no plain address, port, name or path.
    """
    if not (ports or local_ports):
        raise ValueError("a balancer needs at least one port")
    listens = [f"{token.address(address)}:{token.port(port)}" for port in ports]
    listens += [f"127.0.0.1:{token.port(port)}" for port in local_ports]
    log = f"    access_log {token.path(access_log)} main"
    lines = [
        *([f"load_module {token.path(module)};"] if module else []),
        f"user {token.name(user)};",
        f"pid {token.path(pid)};",
        f"error_log {token.path(error_log)} error;",
        f"worker_processes {'auto' if workers is None else token.number(workers, 1, 1024)};",
        *([f"worker_rlimit_nofile {token.number(nofile, 64, 2**30)};"] if nofile is not None else []),
        f"worker_shutdown_timeout {SHUTDOWN_TIMEOUT};",
        "",
        "events {",
        f"    worker_connections {token.number(connections, 16, 2**20)};",
        "}",
        "",
        "stream {",
        "    log_format main '$remote_addr $upstream_addr - [$time_local] $status $upstream_bytes_sent';",
        *([f"{log};"] if local_ports else [*QUIET, f"{log} if=$from_outside;"]),
        "",
        f"    upstream {NAME} {{",
        "        # In turn; the zone lets all workers share the turn and what they know of failures.",
        f"        zone {NAME} 64k;",
        f"        include {token.path(upstreams)};",
        "    }",
        "",
        "    server {",
        *(f"        listen {listen} backlog={BACKLOG} so_keepalive={KEEPALIVE};" for listen in listens),
        f"        proxy_pass {NAME};",
        "        # A dead server costs a new connection this long, then the next one is tried.",
        f"        proxy_connect_timeout {token.number(connect_timeout_ms, 1, 3600000)}ms;",
        "        proxy_next_upstream on;",
        "        # Sessions are long and often silent; dead peers are found by keepalive.",
        f"        proxy_timeout {PROXY_TIMEOUT};",
        "        proxy_socket_keepalive on;",
        "    }",
        "}",
        *([] if pulse is None else _pulse(pulse)),
    ]
    return "\n".join(lines) + "\n"


def _pulse(port: int) -> list[str]:
    return [
        "",
        "# What the pulse asks: no API server is behind it.",
        "http {",
        "    access_log off;",
        "    server {",
        f"        listen 127.0.0.1:{token.port(port)};",
        "        return 204;",
        "    }",
        "}",
    ]
