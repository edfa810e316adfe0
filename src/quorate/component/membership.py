"""The way into etcd's quorum and out of it: join as a learner, be promoted, be taken out; each guarded by a count.

A learner has no vote, so one that never comes up costs no quorum (etcd's runtime reconfiguration guide, 3.4+). A
member is taken out only while those that stay are enough without it.
"""

from dataclasses import dataclass

from quorate.component.context import Context, address
from quorate.core import Key
from quorate.pki import profiles
from quorate.render import etcd_members
from quorate.render.etcd_disk import has_log
from quorate.render.sh import sh
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.facts import Member
from quorate.spec.layout import BIN


def voters(context: Context, host: Host) -> tuple[Host, ...]:
    """The other hosts of the file whose etcd answers and has data: those that can be asked on a running cluster."""
    if context.established is None:
        return ()
    hosts = context.cluster.members
    return tuple(other for other in hosts if other != host and context.of(other).members and context.has_data(other))


def etcd_host(context: Context) -> Host | None:
    """The host through which members are taken out: the first whose etcd answers."""
    hosts = (host for host in context.cluster.members if host.name not in context.absent)
    return next((host for host in hosts if context.of(host).members), None)


def learns(context: Context, host: Host) -> bool:
    """Whether the host's member is a learner still."""
    return any(member.learner and address(member) == host.ip for member in context.facts.members)


@dataclass(frozen=True)
class Ctl:
    """etcdctl on a host of the cluster, asking the members of certain hosts."""

    on: Host
    asks: tuple[Host, ...]

    @property
    def bare(self) -> str:
        """A piece of sh that still needs `--endpoints`."""
        return "ETCDCTL_API=3 " + sh(
            f"{BIN}/etcdctl",
            f"--cacert={profiles.ETCD_CA}",
            f"--cert={profiles.ETCD_CLIENT}",
            f"--key={profiles.ETCD_CLIENT_KEY}",
        )

    def __str__(self) -> str:
        return f"{self.bare} " + sh("--endpoints=" + ",".join(f"https://{host.ip}:2379" for host in self.asks))


def quorum_without(ctl: Ctl) -> str:
    """sh that succeeds when the others keep the quorum while the member on this host is stopped.

    A cluster of one or two has none to keep: there the stop is as short as it can be.
    """
    return etcd_members.quorum_without(str(ctl), ctl.bare, _peer(ctl.on))


def joined(ctl: Ctl, data: str) -> Setting:
    """The host's member added as a learner, and started on its empty folder."""
    host = ctl.on
    return Setting(
        host=host.name,
        what="membership in etcd",
        want=(("joined", "yes"),),
        check=f"if {has_log(data)}; then echo joined=yes; else echo joined=no; fi",
        script=etcd_members.join(str(ctl), host.name, _peer(host), data),
    )


def promoted(ctl: Ctl, data: str) -> Setting:
    """The host's member with a vote, as soon as it has caught up."""
    peer = _peer(ctl.on)
    return Setting(
        host=ctl.on.name,
        what="vote in etcd",
        want=(("voter", "yes"),),
        check=etcd_members.votes(str(ctl), peer, data),
        script=etcd_members.promote(str(ctl), peer),
    )


def taken_out(ctl: Ctl, member: Member, *, after: frozenset[Key] = frozenset()) -> Setting:
    """A member removed from the list, through the members that `ctl` asks; refused when those that stay are too few."""
    return Setting(
        host=ctl.on.name,
        what=f"etcd member {member.name or address(member)} ({member.id})",
        want=(("member", "gone"),),
        check=f"list=$({ctl} member list -w simple) || exit 0\n"
        f'case "$list" in *{member.id},*) echo member=there;; *) echo member=gone;; esac',
        script=etcd_members.take_out(str(ctl), ctl.bare, member.id),
        explicit=after,
        removes=True,
    )


def _peer(host: Host) -> str:
    """The peer URL of a host's member."""
    return f"https://{host.ip}:2380"
