"""The way to etcd on control-plane hosts: a local haproxy that leads past members that are dead.

haproxy knows within a second who is dead, and cuts what hangs on it; the API server's client connects again at once.
TLS goes through: API server and member see each other's certificates. No connection fails, not even while all members
are away: see `render.etcd_way`.

The host's own member comes first, and has its API server back when it returns: so a host that is lost takes no other's
API server along for the second in which that is found out, and the way to a member costs no network.
"""

import math
from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.policy import policy_module
from quorate.component.service import service
from quorate.component.settings import selinux
from quorate.component.turns import Enough, Turns
from quorate.render import etcd_way, journal
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import pki_files
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.layout import BALANCER, ETCD_WAY_UNIT, LOADED
from quorate.spec.ports import ETCD_CLIENT, ETCD_WAY, ETCD_WAY_ROOM, ETCD_WAY_STATE
from quorate.spec.timing import timing

NAME = "etcd_way"
AFTER: tuple[str, ...] = ("system", "trust")
MEETS: Mapping[str, Enough] = {"etcd": Enough.MOST}
TURNS = Turns.STRICT

CONF = f"{BALANCER}/etcd-way.cfg"
SELINUX = f"{BALANCER}/etcd-way.cil"
CERTIFICATES = (
    pki_files.ETCD_CA,
    pki_files.APISERVER_ETCD_CLIENT,
    pki_files.APISERVER_ETCD_CLIENT_KEY,
    pki_files.ETCD_WAY,
    pki_files.ETCD_WAY_KEY,
)


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Package, configuration, service, and health through the whole way."""
    if not host.has(Role.CONTROL_PLANE):
        return
    c, facts = context.cluster, context.of(host)
    yield from context.packages(host, "way to etcd", "haproxy")
    if facts.selinux == "enforcing" and c.os.selinux == "keep":
        yield from policy_module(host, "SELinux policy of the way to etcd", SELINUX, selinux.way(), name=selinux.WAY)
    limit = facts.nofile_limit
    text = etcd_way.config(
        port=ETCD_WAY,
        state_port=ETCD_WAY_STATE,
        room_port=ETCD_WAY_ROOM,
        members={member.name: member.ip for member in c.members},
        own=host.name if host.has(Role.ETCD) else None,
        member_port=ETCD_CLIENT,
        ca_file=pki_files.ETCD_CA,
        client_crt=pki_files.APISERVER_ETCD_CLIENT,
        room_crt=pki_files.ETCD_WAY,
        pace_ms=timing(c).connect_timeout_ms,
        patience=patience(c),
        stats_socket=f"{LOADED}/etcd-way.sock",
        max_connections=8192 if limit >= 65536 else max(256, limit // 4),
        nofile=limit if limit < 65536 else None,
    )
    yield File(host=host.name, path=CONF, content=text)
    check = ["/usr/sbin/haproxy", "-c", "-q", "-f", CONF]
    yield from service(
        context,
        host,
        ETCD_WAY_UNIT,
        description="haproxy, way of the Kubernetes API server to etcd",
        exec_start=["/usr/sbin/haproxy", "-Ws", "-f", CONF],
        type="notify",
        pre=[check],
        exec_reload=[check, "kill -USR2 $MAINPID"],
        # A member that comes or goes cuts nobody off.
        reload=True,
        # All that the API server does waits for it.
        restart_sec="100ms",
        kill_mode="mixed",
        loads=[CONF, *CERTIFICATES],
        limit_nofile=min(65536, limit),
    )
    yield Ready(
        host=host.name,
        what="way to etcd",
        # As the API server goes it: the members' certificates must have the name 127.0.0.1.
        check=f"curl -gsf --noproxy '*' --max-time 3 --cacert {pki_files.ETCD_CA} "
        f"--cert {pki_files.APISERVER_ETCD_CLIENT} --key {pki_files.APISERVER_ETCD_CLIENT_KEY} "
        f'https://127.0.0.1:{ETCD_WAY}/health | grep -q \'"health":"true"\'',
        within=90,
        evidence=journal.last(ETCD_WAY_UNIT),
    )


def patience(c: Cluster) -> int:
    """Seconds that all members may be without a leader before sessions are cut: two elections, of which each takes up
    to twice its timeout, and one more. With 500 ms: 3 s.
    """
    return math.ceil(4 * timing(c).election_ms / 1000) + 1
