"""The faults, in the order in which they are tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quorate.core import UsageError
from quorate.drill import targets
from quorate.drill.injections import hung, killed, killed_whole, stopped, terminated
from quorate.drill.scene import ELECTED
from quorate.drill.targets import SelectTarget
from quorate.spec.cluster import Cluster

CONTROLLERS, SCHEDULER = ELECTED


@dataclass(frozen=True)
class Fault:
    """One way in which a cluster fails."""

    name: str
    """What it is called on the command line."""
    title: str
    select: SelectTarget
    seconds: float
    """How long it is left broken: long enough to see what becomes of it; a killed process starts again by itself."""
    goals: Mapping[str, float] = field(default_factory=dict)
    """Longest gap aimed at by stream, in seconds; 0: no request may fail. The project's own; none: it is measured."""
    loops: float | None = None
    """Seconds within which somebody else is to lead, if that is a goal."""
    kubelets: float | None = None
    """Seconds within which every kubelet is to hear the API again, if that is a goal."""


def _goals(new: float, kept: float, writes: float) -> Mapping[str, float]:
    return {"new": new, "kept": kept, "writes": writes}


_BALANCER, _KILLED, _NONE = _goals(0.15, 0.5, 0.5), _goals(0.05, 0.5, 0.5), _goals(0, 0, 0)
_TAKEN = _goals(2, 2, 2)
"""What others take away, keepers put back: they look every second."""
_RENEWED = _goals(0.5, 1, 1)
KUBELET_BACK_S = 10.0
"""A kubelet whose connection hangs finds out in 8 s (`HTTP2_IDLE_S` and `HTTP2_PING_S`) and has 2 to come again: a
fourth of the 40 s and more after which a silent node counts as lost."""

_SERVING: Sequence[Fault] = (
    Fault("balancer-killed", "balancer's main process killed", targets.balancer(killed), 2, _BALANCER),
    Fault("balancer-stopped", "balancer's whole service killed", targets.balancer(killed_whole), 2, _BALANCER),
    Fault("balancer-hung", "balancer hangs", targets.balancer(hung), 4, _BALANCER),
    Fault("balancer-lost", "balancer host lost", targets.balancer_host, 4, _goals(0.4, 1, 1)),
    Fault("balancers-split", "link between balancers cut and healed", targets.balancers_split, 4, _goals(0.5, 1, 1)),
    Fault("keepalived-killed", "keepalived killed", targets.keepalived(killed_whole), 2),
    # As long as the slowest of those who put routes and rules back, which look every 10 s.
    Fault("network-restarted", "network service restarted", targets.network_restarted, 12, _TAKEN),
    Fault("firewall-reloaded", "firewall reloaded", targets.firewall_reloaded, 12, _TAKEN),
    Fault("address-renewed", "own address renewed, then balancer killed", targets.address_renewed, 5, _RENEWED),
    Fault("apiserver-killed", "API server killed", targets.apiserver(killed_whole), 2, _KILLED),
    Fault("apiserver-terminated", "API server restarted in good order", targets.apiserver(terminated), 6, _NONE),
    Fault("apiserver-hung", "API server hangs", targets.apiserver(hung), 5, _goals(1, 2, 2)),
    Fault("master-lost", "master host lost", targets.master_host, 8, _goals(0.5, 1, 1.5)),
    Fault("member-killed", "etcd follower killed", targets.member(killed_whole), 2),
    Fault("member-lost", "etcd follower's host lost", targets.member_host, 4),
    Fault("leader-lost", "etcd leader's host lost", targets.leader_host, 5, _goals(0.5, 1, 1.5)),
)
"""Faults of what stands between kubelets and etcd."""

FAULTS: Sequence[Fault] = (
    *(replace(fault, kubelets=KUBELET_BACK_S) for fault in _SERVING),
    *(
        Fault(f"{short}-{word}", f"leading {name} {what}", targets.leading(name, how), 2, _NONE, loops)
        for short, name in (("controller-manager", CONTROLLERS), ("scheduler", SCHEDULER))
        for word, what, how, loops in (
            ("killed", "killed", killed_whole, 6),
            ("terminated", "restarted in good order", terminated, 1),
        )
    ),
    Fault("worker-lost", "worker host lost", targets.worker_host, 5),
    Fault("kubelet-stopped", "kubelet stopped", targets.kubelet(stopped), 5),
    Fault("loss-one-way", "a master gets nothing from the other hosts", targets.master_deaf, 6),
    Fault("loss-30", f"a master loses {targets.LOSS} % of its packets", targets.master_lossy, 8),
    Fault("delay-100", f"a master's packets are {targets.DELAY} ms late", targets.master_slow, 6),
)


_BACK = _goals(2, 2, 2)
"""Nobody takes its place: its unit starts it after 0.5 s, and a busy core takes as long again for it."""
_OWN: Mapping[str, Mapping[str, Any]] = {
    "balancer-killed": {"goals": _BACK},
    "balancer-stopped": {"goals": _BACK},
    # Left for as long as its watchdog needs and more: 3.5 s until it is sure, and the start.
    "balancer-hung": {"goals": _goals(6, 6, 6), "seconds": 10},
    # With a host's last address all its routes go; those to pods come back as after network-restarted.
    "address-renewed": {"title": "own address renewed", "goals": _TAKEN, "seconds": 12},
}
"""What is different where each node has a balancer of its own."""


def fitted(fault: Fault, cluster: Cluster) -> Fault:
    """The fault as it is tried on a cluster."""
    return replace(fault, **_OWN.get(fault.name, {})) if cluster.endpoint.local else fault


def named(names: Sequence[str]) -> tuple[Fault, ...]:
    """The faults of these names, in the order of the catalog; all for none. Raises QuorateError."""
    known = {fault.name for fault in FAULTS}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no fault {name}", "`quorate drill --list` names them")
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
