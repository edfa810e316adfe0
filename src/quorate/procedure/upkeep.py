"""What may be done to etcd's stores now: a look at all members, whose turn it is, and what speaks against it; pure."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from quorate.execute.members import NOSPACE, Alarm, Member, alarms, amount
from quorate.spec.cluster import Cluster, Host, Role

LITTLE = 0.1
"""Share of a store that is free inside, below which writing it anew gains nothing,"""
LEAST_BYTES = 16 * 2**20
"""and bytes."""
BYTES_PER_S = 40_000_000
"""Bytes in use that a member writes anew in a second. 129 to 204 million were measured (`bench/defrag.py`), down to 16
where all else on the host went before; a disk may be slower, too."""
LAG = 1000
"""Entries of etcd's log that a member may be behind the others: one further behind may be getting a whole snapshot,
and both at once have damaged stores (mended in etcd 3.4.38, 3.5.23 and 3.6.5)."""


@dataclass(frozen=True)
class Look:
    """The members, and what else a turn depends on, at one moment."""

    members: tuple[Member, ...]
    room: Mapping[str, int] = field(default_factory=dict)
    """Bytes free on the disk of a member's store, by host."""
    serving: frozenset[str] = frozenset()
    """Masters whose API server answers."""
    left_out: frozenset[tuple[str, str]] = frozenset()
    """Balancers, and the API servers that each does not use."""

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Of etcd."""
        return alarms(self.members)

    @property
    def full(self) -> bool:
        """Whether a store has reached its quota."""
        return any(alarm.kind == NOSPACE for alarm in self.alarms)

    @property
    def answering(self) -> tuple[Member, ...]:
        """The members that can be asked, and commit."""
        return tuple(member for member in self.members if member.id and member.healthy)

    def of(self, host: str) -> Member:
        """The member of a host."""
        return next(member for member in self.members if member.host == host)


def due(look: Look) -> tuple[Member, ...]:
    """The members whose store shall be written anew, the leader last. With a full store all that answer: what history
    takes is known only when it is dropped.
    """
    found = [member for member in look.answering if look.full or _hollow(member)]
    return tuple(sorted(found, key=lambda member: member.leader))


def _hollow(member: Member) -> bool:
    return member.free_bytes >= max(LEAST_BYTES, LITTLE * (member.db_bytes or 0))


def refusal(look: Look) -> str:
    """Why no member may be touched now; empty where one may.

    A full store does not speak against it. Without one, all members must be well: while a member writes its store, the
    others serve.
    """
    for alarm in look.alarms:
        if alarm.kind != NOSPACE:
            return str(alarm)
    silent = [member.host for member in look.members if member not in look.answering]
    if silent and not (look.full and len(look.answering) > len(look.members) // 2):
        return f"etcd on {', '.join(silent)} is not well: the others could not spare another member"
    leaders = [member for member in look.answering if member.leader]
    if len(leaders) != 1:
        return f"etcd has {len(leaders)} leaders"
    if learners := [member.host for member in look.answering if member.learner]:
        return f"etcd on {', '.join(learners)} has no vote yet: it still learns"
    newest = max(member.applied for member in look.answering)
    if late := [member for member in look.answering if newest - member.applied > LAG]:
        return f"etcd on {late[0].host} is {newest - late[0].applied} entries behind, at most {LAG} are fine"
    return ""


def unsettled(look: Look, before: Look) -> str:
    """Why the next turn does not begin yet: the same, and API servers that are not back; empty where it may begin."""
    if why := refusal(look):
        return why
    if away := before.serving - look.serving:
        return f"the API server on {', '.join(sorted(away))} does not answer again"
    return "; ".join(
        f"the balancer on {name} leaves out {out}" for name, out in sorted(look.left_out - before.left_out)
    )


def cramped(look: Look, member: Member) -> str:
    """What a disk lacks for a second store beside the first; empty where there is room, or nobody knows."""
    needs, room = member.in_use_bytes or 0, look.room.get(member.host)
    if room is None or room >= needs:
        return ""
    return f"{member.host}: {amount(room)} are free beside etcd's store, writing it anew takes {amount(needs)}"


def turn(look: Look, pending: Collection[str]) -> Member | None:
    """Whose turn it is among the hosts: any but the leader as long as there is one. None where none of them answers."""
    waiting = (member for member in look.answering if member.host in pending)
    return min(waiting, key=lambda member: member.leader, default=None)


def heir(look: Look, leader: Member) -> Member | None:
    """Who leads instead: the member that has applied most; None where there is no other."""
    others = [member for member in look.answering if member != leader]
    return max(others, key=lambda member: member.applied, default=None)


def rests(cluster: Cluster, look: Look, host: Host) -> bool:
    """Whether the host's API server stops while its member answers nothing, as before a restart (`plan.dependants`).

    Its own member has all its requests, and others can serve. Where a store is full it goes on: writes are refused in
    any case, and one that starts meanwhile may need some.
    """
    others = len(look.answering) > 1 and bool(look.serving - {host.name})
    return host.has(Role.CONTROL_PLANE) and host.name in look.serving and others and not look.full


def seconds(member: Member) -> int:
    """About how long a member will answer nothing."""
    return max(1, math.ceil((member.in_use_bytes or member.db_bytes or 0) / BYTES_PER_S))


def consequences(cluster: Cluster, look: Look, hosts: Sequence[Member]) -> list[str]:
    """What users will notice, in sentences."""
    told = [str(alarm) for alarm in look.alarms]
    if look.full:
        told.append("First all history is dropped: lists that clients are paging through begin anew.")
    if silent := [member.host for member in look.members if member not in look.answering]:
        told.append(f"{', '.join(silent)} is left as it is: its store is full still when it returns.")
    if len(look.members) == 1:
        return [*told, f"etcd has one member: the API answers nothing for about {seconds(hosts[0])} s."]
    order = ", ".join(member.host for member in hosts)
    told.append(f"One member after the other: {order}. Each answers nothing while its store is written.")
    if hosts[-1].leader:
        told.append(f"{hosts[-1].host} hands the lead on before: writes wait for a moment.")
    if resting := [member.host for member in hosts if rests(cluster, look, cluster.host(member.host))]:
        told.append(f"The API server beside it rests meanwhile ({', '.join(resting)}); its clients go to the others.")
    return told
