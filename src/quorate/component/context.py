"""What every component is given: the cluster, the hosts as found, the supply, the secrets, the version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from quorate.component.turns import Enough, Turns
from quorate.core import Blob, PlanError
from quorate.resource.file import Binary, Symlink
from quorate.resource.package import Packages
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.facts import Facts, HostFacts, Member
from quorate.spec.layout import BIN, LINKS
from quorate.spec.leaving import FormerEndpoint, Kept, Leaving, leaving
from quorate.spec.outward import url, variables
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.upgrade_path import Move
from quorate.spec.versions import Minor

APISERVER = "kube-apiserver.service"


@dataclass(frozen=True)
class Stop:
    """A place on the way of an upgrade: what moves there, and what components are asked with meanwhile."""

    move: Move
    cluster: Cluster
    """The file's, at the versions of then."""
    supply: Supply
    minor: Minor


@dataclass(frozen=True)
class Context:
    """All inputs of `compile`, frozen."""

    cluster: Cluster
    facts: Facts
    supply: Supply
    secrets: Secrets
    minor: Minor
    texts: Mapping[str, str] = field(default_factory=dict)
    """Files of the user's that go into the cluster as they are: `audit-policy`, `cni-manifest`, PEMs of registries,
    `ca-of SERVER`, and of places for backups `ca-of-place N` and `hosts-of-place N`."""
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`USER:PASSWORD` by registry or mirror."""
    proxy_login: str = field(default="", repr=False)
    """`USER:PASSWORD` of the hosts' proxy, if it wants one."""
    recipients: tuple[str, ...] = ()
    """Public keys of age or SSH, for which hosts seal backups."""
    place_keys: Mapping[int, str] = field(default_factory=dict, repr=False)
    """By which hosts are let in where they bring backups to, by the place's number: private key, or login."""
    established: Cluster | None = None
    """The cluster as the last whole apply left it; None while it is being built for the first time."""
    releases: Mapping[str, str] = field(default_factory=dict)
    """The version of each part as the last whole apply left it, as far as that was noted."""
    stops: tuple[Stop, ...] = ()
    """The way from those to what the file asks for."""
    astray: tuple[tuple[str, str, str], ...] = ()
    """What no way leads to: part, why, and the fix."""
    former: tuple[Cluster, ...] = ()
    """Every cluster that an apply since then, and that one, began to build, oldest first."""
    behind: Mapping[str, tuple[Cluster, ...]] = field(default_factory=dict)
    """Hosts that were away when applies came to their ends, with the clusters that they may have something of."""
    replaced: frozenset[str] = frozenset()
    """Hosts of which the operator says that they are new machines in the place of others."""
    kept: Kept = field(default_factory=Kept)
    """What of former clusters is served on."""
    absent: frozenset[str] = frozenset()
    """Hosts that do not answer: nothing is planned for them."""
    met: frozenset[str] = frozenset()
    """Hosts that an apply has met before."""
    restoring: Restoration | None = None
    """What the cluster's data are being restored from."""

    def of(self, host: Host) -> HostFacts:
        """The facts of a host."""
        return self.facts.of(host.name)

    def dispensable(self, host: Host) -> bool:
        """Whether a change goes on while the host does not answer: it was met before, or is a worker that is about to
        come to a cluster that runs.
        """
        new_worker = set(host.roles) == {Role.WORKER}
        return self.established is not None and (host.name in self.met or new_worker)

    @property
    def proxy(self) -> str:
        """URL of the hosts' way out, with its login; empty without one."""
        return url(self.cluster, self.proxy_login)

    @property
    def leaving(self) -> tuple[Leaving, ...]:
        """Hosts and roles that the cluster had and that the file has no more."""
        return leaving(self.cluster, self.former)

    @cached_property
    def there(self) -> Cluster:
        """The cluster with the hosts and roles that are about to leave: who is let in by the others."""
        if not self.kept.hosts:
            return self.cluster
        was = {host.name: host for host in self.kept.hosts}
        hosts = [_with_roles(host, was.pop(host.name, host)) for host in self.cluster.hosts]
        return self.cluster.model_copy(update={"hosts": (*hosts, *was.values())})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The lines of every host's /etc/hosts: made once, for a large cluster has as many lines as hosts on each."""
        hosts = [f"{host.ip} {host.name}" for host in self.there.hosts]
        # Of two lines for a name the first is tried first: where the endpoint still is.
        return (*hosts, *(line for line in (*self.kept.names, self.cluster.hosts_line) if line))

    @property
    def api_host(self) -> Host:
        """The control-plane host through which API objects are written: one that works, else one that answers."""
        masters = [master for master in self.cluster.masters if master.name not in self.absent]
        runs = [master for master in masters if APISERVER in self.of(master).running]
        return next(iter([*runs, *masters]), self.cluster.masters[0])

    @property
    def running_workers(self) -> tuple[Host, ...]:
        """The workers; as long as others are about to be drained, those too."""
        return (*self.cluster.workers, *self.kept.nodes)

    def former_endpoints(self, host: Host) -> tuple[FormerEndpoint, ...]:
        """The endpoints besides its own that the host's balancer keeps: those that it had, and of the same kind all,
        for it may be the one that takes them over.
        """
        same = self.cluster.endpoint.local
        return tuple(former for former in self.kept.former_endpoints if former.local == same or host.ip in former.hosts)

    def ports(self, host: Host) -> tuple[list[int], list[int]]:
        """The ports of the host's balancer at all addresses, and at loopback alone: endpoint and retiring ones."""
        own = (self.cluster.endpoint.local, self.cluster.balancer_port)
        every = [own, *((former.local, former.port) for former in self.former_endpoints(host))]
        wide = dict.fromkeys(port for local, port in every if not local)
        return [*wide], [*dict.fromkeys(port for _, port in every if port not in wide)]

    def serves_as(self, host: Host) -> Cluster:
        """The cluster by whose flags the host's API server runs: that of before as long as it is the endpoint."""
        was = self.kept.api_server
        return was if was and was.masters[0].name == host.name else self.cluster

    def has_data(self, host: Host) -> bool:
        """Whether the host holds the data of a member of etcd."""
        return self.of(host).etcd_member and not self.is_ghost(host)

    def is_ghost(self, host: Host) -> bool:
        """Whether the host has come back with the data of a member that was taken out while it was away."""
        known = self.facts.members if self.established and self.of(host).etcd_member else ()
        return bool(known) and all(address(member) != host.ip for member in known)

    def joins(self, host: Host) -> bool:
        """Whether the host's etcd has to join members that have data; in a first build all begin at once."""
        return self.established is not None and not self.has_data(host)

    @property
    def stale_members(self) -> tuple[Member, ...]:
        """Members of etcd that no host of ours runs any more: theirs left and is dead, or is a new machine.

        A member that no file ever named is somebody else's doing, and stays.
        """
        used = {host.ip for host in self.cluster.members if host.name not in self.absent and self.has_data(host)}
        dead = {
            each.host.ip
            for each in self.leaving
            if each.loses(Role.ETCD) and (each.host.name in self.absent or not self.has_data(each.host))
        }
        dead |= {host.ip for was in self.former for host in was.hosts if host.name in self.replaced}
        wanted = {host.ip for host in self.cluster.members}
        return tuple(
            member
            for member in self.facts.members
            # One without a name was added for a host that is about to join.
            if (at := address(member)) in dead - used and (member.name or at not in wanted)
        )

    def blob(self, name: str) -> Blob:
        """A binary of the supply. Raises PlanError when the source does not deliver it."""
        try:
            return self.supply.binaries[name]
        except KeyError:
            raise PlanError(
                f"the artifact source delivers no {name}", hint="`quorate artifacts` lists what it delivers"
            ) from None

    def pod_image(self, named: str | None, brought: str | None, usual: str) -> str | None:
        """The image of a part that runs in pods: the cluster file's, else the artifact source's, else upstream's.

        None where the source brings images along, and not this one: nobody could pull it.
        """
        if named or brought:
            return named or brought
        return None if self.supply.pause_image and usual not in self.supply.images else usual

    def binaries(self, host: Host, *names: str, linked: Sequence[str] = (), folder: str = BIN) -> Iterator[Resource]:
        """Binaries in `folder`; those of `linked` also in the operator's PATH."""
        for name in names:
            yield Binary(host=host.name, path=f"{folder}/{name}", blob=self.blob(name))
        for name in linked:
            yield Symlink(host=host.name, path=f"{LINKS}/{name}", target=f"{folder}/{name}")

    def packages(self, host: Host, purpose: str, *names: str, leavings: tuple[str, ...] = ()) -> Iterator[Resource]:
        """Distribution packages, from files of the supply when it has them all."""
        if not names:
            return
        suffix = ".deb" if self.of(host).package_manager == "apt" else ".rpm"
        bundled = all(
            name in self.supply.packages and all(file.filename.endswith(suffix) for file in self.supply.packages[name])
            for name in names
        )
        files = {file.filename: file for name in names for file in self.supply.packages.get(name, ())}
        yield Packages(
            host=host.name,
            purpose=purpose,
            packages=names,
            manager=self.of(host).package_manager,
            files=tuple(files.values()) if bundled else (),
            proxy=() if bundled else tuple(variables(self.cluster, self.proxy).items()),
            leavings=leavings,
        )


def _with_roles(host: Host, was: Host) -> Host:
    """The host with the roles that it had, too."""
    return host.model_copy(update={"roles": tuple(dict.fromkeys((*host.roles, *was.roles)))})


def address(member: Member) -> str:
    """The address at which other members reach a member."""
    return member.peer_url.rpartition(":")[0].removeprefix("https://")


class Component(Protocol):
    """A part of the cluster: a module with these names."""

    NAME: str
    AFTER: tuple[str, ...]
    """Components of the same host that come first."""
    MEETS: Mapping[str, Enough]
    """Components of all hosts that come first, as far as they must."""
    TURNS: Turns

    def resources(self, context: Context, host: Host) -> Iterator[Resource]:
        """What the host needs for this part; nothing when it has no share in it."""
        ...
