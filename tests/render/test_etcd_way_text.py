"""The way to etcd as text: what it says exactly, and what it refuses."""

import re
from typing import Any

import pytest
from hostile import hostile
from hypothesis import given

from quorate.render import etcd_way

WAY: dict[str, Any] = {
    "port": 2382,
    "state_port": 2383,
    "room_port": 2385,
    "members": {"m1": "10.0.0.1", "n1": "10.0.0.2"},
    "own": None,
    "member_port": 2379,
    "ca_file": "/etc/kubernetes/pki/etcd-ca.crt",
    "client_crt": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
    "room_crt": "/etc/kubernetes/pki/etcd-way.crt",
    "pace_ms": 250,
    "patience": 3,
    "stats_socket": "/run/quorate/etcd-way.sock",
}
SHOWN = (
    "default-server check check-ssl verify required ca-file /etc/kubernetes/pki/etcd-ca.crt "
    "crt /etc/kubernetes/pki/apiserver-etcd-client.crt"
)
CHECKED = "check addr 127.0.0.1 port 2383 inter 100ms fall 1 rise 1 on-marked-down shutdown-sessions"
SERVERS = ["server m1 10.0.0.1:2379", "server n1 10.0.0.2:2379"]


def sections(text: str) -> dict[str, list[str]]:
    """Lines by the section that they stand in, without comments."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.strip() and not line.strip().startswith("#"):
            if line[0] != " ":
                mine = found[line] = []
            else:
                mine.append(line.strip())
    return found


def test_what_it_says() -> None:
    said = sections(etcd_way.config(**WAY))
    assert list(said) == [
        "global",
        "defaults",
        "frontend etcd-in",
        "backend etcd",
        "frontend etcd-waiting",
        "frontend etcd-state",
        "backend etcd-alive",
        "backend etcd-healthy",
    ]
    assert said["frontend etcd-in"] == [
        "bind 127.0.0.1:2382",
        "no log",
        "default_backend etcd",
    ]
    assert said["backend etcd"] == [
        "balance leastconn",
        "option httpchk",
        "http-check send meth GET uri-lf /%[srv_name]",
        *(f"{server} {CHECKED} on-marked-up shutdown-backup-sessions" for server in SERVERS),
        f"server waiting_room 127.0.0.1:2385 {CHECKED} backup",
        "server shut_door 127.0.0.1:1 backup",
    ]
    assert said["frontend etcd-waiting"] == [
        "mode http",
        "bind 127.0.0.1:2385 ssl crt /etc/kubernetes/pki/etcd-way.crt ca-file /etc/kubernetes/pki/etcd-ca.crt "
        "verify required alpn h2",
        "no log",
        "http-request tarpit deny_status 503",
    ]
    assert said["frontend etcd-state"] == [
        "mode http",
        "bind 127.0.0.1:2383",
        "no log",
        "timeout client 5s",
        *(
            line
            for name in ("m1", "n1")
            for line in (
                f"acl some_in srv_is_up(etcd/{name})",
                f"acl some_alive srv_is_up(etcd-alive/{name})",
                "http-request set-var(txn.well) bool(true) "
                f"if {{ srv_is_up(etcd-alive/{name}) }} {{ srv_is_up(etcd-healthy/{name}) }}",
            )
        ),
        "acl some_well var(txn.well) -m bool",
        "http-request deny deny_status 503 if { path / } !some_well",
        "http-request deny deny_status 503 if { path /waiting_room } some_in",
        *(
            f"http-request deny deny_status 503 if {{ path /{name} }} {how}"
            for name in ("m1", "n1")
            for how in (
                f"!{{ srv_is_up(etcd-alive/{name}) }} some_alive",
                f"!{{ srv_is_up(etcd-healthy/{name}) }} some_well",
                f"!{{ srv_is_up(etcd-alive/{name}) }} !{{ srv_is_up(etcd-healthy/{name}) }}",
                f"!{{ srv_is_up(etcd-healthy/{name}) }} {{ srv_is_up(etcd/waiting_room) }}",
            )
        ),
        "http-request return status 200",
    ]
    assert said["backend etcd-alive"][0] == "option httpchk GET /version"
    assert said["backend etcd-alive"][1] == "timeout connect 250ms"
    assert said["backend etcd-alive"][3:] == [
        f"{SHOWN} inter 250ms fastinter 50ms downinter 50ms fall 3 rise 2",
        *SERVERS,
    ]
    assert said["backend etcd-healthy"][0] == "option httpchk GET /health?exclude=NOSPACE"
    assert said["backend etcd-healthy"][1] == "timeout connect 3000ms"
    assert said["backend etcd-healthy"][3:] == [f"{SHOWN} inter 1s downinter 200ms fall 3 rise 1", *SERVERS]
    assert "timeout connect 250ms" in said["defaults"]


def test_with_a_member_of_its_own_who_is_slow_is_not_dead() -> None:
    said = sections(etcd_way.config(**WAY | {"own": "n1"}))["backend etcd-alive"]
    assert said[1] == "timeout connect 1500ms"
    assert said[3] == f"{SHOWN} inter 500ms fastinter 100ms downinter 100ms fall 3 rise 2"


def test_its_own_member_has_its_sessions_back_and_the_others_come_one_after_the_other() -> None:
    (backend,) = [
        lines for name, lines in sections(etcd_way.config(**WAY | {"own": "n1"})).items() if name == "backend etcd"
    ]
    assert [line for line in backend if line.startswith("server")] == [
        f"{SERVERS[1]} {CHECKED} on-marked-up shutdown-backup-sessions",
        f"{SERVERS[0]} {CHECKED} backup",
        f"server waiting_room 127.0.0.1:2385 {CHECKED} backup",
        "server shut_door 127.0.0.1:1 backup",
    ]


def test_a_limit_that_can_not_be_raised_is_not_tried() -> None:
    assert "ulimit-n" not in etcd_way.config(**WAY)
    assert "    ulimit-n 1024\n" in etcd_way.config(**WAY, nofile=1024)


@pytest.mark.parametrize("field", ["ca_file", "client_crt", "room_crt", "stats_socket", "user"])
@given(hostile())
def test_only_plain_words_get_in(field: str, text: str) -> None:
    try:
        made = etcd_way.config(**WAY | {field: text})
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_./+-]+", text)
    assert text in made


@given(hostile())
def test_members_have_names_and_addresses(text: str) -> None:
    for members in ({"m1": text}, {f"m {text}": "10.0.0.1"}):
        with pytest.raises(ValueError, match=r"not a"):
            etcd_way.config(**WAY | {"members": members})


@pytest.mark.parametrize(
    "change",
    [
        {"members": {}},
        {"own": "m9"},
        {"port": 0},
        {"room_port": 0},
        {"state_port": 70000},
        {"member_port": -1},
        {"pace_ms": 0},
        {"patience": 0},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one|as its own|not a number"):
        etcd_way.config(**WAY | change)
