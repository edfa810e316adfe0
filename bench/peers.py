"""Other tools' settings of the balancers, as data: whom `quorate drill` is compared with.

Each keeps the same hosts, programs, API servers and etcd as ours; only what stands here is another's. They were read
in public sources, named with each; there are two of each where the tools have one for nginx and one for haproxy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import peer_conf
from peer_conf import CHECK, DROP_INS, FOLDER, Spot

from quorate.component.balancer import HAPROXY_CONF, NGINX_CONF
from quorate.spec.layout import KEEPALIVED_CONF

BALANCERS = ("balancer-killed", "balancer-hung", "balancer-lost", "balancers-split")
"""Faults in which the virtual IP matters."""
SERVERS = ("apiserver-killed", "apiserver-hung", "master-lost")
"""Faults in which it matters how a balancer sees that an API server is gone."""
LOCAL_PORT = 16443
"""Of a balancer beside ours."""
LOCAL_UNIT = "quorate-peer.service"
SLEEPS = f"{DROP_INS}/quorate-upstreams.service.d/peer.conf"
"""Where nginx has no health checks, the service that makes ours sleeps: it runs, as the drill wants it."""
UNITS: Mapping[str, str] = {
    SLEEPS: "quorate-upstreams.service",
    NGINX_CONF: "nginx.service",
    HAPROXY_CONF: "haproxy.service",
    f"{DROP_INS}/{LOCAL_UNIT}": LOCAL_UNIT,
    KEEPALIVED_CONF: "keepalived.service",
}
"""The service that reads a file, in the order in which they are started."""

Files = Mapping[str, str]


@dataclass(frozen=True)
class Peer:
    """One tool's settings."""

    name: str
    title: str
    about: str
    """What of it is theirs, and what is ours all the same."""
    files: Callable[[Spot], Files]
    """What lies on a balancer, by path."""
    faults: Sequence[str]
    """Those that its settings have to do with."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long a fault is left where that must be longer than with ours: until the settings have done what they do."""
    port: int = 0
    """Where the probe goes on the host that holds the virtual IP, and only there the files are; 0: to the endpoint."""


def _asleep(files: Files) -> Files:
    return {SLEEPS: "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n", **files}


def _kubeasz_keepalived(spot: Spot, program: str, interval: int) -> str:
    """Priorities: 120, and at random from 61 to 118, here their middle: so it yields when the weight is taken off."""
    return peer_conf.keepalived(
        spot, script=f"/usr/bin/pgrep -x {program}", interval=interval, weight=-60, advert=3, priorities=(120, 90)
    )


def _kubeasz_nginx(spot: Spot) -> Files:
    """https://github.com/easzlab/kubeasz roles/ex-lb/templates: keepalived-master.conf.j2, l4lb.conf.j2, .service.j2.

    There keepalived watches the process by the kernel's events (`vrrp_track_process`, delay 3), which are told in the
    machine's first namespaces alone: here by a script every 3 s, which finds it 1.5 s sooner on average.
    """
    conf = peer_conf.nginx(
        spot,
        workers="1",
        connections=3000,
        options=" max_fails=2 fail_timeout=3s",
        server=["proxy_connect_timeout 1s;"],
    )
    return _asleep(
        {
            f"{DROP_INS}/nginx.service.d/peer.conf": "[Service]\nRestartSec=15\n",
            NGINX_CONF: conf,
            KEEPALIVED_CONF: _kubeasz_keepalived(spot, "nginx", 3),
        }
    )


def _kubeasz_haproxy(spot: Spot) -> Files:
    """https://github.com/easzlab/kubeasz roles/ex-lb/templates/haproxy.cfg.j2, as it was until nginx took its place."""
    conf = peer_conf.haproxy(
        spot,
        defaults=["timeout connect 5s", "timeout client 10m", "timeout server 10m"],
        backend=["balance roundrobin"],
        options=" check inter 5s fall 2 rise 2 weight 1",
    )
    return {HAPROXY_CONF: conf, KEEPALIVED_CONF: _kubeasz_keepalived(spot, "haproxy", 5)}


def _guide_keepalived(spot: Spot) -> Files:
    """https://github.com/kubernetes/kubeadm docs/ha-considerations.md: advertisements by keepalived's default, 1 s."""
    text = peer_conf.keepalived(
        spot,
        script=f"/bin/sh {CHECK}",
        interval=3,
        weight=-2,
        advert=1,
        priorities=(101, 100),
        more=["fall 10", "rise 2"],
    )
    return {CHECK: peer_conf.check(spot), KEEPALIVED_CONF: text}


def _guide_haproxy(spot: Spot) -> Files:
    """The same guide's haproxy.cfg. Its last `option` for checks is the one that counts."""
    times = {"queue": "20s", "connect": "5s", "client": "20s", "server": "20s", "check": "10s"}
    conf = peer_conf.haproxy(
        spot,
        defaults=["option redispatch", "retries 1", *(f"timeout {what} {value}" for what, value in times.items())],
        backend=["option ssl-hello-chk", "balance roundrobin"],
        options=" check",
    )
    return {HAPROXY_CONF: conf, **_guide_keepalived(spot)}


