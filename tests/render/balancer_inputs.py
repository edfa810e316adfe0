"""Small inputs for the texts of the balancers."""

from typing import Any

NGINX: dict[str, Any] = {
    "ports": [6443],
    "upstreams": "/run/quorate/upstreams.conf",
    "connect_timeout_ms": 250,
    "access_log": "/var/log/nginx/k8s-access.log",
}
HAPROXY: dict[str, Any] = {
    "ports": [6443],
    "servers": {"m1": ("10.0.0.1", 6443), "m2": ("10.0.0.2", 6443)},
    "connect_timeout_ms": 250,
    "state_port": 2384,
}
KEEPALIVED: dict[str, Any] = {
    "router_id": "lb1",
    "interface": "eth0",
    "virtual_router_id": 109,
    "priority": 250,
    "advert_interval": 0.1,
    "address": "10.0.0.3",
    "peers": ["10.0.0.4"],
    "vips": {"10.0.0.100": 32},
    "vip_interface": "eth0",
    "check": "/etc/quorate/check-balancer",
    "track_file": "/run/quorate/balancer",
    "pulse_file": "/run/quorate/pulse",
}


def bare(text: str) -> list[str]:
    """Lines without indentation, comments and blank lines."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
