"""haproxy as an API server's way to etcd: TCP passed through to a member that is alive and follows a leader.

An API server's clients of etcd (grpc) wait after each connection that failed, longer each time, up to two minutes, and
begin anew only after one that did not. So no connection fails here: while no member answers there is a waiting room,
which speaks TLS and HTTP/2 as a member does and lets requests wait. As soon as a member is back the room is emptied,
and its clients, who know of no failure, connect again at once.
"""

from collections.abc import Iterable, Mapping

from quorate.render import token
from quorate.render.two_checks import Check, checked

NAME = "etcd"
ROOM, SHUT = "waiting_room", "shut_door"
"""Servers besides the members; no host has an underscore in its name."""
ALIVE_FALL = 3
"""Checks without an answer until a member counts as dead and all its sessions are cut. The first waits for its turn,
each has its time for connection and TLS, the others follow at once. Three, for a lost packet costs a check (TCP repeats
the first one after a second)."""
ALIVE_EVERY_MS, ALIVE_AGAIN_MS, ALIVE_CONNECT_MS = 500, 100, 1500
"""Where one member is its own, which no network parts from it: one that has ended refuses, and is out within 0.8 s; one
that hangs within 5. Host and member are slow together, and who is only slow must not be cut off. For a way without a
member of its own `pace_ms` stands for the first and the last, and a fifth of it for the second: with 250 ms a host that
is lost is found in 0.9 to 1.1 s."""
HEALTHY_EVERY = "1s"
"""How often a member is asked whether it follows a leader and commits; etcd 3.4 writes an entry for each answer."""
HEALTHY_AGAIN = "200ms"
"""How often one that is not."""
HEALTHY_CONNECT_MS = 3000
"""Time for connection and TLS of that: as long as one of the members was healthy by this check and none is known to be
alive, all may only be slow, and those are tried."""
CHECK_TIMEOUT_MS = 1500
"""Time for the answer: etcd's /health gives up after a second."""
STATE_INTERVAL_MS = 100
"""Milliseconds between two looks at what the checks have found, which haproxy asks itself on loopback."""
RETRIES = 40
"""Further tries of a connection that is refused, `pace_ms` apart while one member has all: with 250 ms for 10 s, and
meanwhile the room opens; grpc gives up after 20 s. Where several are in, the next is tried at once."""
SESSION_TIMEOUT = "4h"
"""Silence after which a session is cut: API servers ping etcd every 30 s, so none is silent that long."""


def config(
    *,
    port: int,
    state_port: int,
    room_port: int,
    members: Mapping[str, str],
    own: str | None,
    member_port: int,
    ca_file: str,
    client_crt: str,
    room_crt: str,
    pace_ms: int,
    patience: int,
    stats_socket: str,
    user: str = "haproxy",
    max_connections: int = 8192,
    nofile: int | None = None,
) -> str:
    """The whole haproxy.cfg; haproxy 2.4 or later.

    `members` are addresses by name. Whoever connects to `port` on loopback talks TLS with a member himself: with that
    called `own` as long as it is in, else with the first of the others; without one of its own, with any. `client_crt`,
    and the key beside it (`.key` for `.crt`), is what the checks show; `room_crt` likewise what the waiting room on
    `room_port` shows, to those who have a certificate of `ca_file`.

    A member is out when it gives no answer (`ALIVE_FALL`), or answers for longer than `patience` seconds that it is not
    healthy: an election, in which no member is, must cut nothing. When none is healthy, all that are alive are in; when
    none is alive, all that count as healthy still; and then the room is open, until one is alive and healthy: what is
    proposed to a member that has no leader yet may hang for 7 s.
    `state_port` answers 200 to `/<name>` as long as the member is in, and to `/` as long as one is alive and healthy.
    `pace_ms` is the time for a connection, and between two checks.
    Raises ValueError for what is no plain address, port, name or path, and for a stranger as `own`.
    """
    if not members:
        raise ValueError("a way to etcd needs at least one member")
    if own is not None and own not in members:
        raise ValueError("a way to etcd has one of the members as its own at most")
    targets = {token.name(name): f"{token.address(ip)}:{token.port(member_port)}" for name, ip in members.items()}
    pace = token.number(pace_ms, 10, 3600000)
    tls = f"check-ssl verify required ca-file {token.path(ca_file)} crt {token.path(client_crt)}"
    every, again, within = ALIVE_EVERY_MS, ALIVE_AGAIN_MS, ALIVE_CONNECT_MS
    if own is None:
        every, again, within = pace, max(pace // 5, 10), pace
    alive = Check(
        name="alive",
        get="/version",
        expect="status 200",
        # One that is back is asked as often as one that may be dead: everybody waits for it.
        how=f"{tls} inter {every}ms fastinter {again}ms downinter {again}ms fall {ALIVE_FALL} rise 2",
        comment="Costs a member nothing but TLS.",
        connect_ms=within,
    )
    healthy = Check(
        name="healthy",
        get="/health?exclude=NOSPACE",
        expect="status 200",
        how=f"{tls} inter {HEALTHY_EVERY} downinter {HEALTHY_AGAIN} fall {token.number(patience, 1, 3600)} rise 1",
        comment="A full store answers reads and deletions.",
        connect_ms=max(HEALTHY_CONNECT_MS, pace),
    )
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
        f"    retries {RETRIES}",
        "    option redispatch 1",
        f"    timeout client {SESSION_TIMEOUT}",
        f"    timeout server {SESSION_TIMEOUT}",
        f"    timeout tarpit {SESSION_TIMEOUT}",
        f"    timeout check {CHECK_TIMEOUT_MS}ms",
        "",
        f"frontend {NAME}-in",
        f"    bind 127.0.0.1:{token.port(port)}",
        "    no log",
        f"    default_backend {NAME}",
        "",
        *_serving(targets, own, state_port, room_port),
        "",
        f"frontend {NAME}-waiting",
        "    mode http",
        f"    bind 127.0.0.1:{token.port(room_port)} ssl crt {token.path(room_crt)} ca-file {token.path(ca_file)} "
        "verify required alpn h2",
        "    no log",
        "    http-request tarpit deny_status 503",
        "",
        *_page(targets, state_port),
        *(line for check in (alive, healthy) for line in ("", *checked(NAME, targets, check))),
    ]
    return "\n".join(lines) + "\n"


