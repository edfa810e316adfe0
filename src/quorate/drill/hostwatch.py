"""The watch on one host, as one script that runs as long as the drill: virtual IP, services, etcd's leader.

It prints a line when something changes and a sign of life every second, by which it also notices that nobody
listens any more: a shell that writes into a closed pipe ends.
"""

from quorate.component.balancer import UPSTREAMS_LIST
from quorate.component.settings.kubelet import NAME
from quorate.drill.board import ETCD, LEFT_OUT, UNIT, VIP, Board, Topic
from quorate.pki import profiles
from quorate.render.drill import watch
from quorate.spec import layout
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.processes import on


def script(cluster: Cluster, host: Host) -> str:
    """sh for a host."""
    # It changes nothing, so nobody has to wait for its end as for that of other scripts of a run (see `render.lock`).
    parts = ["exec 2>/dev/null 9>&-", 'echo "name $(cat /proc/sys/kernel/hostname)"', "q_all=", watch.PROCESSES]
    if cluster.endpoint.vip and host.has(Role.LOAD_BALANCER):
        parts.append(watch.address(str(cluster.endpoint.vip)))
    if host.has(Role.ETCD):
        parts.append(watch.member(profiles.ETCD_CURL))
    parts.append("trap 'kill $q_all' EXIT; trap exit HUP INT TERM PIPE")
    if host.has(Role.WORKER):
        parts.append(watch.kubelet(f"{NAME}.service", layout.kubeconfig(NAME), str(cluster.network.pod_cidr)))
    nginx = cluster.balances(host) and cluster.load_balancer.kind == "nginx"
    services = [process.unit for process in on(cluster, host) if process.drilled]
    parts.append(watch.services(services, watch.left_out(UPSTREAMS_LIST) if nginx else ""))
    return "\n".join(parts)


def take(board: Board, host: str, line: str, at: float) -> None:
    """Note a line of the script; one that is not understood says nothing."""
    match line.split():
        case ["vip", "yes" | "no" as held]:
            board.note(Topic(VIP, host), at, held)
        case ["unit", unit, state, *pid]:
            board.note(Topic(UNIT, host, unit), at, " ".join([state, *pid]))
        case ["etcd", me, leader]:
            if me != "-":
                board.members[me] = host
            board.note(Topic(ETCD, host), at, leader if me != "-" else "")
        case ["alive", now] if now.isdecimal():
            board.clock(host, int(now) / 100, at)
        case ["heard", heard] if heard.isdecimal():
            board.hear(host, int(heard) / 100)
        case ["left", "out", *servers]:
            board.note(Topic(LEFT_OUT, host), at, " ".join(servers))
        case ["name", name]:
            board.hostnames[name] = host
