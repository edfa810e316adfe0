"""nginx, haproxy and keepalived: exact texts of small inputs; whatever is no plain token is refused."""

import ipaddress
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from balancer_inputs import HAPROXY, KEEPALIVED, NGINX, bare
from hostile import hostile
from hypothesis import given

from quorate.render import haproxy, keepalived, nginx


def test_nginx() -> None:
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    assert bare(nginx.stream(**NGINX, module=module, nofile=65536)) == [
        f"load_module {module};",
        "user www-data;",
        "pid /run/nginx.pid;",
        "error_log /var/log/nginx/error.log error;",
        "worker_processes auto;",
        "worker_rlimit_nofile 65536;",
        "worker_shutdown_timeout 5m;",
        "events {",
        "worker_connections 8192;",
        "}",
        "stream {",
        "log_format main '$remote_addr $upstream_addr - [$time_local] $status $upstream_bytes_sent';",
        "map $remote_addr $from_outside {",
        "127.0.0.1 0;",
        "default 1;",
        "}",
        "access_log /var/log/nginx/k8s-access.log main if=$from_outside;",
        "upstream k8s-apiserver {",
        "zone k8s-apiserver 64k;",
        "include /run/quorate/upstreams.conf;",
        "}",
        "server {",
        "listen 0.0.0.0:6443 backlog=4096 so_keepalive=10s:2s:3;",
        "proxy_pass k8s-apiserver;",
        "proxy_connect_timeout 250ms;",
        "proxy_next_upstream on;",
        "proxy_timeout 4h;",
        "proxy_socket_keepalive on;",
        "}",
        "}",
    ]


def test_nginx_of_a_host_for_itself_listens_on_loopback_and_logs_it() -> None:
    lines = bare(nginx.stream(**{**NGINX, "ports": []}, local_ports=[6444]))
    assert [line for line in lines if line.startswith("listen")] == [
        "listen 127.0.0.1:6444 backlog=4096 so_keepalive=10s:2s:3;"
    ]
    assert "access_log /var/log/nginx/k8s-access.log main;" in lines
    assert not [line for line in lines if "from_outside" in line]
    with pytest.raises(ValueError, match="at least one port"):
        nginx.stream(**{**NGINX, "ports": []})


def test_nginx_asks_nothing_that_was_not_wanted() -> None:
    assert not re.search("load_module|rlimit|http", nginx.stream(**NGINX))


def test_keepalived() -> None:
    assert bare(keepalived.config(**KEEPALIVED)) == [
        "global_defs {",
        "router_id lb1",
        "vrrp_version 3",
        "vrrp_check_unicast_src",
        "vrrp_garp_master_refresh 10",
        "vrrp_garp_master_delay 1",
        "vrrp_higher_prio_send_advert true",
        "vrrp_priority -20",
        "vrrp_no_swap",
        "script_user root",
        "enable_script_security",
        "}",
        "track_file balancer_runs {",
        "file /run/quorate/balancer",
        "weight 0",
        "init_file 1",
        "}",
        "track_file balancer_pulse {",
        "file /run/quorate/pulse",
        "weight 0",
        "init_file 0",
        "}",
        "vrrp_script balancer_answers {",
        "script /etc/quorate/check-balancer",
        "interval 1",
        "timeout 3",
        "fall 2",
        "rise 1",
        "weight 0",
        "}",
        "vrrp_instance kubernetes {",
        "state BACKUP",
        "nopreempt",
        "interface eth0",
        "virtual_router_id 109",
        "priority 250",
        "advert_int 0.1",
        "unicast_src_ip 10.0.0.3",
        "unicast_peer {",
        "10.0.0.4",
        "}",
        "virtual_ipaddress {",
        "127.255.255.254/32 dev lo scope host no_track",
        "}",
        "virtual_ipaddress_excluded {",
        "10.0.0.100/32 dev eth0",
        "}",
        "track_file {",
        "balancer_runs",
        "balancer_pulse",
        "}",
        "track_script {",
        "balancer_answers",
        "}",
        "}",
    ]


def test_keepalived_alone_has_no_pulse_and_speaks_to_nobody() -> None:
    text = keepalived.config(**{**KEEPALIVED, "peers": []})
    assert "pulse" not in text
    assert re.search(r"unicast_peer \{\n +127.255.255.254\n +\}", text)


PEERS = ("10.0.0.12", "10.0.0.13")