def _serving(targets: Mapping[str, str], own: str | None, state_port: int, room_port: int) -> Iterable[str]:
    """The backend in which sessions are; whoever is its own comes first, and takes them back when it returns."""
    yield f"backend {NAME}"
    yield "    # Sessions are few and long: each new one goes where the fewest are. Of backups the first that is in has"
    yield "    # all."
    yield "    balance leastconn"
    yield "    option httpchk"
    yield "    http-check send meth GET uri-lf /%[srv_name]"
    state = f"check addr 127.0.0.1 port {token.port(state_port)} inter {STATE_INTERVAL_MS}ms fall 1 rise 1 "
    state += "on-marked-down shutdown-sessions"
    for name, target in sorted(targets.items(), key=lambda each: each[0] != own):
        yield f"    server {name} {target} {state} " + (
            "on-marked-up shutdown-backup-sessions" if own in (name, None) else "backup"
        )
    yield f"    server {ROOM} 127.0.0.1:{token.port(room_port)} {state} backup"
    yield "    # Nobody listens there: for the moment in which the last member is out and the room is not open yet."
    yield f"    server {SHUT} 127.0.0.1:1 backup"


def _page(targets: Mapping[str, str], port: int) -> Iterable[str]:
    """The page that the backend's checks ask: what the two below have found, and whether the room is open."""
    yield "# What the checks above ask: the two below in one word."
    yield f"frontend {NAME}-state"
    yield "    mode http"
    yield f"    bind 127.0.0.1:{token.port(port)}"
    yield "    no log"
    yield "    timeout client 5s"
    for name in targets:
        alive, healthy = (f"{{ srv_is_up({NAME}-{what}/{name}) }}" for what in ("alive", "healthy"))
        yield f"    acl some_in srv_is_up({NAME}/{name})"
        yield f"    acl some_alive srv_is_up({NAME}-alive/{name})"
        yield f"    http-request set-var(txn.well) bool(true) if {alive} {healthy}"
    yield "    acl some_well var(txn.well) -m bool"
    out = "    http-request deny deny_status 503 if"
    yield f"{out} {{ path / }} !some_well"
    yield f"{out} {{ path /{ROOM} }} some_in"
    for name in targets:
        alive, healthy = (f"!{{ srv_is_up({NAME}-{what}/{name}) }}" for what in ("alive", "healthy"))
        yield f"{out} {{ path /{name} }} {alive} some_alive"
        yield f"{out} {{ path /{name} }} {healthy} some_well"
        yield f"{out} {{ path /{name} }} {alive} {healthy}"
        yield f"{out} {{ path /{name} }} {healthy} {{ srv_is_up({NAME}/{ROOM}) }}"
    yield "    http-request return status 200"
