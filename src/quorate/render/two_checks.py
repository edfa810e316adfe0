"""A haproxy backend whose servers are judged by two checks each, where haproxy has one.

Two more backends, which nobody uses, check the servers. A page on loopback says in one word what both have found, and
the serving backend's own checks ask haproxy itself for that page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.render import token


@dataclass(frozen=True)
class Check:
    """One of the two."""

    name: str
    """What a server is that passes: the backend is called `<backend>-<name>`."""
    get: str
    """Path, as `option httpchk` takes it."""
    expect: str
    """What `http-check expect` takes."""
    how: str
    """What `default-server` takes, but for `check`."""
    comment: str = ""
    connect_ms: int | None = None
    """Time for connection and TLS, where it is not that of the whole configuration."""
    keeps: bool = False
    """A server that fails gets no new sessions, and keeps those that it has; else it loses them."""


def servers(targets: Mapping[str, str]) -> list[str]:
    """Server lines; `targets` are `ADDRESS:PORT` by name."""
    return [f"    server {name} {target}" for name, target in targets.items()]


def serving(targets: Mapping[str, str], port: int, every_ms: int, checks: Sequence[Check]) -> Iterable[str]:
    """Lines of the backend that serves. `port` is the page's, asked every so many milliseconds for each server."""
    yield "    option httpchk"
    yield "    http-check send meth GET uri-lf /%[srv_name]"
    for check in checks:
        if check.keeps:
            yield f"    # Not {check.name}: no new sessions; the others go on."
            yield "    http-check disable-on-404"
    state = f"check addr 127.0.0.1 port {token.port(port)} inter {every_ms}ms fall 1 rise 1"
    for each in servers(targets):
        yield f"{each} {state} on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions"
    yield "    # When no server is in, a try is better than a refusal. Nobody checks who is tried: as soon as one is"
    yield "    # in, such sessions are cut, or they would go on with one that dies later."
    yield "    option allbackups"
    yield from (f"    server {name}-unchecked {target} backup" for name, target in targets.items())


def page(backend: str, names: Iterable[str], port: int, checks: Sequence[Check], more: Iterable[str]) -> Iterable[str]:
    """The page: to `/<name>` 200 when a server passes both, else 404 or 503. `more` are lines before those."""
    yield "# What the checks above ask: the two below in one word."
    yield f"frontend {backend}-state"
    yield "    mode http"
    yield f"    bind 127.0.0.1:{token.port(port)}"
    yield "    no log"
    yield "    timeout client 5s"
    yield from more
    names = list(names)
    for check in checks:
        out = f"    http-request deny deny_status {404 if check.keeps else 503}"
        yield from (f"{out} if {{ path /{name} }} !{{ srv_is_up({backend}-{check.name}/{name}) }}" for name in names)
    yield "    http-request return status 200"


def checked(backend: str, targets: Mapping[str, str], check: Check) -> Iterable[str]:
    """The backend that does one of the checks."""
    yield f"backend {backend}-{check.name}"
    if check.comment:
        yield f"    # {check.comment}"
    yield f"    option httpchk GET {check.get}"
    if check.connect_ms is not None:
        yield f"    timeout connect {check.connect_ms}ms"
    yield f"    http-check expect {check.expect}"
    yield f"    default-server check {check.how}"
    yield from servers(targets)