def test_health_script_is_sh() -> None:
    text = keepalived.health_script(port=6443, peers=PEERS)
    assert text.startswith("#!/bin/sh\n")
    subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    ("answering", "code"),
    [
        (["127.0.0.1", *PEERS], 0),
        (["127.0.0.1"], 0),
        (["10.0.0.12"], 1),
        (["10.0.0.13"], 1),
        ([], 0),
    ],
    ids=["all", "only ours", "one peer does better", "another does better", "nobody: moving helps nobody"],
)
def test_health_script_fails_only_when_a_peer_does_better(tmp_path: Path, answering: list[str], code: int) -> None:
    cases = "\n".join(f"*//{address}:6443/readyz) exit 0;;" for address in answering)
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\nfor last; do :; done\ncase "$last" in\n{cases}\nesac\nexit 28\n')
    curl.chmod(0o755)
    text = keepalived.health_script(port=6443, peers=PEERS)
    done = subprocess.run(["/bin/sh"], input=text, text=True, check=False, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == code


def test_mark_and_drop(tmp_path: Path) -> None:
    path = tmp_path / "balancer"
    for up, said in ((True, "0\n"), (False, "1\n")):
        subprocess.run(["/bin/sh", "-ec", keepalived.mark(str(path), up=up)], check=True)
        assert path.read_text() == said
    assert "for vip in 10.0.0.100 10.0.0.101 127.255.255.254; do\n" in keepalived.drop(["10.0.0.100", "10.0.0.101"])


RENDERERS: list[tuple[Callable[..., str], Mapping[str, Any], list[str]]] = [
    (nginx.stream, NGINX, ["upstreams", "access_log", "address", "error_log", "pid", "user", "module"]),
    (haproxy.config, HAPROXY, ["address", "ca_file", "client_pem", "log", "stats_socket", "user"]),
    (
        keepalived.config,
        KEEPALIVED,
        ["router_id", "interface", "vip_interface", "address", "check", "track_file", "pulse_file"],
    ),
]
FIELDS = [(call, good, field) for call, good, fields in RENDERERS for field in fields]
NAMES = [f"{call.__module__.rpartition('.')[2]}-{field}" for call, _, field in FIELDS]


@pytest.mark.parametrize(("call", "good", "field"), FIELDS, ids=NAMES)
@given(hostile())
def test_only_plain_tokens(call: Callable[..., str], good: Mapping[str, Any], field: str, text: str) -> None:
    try:
        made = call(**{**good, field: text})
    except ValueError:
        return
    if text or field not in ("module", "ca_file", "client_pem", "user"):
        assert re.fullmatch(r"[A-Za-z0-9_./+-]+", text)
        assert text in made


@given(hostile())
def test_servers_and_peers_are_addresses(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        for call, good, bad in [
            (haproxy.config, HAPROXY, {"servers": {"a": (text, 1)}}),
            (haproxy.config, HAPROXY, {"servers": {f"a {text}": ("10.0.0.1", 1)}}),
            (keepalived.config, KEEPALIVED, {"peers": [text]}),
            (keepalived.config, KEEPALIVED, {"vips": {text: 32}}),
        ]:
            with pytest.raises(ValueError, match="not a"):
                call(**{**good, **bad})


@pytest.mark.parametrize(
    ("call", "good", "bad"),
    [
        (nginx.stream, NGINX, {"ports": [0]}),
        (nginx.stream, NGINX, {"ports": [65536]}),
        (nginx.stream, NGINX, {"ports": [True]}),
        (nginx.stream, NGINX, {"ports": ["6443; include x"]}),
        (nginx.stream, NGINX, {"ports": []}),
        (haproxy.config, HAPROXY, {"ports": []}),
        (nginx.stream, NGINX, {"workers": 0}),
        (nginx.stream, NGINX, {"access_log": "/var/../etc/passwd"}),
        (haproxy.config, HAPROXY, {"servers": {}}),
        (haproxy.config, HAPROXY, {"expect": ()}),
        (haproxy.config, HAPROXY, {"expect": (20,)}),
        (keepalived.config, KEEPALIVED, {"virtual_router_id": 0}),
        (keepalived.config, KEEPALIVED, {"priority": 255}),
        (keepalived.config, KEEPALIVED, {"vips": {"10.0.0.100": 33}}),
        (keepalived.config, KEEPALIVED, {"advert_interval": 0.001}),
        (keepalived.config, KEEPALIVED, {"advert_interval": float("nan")}),
        (keepalived.config, KEEPALIVED, {"peers": ["10.0.0.3"]}),
        (nginx.stream, NGINX, {"pulse": 0}),
        (haproxy.config, HAPROXY, {"state_port": 65536}),
    ],
)
def test_refused(call: Callable[..., str], good: Mapping[str, Any], bad: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        call(**{**good, **bad})
