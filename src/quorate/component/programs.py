"""Programs that kubelet, kube-proxy and Docker call; not in `system`, so that etcd does not wait."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Host, Role

NAME = "programs"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


def names(c: Cluster, manager: str) -> tuple[str, ...]:
    """Packages of a worker, by their name in the host's distribution."""
    # kube-proxy forgets UDP flows of endpoints that are gone.
    found = ["conntrack" if manager == "apt" else "conntrack-tools", "kmod"]
    if c.runtime.kind == "docker":
        found.append("socat")  # dockershim's port-forward
    if c.network.proxy_mode == "ipvs":
        found.append("ipset")
    if c.network.proxy_mode == "nftables":
        found.append("nftables")
    return tuple(found)


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """The packages, on workers."""
    if host.has(Role.WORKER):
        yield from context.packages(host, "programs", *names(context.cluster, context.of(host).package_manager))
