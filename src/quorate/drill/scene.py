"""The cluster as it is just before a fault: who holds the virtual IP, who leads. Faults choose their victims by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.processes import elected

ELECTED = elected()
"""Who elects a leader by a lease of that name in kube-system."""


class Skip(Exception):
    """A fault that can't be tried here; the text says why."""


def probed(cluster: Cluster) -> Host | None:
    """Where each node has a balancer of its own: the one through which the probe goes, so as its kubelet does.

    If possible one that is nothing but a worker: it is never taken away, and masters should be.
    """
    if not cluster.endpoint.local:
        return None
    return min((*cluster.workers, *cluster.masters), key=lambda host: host.roles != (Role.WORKER,))


@dataclass(frozen=True)
class Scene:
    """A healthy cluster, and what is known of it right now."""

    cluster: Cluster
    owner: Host | None = None
    """The balancer that holds the virtual IP."""
    leader: Host | None = None
    """The host whose etcd member leads."""
    leases: Mapping[str, Host] = field(default_factory=dict)
    """The host that leads, by component of `ELECTED`."""

    @property
    def probed(self) -> Host | None:
        """See `probed`."""
        return probed(self.cluster)

    def need_owner(self) -> Host:
        """The owner of the virtual IP. Raises Skip when there is none, or no other that could take it over."""
        if self.cluster.endpoint.local:
            raise Skip("there is no virtual IP: each node has a balancer of its own")
        if not self.cluster.endpoint.vip:
            raise Skip("there is no virtual IP in the cluster file")
        if len(self.cluster.balancers) < 2:
            raise Skip("there is one load balancer only")
        if self.owner is None:
            raise Skip("it is not known which balancer holds the virtual IP")
        return self.owner

    def need_balancer(self) -> Host:
        """The host whose balancer the probe goes through. Raises Skip where none may be lost."""
        return self.probed or self.need_owner()

    def need_masters(self) -> tuple[Host, ...]:
        """The masters of which one may be lost. Raises Skip when clients can't do without one."""
        if len(self.cluster.masters) < 2:
            raise Skip("there is one control-plane host only")
        if self.cluster.front == self.cluster.masters[0].ip and not self.cluster.endpoint.local:
            raise Skip("the endpoint is the first master itself: there is no balancer in the cluster file")
        return self.cluster.masters

    def need_leader(self, component: str) -> Host:
        """The host that leads in a component. Raises Skip when it is not known."""
        if component not in self.leases:
            raise Skip(f"it is not known where {component} leads")
        return self.leases[component]

    def demand_spare(self, host: Host) -> None:
        """Raise Skip when the cluster can't do without a host, or the probe can't."""
        if host == self.probed:
            raise Skip(f"the probe goes through the balancer of {host.name}")
        if host.has(Role.ETCD) and len(self.cluster.members) < 3:
            raise Skip(f"{len(self.cluster.members)} etcd members survive no loss, and {host.name} has one")
        if host.has(Role.CONTROL_PLANE):
            self.need_masters()
        if host.has(Role.LOAD_BALANCER) and self.cluster.endpoint.vip:
            self.need_owner()

    def spare(self, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """Those of the hosts that the cluster can do without. Raises Skip when there is none."""
        found, why = [], "there is no such host"
        for host in hosts:
            try:
                self.demand_spare(host)
            except Skip as skip:
                why = str(skip)
            else:
                found.append(host)
        if not found:
            raise Skip(why)
        return tuple(found)
