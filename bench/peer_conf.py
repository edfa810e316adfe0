"""What other tools' settings look like as files of keepalived, nginx and haproxy: only the values are theirs.

Texts are made from a `Spot`, so that all of them balance between the same API servers on the same hosts as ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorate.render import token

FOLDER = "/run/quorate-peer"
"""Files that a reboot takes away, and that no component of ours looks at."""
CHECK = f"{FOLDER}/check"
DROP_INS = "/run/systemd/system"
"""Of higher rank than a unit's own lines, gone with a reboot."""
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
"""Where Debian has it: the lab's hosts are Debian."""


@dataclass(frozen=True)
class Spot:
    """One balancer, as its files need to know it."""

    address: str
    interface: str
    others: tuple[str, ...]
    """The other balancers' addresses."""
    first: bool
    """Whether it is the first balancer of the cluster file."""
    vip: str
    port: int
    """The endpoint's."""
    router: int
    """VRRP's virtual router id."""
    servers: Mapping[str, str]
    """Address and port of the API servers, by name."""
    nofile: int = 65536
    """Files that a process there may open."""


def keepalived(
    spot: Spot,
    *,
    script: str,
    interval: int,
    weight: int,
    advert: int,
    priorities: tuple[int, int],
    more: Sequence[str] = (),
) -> str:
    """VRRPv2 with a tracked script that lowers the priority; the first balancer is the master, and takes over again.

    `priorities` are those of the first and of the others. By unicast, whatever the guide says: so the fault that cuts
    the link between balancers means the same for all settings.
    """
    lines = [
        "global_defs {",
        "    script_user root",
        "    enable_script_security",
        "}",
        "vrrp_script check {",
        f'    script "{script}"',
        f"    interval {interval}",
        f"    weight {weight}",
        *(f"    {line}" for line in more),
        "}",
        "vrrp_instance kubernetes {",
        f"    state {'MASTER' if spot.first else 'BACKUP'}",
        f"    interface {token.interface(spot.interface)}",
        f"    virtual_router_id {spot.router}",
        f"    priority {priorities[0] if spot.first else priorities[1]}",
        f"    advert_int {advert}",
        f"    unicast_src_ip {token.address(spot.address)}",
        "    unicast_peer {",
        *(f"        {token.address(other)}" for other in spot.others),
        "    }",
        "    virtual_ipaddress {",
        f"        {token.address(spot.vip)}",
        "    }",
        "    track_script {",
        "        check",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def check(spot: Spot) -> str:
    """sh that fails when the balancer, here or by the virtual IP if that is here, gives no answer within 2 s."""
    ask = "curl -sk --noproxy '*' --max-time 2 -o /dev/null"
    vip = token.address(spot.vip)
    return (
        f"{ask} https://localhost:{spot.port}/ || exit 1\n"
        f"if ip addr | grep -qF ' {vip}/'; then {ask} https://{vip}:{spot.port}/ || exit 1; fi\n"
    )


def nginx(
    spot: Spot,
    *,
    workers: str = "auto",
    connections: int = 768,
    options: str = "",
    upstream: Sequence[str] = (),
    server: Sequence[str] = (),
    port: int = 0,
    main: Sequence[str] = (),
    pid: str = "/run/nginx.pid",
) -> str:
    """A whole nginx.conf. `options` follow each API server, `upstream`, `server` and `main` are further lines."""
    lines = [
        f"load_module {NGINX_MODULE};",
        "user www-data;",
        f"pid {pid};",
        "error_log /var/log/nginx/error.log error;",
        f"worker_processes {workers};",
        *main,
        "events {",
        f"    worker_connections {connections};",
        "}",
        "stream {",
        "    upstream api {",
        *(f"        {line}" for line in upstream),
        *(f"        server {target}{options};" for target in spot.servers.values()),
        "    }",
        "    server {",
        f"        listen 0.0.0.0:{port or spot.port};",
        "        proxy_pass api;",
        *(f"        {line}" for line in server),
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def haproxy(
    spot: Spot,
    *,
    defaults: Sequence[str] = (),
    backend: Sequence[str] = (),
    options: str = "",
    port: int = 0,
) -> str:
    """A whole haproxy.cfg. `options` follow each API server, `defaults` and `backend` are further lines.

    How many connections it takes is as with ours: it depends on what the host allows.
    """
    enough = spot.nofile >= 65536
    lines = [
        "global",
        "    log stdout format raw daemon warning",
        f"    maxconn {8192 if enough else max(256, spot.nofile // 4)}",
        *([] if enough else [f"    ulimit-n {spot.nofile}"]),
        "    user haproxy",
        "    group haproxy",
        "defaults",
        "    log global",
        "    mode tcp",
        *(f"    {line}" for line in defaults),
        "listen api",
        f"    bind 0.0.0.0:{port or spot.port}",
        *(f"    {line}" for line in backend),
        *(f"    server {name} {target}{options}" for name, target in spot.servers.items()),
    ]
    return "\n".join(lines) + "\n"


def local(kind: str, conf: str) -> str:
    """A unit of one more balancer on a host."""
    runs = {
        "nginx": ("simple", f"/usr/sbin/nginx -c {conf} -g 'daemon off;'"),
        "haproxy": ("notify", f"/usr/sbin/haproxy -Ws -f {conf}"),
    }
    type_, command = runs[kind]
    return f"[Service]\nType={type_}\nExecStart={command}\nRestart=always\nRestartSec=1s\n"
