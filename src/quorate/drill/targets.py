"""Whom a fault hits: pure functions from a scene to what is to be broken. Each raises Skip where it can't be tried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from quorate.drill import injections, site
from quorate.drill.scene import Scene, Skip
from quorate.execute.outage import Injection
from quorate.spec.cluster import Host, Role

APISERVER = "kube-apiserver.service"
LOSS = 30
"""Percent."""
DELAY = 100
"""Milliseconds."""


@dataclass(frozen=True)
class Experiment:
    """What is broken in one run."""

    injections: tuple[Injection, ...]

    @property
    def label(self) -> str:
        """Host, and service if only that is hit."""
        return ", ".join(each.label for each in self.injections)

    @property
    def cut(self) -> frozenset[str]:
        """Names of the hosts that nobody reaches meanwhile."""
        return frozenset(each.host.name for each in self.injections if each.cut)


SelectTarget = Callable[[Scene, Random], Experiment]
OfUnit = Callable[[Host, str], Injection]


def balancer(how: OfUnit) -> SelectTarget:
    """The balancing program of the virtual IP's owner, or where nodes have their own that of the probe's node."""
    return lambda scene, _rng: Experiment((how(scene.need_balancer(), f"{scene.cluster.load_balancer.kind}.service"),))


def keepalived(how: OfUnit) -> SelectTarget:
    """keepalived of the virtual IP's owner."""
    return lambda scene, _rng: Experiment((how(scene.need_owner(), "keepalived.service"),))


def balancer_host(scene: Scene, _rng: Random) -> Experiment:
    """The host that holds the virtual IP, from everybody."""
    owner = scene.need_owner()
    scene.demand_spare(owner)
    return Experiment((injections.cut(owner),))


def balancers_split(scene: Scene, _rng: Random) -> Experiment:
    """The owner of the virtual IP, from the other balancers alone."""
    owner = scene.need_owner()
    return Experiment((injections.apart(owner, scene.cluster.balancers),))


def network_restarted(scene: Scene, rng: Random) -> Experiment:
    """The network service of the virtual IP's owner; of any worker where each has its own way to the API."""
    if scene.cluster.endpoint.local:
        return Experiment((site.restarted(_unprobed(scene, rng)),))
    owner, vip = scene.need_owner(), scene.cluster.endpoint.vip
    return Experiment((site.restarted(owner, vip),))


def address_renewed(scene: Scene, rng: Random) -> Experiment:
    """The own address of the virtual IP's owner, whose balancer then ends; else that of any worker, which has no more
    to lose by it.
    """
    if scene.cluster.endpoint.local:
        return Experiment((site.renewed(_unprobed(scene, rng)),))
    return Experiment((site.renewed(scene.need_owner(), f"{scene.cluster.load_balancer.kind}.service"),))


def firewall_reloaded(scene: Scene, rng: Random) -> Experiment:
    """The firewalls of the virtual IP's owner, or of any master where there is none but each node finds all masters,
    and of any worker: the way to the API, and that to services.
    """
    front = rng.choice(scene.cluster.masters) if scene.cluster.endpoint.local else scene.owner
    workers = _need_workers(scene) if front is None else scene.cluster.workers
    hosts = [*([front] if front else []), *([rng.choice(workers)] if workers else [])]
    return Experiment(tuple(site.reloaded(host) for host in {host.name: host for host in hosts}.values()))


def apiserver(how: OfUnit) -> SelectTarget:
    """The API server of any master."""
    return lambda scene, rng: Experiment((how(rng.choice(scene.need_masters()), APISERVER),))


def master_host(scene: Scene, rng: Random) -> Experiment:
    """Any master, if possible one that does not hold the virtual IP: that one is a fault of its own."""
    return Experiment((injections.cut(_any(scene, rng, scene.need_masters())),))


def leader_host(scene: Scene, _rng: Random) -> Experiment:
    """The host of the etcd member that leads."""
    if scene.leader is None:
        raise Skip("it is not known which etcd member leads")
    scene.demand_spare(scene.leader)
    return Experiment((injections.cut(scene.leader),))


def member_host(scene: Scene, rng: Random) -> Experiment:
    """The host of an etcd member that follows."""
    return Experiment((injections.cut(_follower(scene, rng)),))


def member(how: OfUnit) -> SelectTarget:
    """An etcd member that follows."""
    return lambda scene, rng: Experiment((how(_follower(scene, rng), "etcd.service"),))


def leading(component: str, how: OfUnit) -> SelectTarget:
    """The one of a component's processes that leads."""
    return lambda scene, _rng: Experiment((how(scene.need_leader(component), f"{component}.service"),))


def worker_host(scene: Scene, rng: Random) -> Experiment:
    """A worker, if possible one that is nothing else."""
    workers = scene.spare(_need_workers(scene))
    pure = [host for host in workers if host.roles == (Role.WORKER,)]
    return Experiment((injections.cut(rng.choice(pure or workers)),))


def kubelet(how: OfUnit) -> SelectTarget:
    """The kubelet of any worker."""
    return lambda scene, rng: Experiment((how(rng.choice(_need_workers(scene)), "kubelet.service"),))


def master_deaf(scene: Scene, rng: Random) -> Experiment:
    """A master that gets nothing from the cluster's other hosts; they get what it sends."""
    return Experiment((injections.deaf(_any(scene, rng, scene.need_masters()), scene.cluster.hosts),))


def master_lossy(scene: Scene, rng: Random) -> Experiment:
    """A master that loses packets."""
    return Experiment((injections.lossy(_any(scene, rng, scene.need_masters()), LOSS),))


def master_slow(scene: Scene, rng: Random) -> Experiment:
    """A master whose packets are late."""
    return Experiment((injections.slow(_any(scene, rng, scene.need_masters()), DELAY),))


def _any(scene: Scene, rng: Random, hosts: Sequence[Host]) -> Host:
    spare = scene.spare(tuple(hosts))
    return rng.choice([host for host in spare if host != scene.owner] or spare)


def _follower(scene: Scene, rng: Random) -> Host:
    if len(scene.cluster.members) < 3:
        raise Skip(f"{len(scene.cluster.members)} etcd members survive no loss")
    if scene.leader is None:
        raise Skip("it is not known which etcd member leads")
    return _any(scene, rng, [host for host in scene.cluster.members if host != scene.leader])


def _unprobed(scene: Scene, rng: Random) -> Host:
    """Any worker, if possible not the one by whose SSH the probe goes: what SSH does then is not the balancer's."""
    workers = _need_workers(scene)
    return rng.choice([host for host in workers if host != scene.probed] or workers)


def _need_workers(scene: Scene) -> tuple[Host, ...]:
    if not scene.cluster.workers:
        raise Skip("there is no worker in the cluster file")
    return scene.cluster.workers