def _default_nginx(spot: Spot) -> Files:
    """https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html: 60 s to connect; one failure, 10 s left out."""
    return _asleep({NGINX_CONF: peer_conf.nginx(spot)})


def _default_haproxy(spot: Spot) -> Files:
    """https://docs.haproxy.org/2.6/configuration.html: no checks and no time limits unless they are asked for."""
    return {HAPROXY_CONF: peer_conf.haproxy(spot)}


def _local_nginx(spot: Spot) -> Files:
    """https://github.com/kubernetes-sigs/kubespray roles/kubernetes/node/templates/loadbalancer/nginx.conf.j2."""
    path = f"{FOLDER}/nginx.conf"
    conf = peer_conf.nginx(
        spot,
        workers="2",
        connections=16384,
        main=["worker_shutdown_timeout 10s;"],
        upstream=["least_conn;"],
        server=["proxy_timeout 10m;", "proxy_connect_timeout 1s;"],
        port=LOCAL_PORT,
        pid=f"{FOLDER}/nginx.pid",
    )
    return {path: conf, f"{DROP_INS}/{LOCAL_UNIT}": peer_conf.local("nginx", path)}


def _local_haproxy(spot: Spot) -> Files:
    """https://github.com/kubernetes-sigs/kubespray roles/kubernetes/node/templates/loadbalancer/haproxy.cfg.j2."""
    path = f"{FOLDER}/haproxy.cfg"
    times = {"queue": "5m", "connect": "30s", "client": "15m", "server": "15m", "check": "30s"}
    conf = peer_conf.haproxy(
        spot,
        defaults=["option redispatch", "retries 5", *(f"timeout {what} {value}" for what, value in times.items())],
        backend=[
            "balance leastconn",
            "default-server inter 15s downinter 15s rise 2 fall 2 slowstart 60s maxconn 1000 maxqueue 256 weight 100",
            "option httpchk GET /healthz",
            "http-check expect status 200",
        ],
        options=" check check-ssl verify none",
        port=LOCAL_PORT,
    )
    return {path: conf, f"{DROP_INS}/{LOCAL_UNIT}": peer_conf.local("haproxy", path)}


_SLOW = {"balancer-hung": 15.0, "balancer-lost": 15.0, "balancers-split": 15.0}
"""3 missed advertisements of 3 s, and up to 1 s of skew."""
_GUIDE = {"balancer-hung": 40.0, "balancer-lost": 8.0, "balancers-split": 8.0}
"""The script must fail 10 times in 30 s; 3 missed advertisements of 1 s and the skew are 3.6 s."""
_OURS = "API servers and etcd have quorate's settings"

PEERS: Mapping[str, Sequence[Peer]] = {
    "nginx": (
        Peer(
            "kubeasz",
            "advertisements every 3 s, weighted tracking",
            f"keepalived and nginx by kubeasz's values; {_OURS}",
            _kubeasz_nginx,
            (*BALANCERS, *SERVERS),
            _SLOW,
        ),
        Peer(
            "kubeadm",
            "advertisements every 1 s, a script that must fail 10 times",
            f"keepalived by the values of kubeadm's guide to high availability, by unicast; nginx, {_OURS}",
            _guide_keepalived,
            BALANCERS,
            _GUIDE,
        ),
        Peer(
            "defaults",
            "nginx' defaults",
            f"nginx without any setting of its own; keepalived, {_OURS}",
            _default_nginx,
            SERVERS,
        ),
        Peer(
            "local",
            "a balancer on the client's own host, without health checks",
            f"nginx by kubespray's values, reached at the address of a host that lives; {_OURS}",
            _local_nginx,
            SERVERS,
            port=LOCAL_PORT,
        ),
    ),
    "haproxy": (
        Peer(
            "kubeasz",
            "advertisements every 3 s, weighted tracking",
            f"keepalived and haproxy by kubeasz's values; {_OURS}",
            _kubeasz_haproxy,
            (*BALANCERS, *SERVERS),
            _SLOW,
        ),
        Peer(
            "kubeadm",
            "advertisements every 1 s, a script that must fail 10 times",
            f"keepalived and haproxy by the values of kubeadm's guide to high availability, by unicast; {_OURS}",
            _guide_haproxy,
            (*BALANCERS, *SERVERS),
            _GUIDE,
        ),
        Peer(
            "defaults",
            "haproxy's defaults",
            f"haproxy without any setting of its own, so without checks; keepalived, {_OURS}",
            _default_haproxy,
            SERVERS,
        ),
        Peer(
            "local",
            "a balancer on the client's own host, checks every 15 s",
            f"haproxy by kubespray's values, reached at the address of a host that lives; {_OURS}",
            _local_haproxy,
            SERVERS,
            port=LOCAL_PORT,
        ),
    ),
}
"""By the program that balances."""
