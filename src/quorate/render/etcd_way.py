"""haproxy as an API server's way to etcd: TCP passed through to members that are alive and follow a leader."""

from collections.abc import Mapping

from quorate.render import token
from quorate.render.two_checks import Check, checked, page, serving

NAME = "etcd"
ALIVE_FALL = 3
"""Checks without an answer until a member counts as dead and all its sessions are cut. The first waits for its turn,
each has `pace_ms` for connection and TLS, the others follow at once: with 250 ms 0.9 to 1.1 s in all. Three, for a
lost packet costs a check (TCP repeats the first one after a second)."""
HEALTHY_EVERY = "1s"
"""How often a member is asked whether it follows a leader and commits; etcd 3.4 writes an entry for each answer."""
CHECK_TIMEOUT_MS = 1500
"""Time for the answer: etcd's /health gives up after a second."""
STATE_INTERVAL_MS = 100
"""Milliseconds between two looks at what the checks have found, which haproxy asks itself on loopback."""
SESSION_TIMEOUT = "4h"
"""Silence after which a session is cut: API servers ping etcd every 30 s, so none is silent that long."""


def config(
    *,
    port: int,
    state_port: int,
    members: Mapping[str, str],
    member_port: int,
    ca_file: str,
    client_crt: str,
    pace_ms: int,
    patience: int,
    stats_socket: str,
    user: str = "haproxy",
    max_connections: int = 8192,
    nofile: int | None = None,
) -> str:
    """The whole haproxy.cfg; haproxy 2.4 or later.

    `members` are addresses by name. Whoever connects to `port` on loopback talks TLS with a member himself;
    `client_crt`, and the key beside it (`.key` for `.crt`), is what the checks show. A member is out when it gives no
    answer (`ALIVE_FALL`), or answers for longer than `patience` seconds that it is not healthy: an election, in which
    no member is, must cut nothing. When none is in, all are tried until one is. `state_port` answers 200 to `/<name>`
    and `/` as long as the member, or any, is in. `pace_ms` is the time for a connection, and between two checks.
    Raises ValueError for what is no plain address, port, name or path.
    """
    if not members:
        raise ValueError("a way to etcd needs at least one member")
    targets = {token.name(name): f"{token.address(ip)}:{token.port(member_port)}" for name, ip in members.items()}
    pace = token.number(pace_ms, 10, 3600000)
    tls = f"check-ssl verify required ca-file {token.path(ca_file)} crt {token.path(client_crt)}"
    alive = Check(
        name="alive",
        get="/version",
        expect="status 200",
        how=f"{tls} inter {pace}ms fastinter {max(pace // 5, 10)}ms fall {ALIVE_FALL} rise 2",
        comment="Costs a member nothing but TLS.",
    )
    healthy = Check(
        name="healthy",
        get="/health?exclude=NOSPACE",
        expect="status 200",
        how=f"{tls} inter {HEALTHY_EVERY} fall {token.number(patience, 1, 3600)} rise 1",
        comment="A full store answers reads and deletions.",
    )
    checks = (alive, healthy)
    some = [f"    acl some_in srv_is_up({NAME}/{name})" for name in targets]
    some.append("    http-request deny deny_status 503 if { path / } !some_in")
    lines = [
        "global",
        "    log stdout format raw daemon",
        f"    maxconn {token.number(max_connections, 16, 2**20)}",
        *([f"    ulimit-n {token.number(nofile, 64, 2**30)}"] if nofile is not None else []),
        f"    user {token.name(user)}",
        f"    group {token.name(user)}",
        f"    stats socket {token.path(stats_socket)} mode 600 level admin expose-fd listeners",
        "    ssl-load-extra-del-ext",
        "    # An old process asks nobody for health: after a reload its sessions end soon.",
        "    hard-stop-after 30s",
        "",
        "defaults",
        "    mode tcp",
        "    log global",
        "    option srvtcpka",
        f"    timeout connect {pace}ms",
        "    retries 3",
        "    option redispatch 1",
        f"    timeout client {SESSION_TIMEOUT}",
        f"    timeout server {SESSION_TIMEOUT}",
        f"    timeout check {CHECK_TIMEOUT_MS}ms",
        "",
        f"frontend {NAME}-in",
        f"    bind 127.0.0.1:{token.port(port)}",
        "    no log",
        f"    default_backend {NAME}",
        "",
        f"backend {NAME}",
        "    # Sessions are few and long: each new one goes where the fewest are.",
        "    balance leastconn",
        *serving(targets, state_port, STATE_INTERVAL_MS, checks),
        "",
        *page(NAME, targets, state_port, checks, some),
        *(line for check in checks for line in ("", *checked(NAME, targets, check))),
    ]
    return "\n".join(lines) + "\n"
