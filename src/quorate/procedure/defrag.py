"""Defragmentation of etcd: one member after the other, each proven before the next; with a full store also what comes
before it, and the end of its alarm.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from quorate.component.etcd import HEALTH, UNIT, etcdctl
from quorate.core import ApplyFailed, CommandFailed, PlanError, Transport, TransportError
from quorate.execute import members
from quorate.execute.members import Member
from quorate.execute.survey import health, survey
from quorate.procedure import upkeep
from quorate.procedure.upkeep import Look
from quorate.render import defrag as script
from quorate.render.sh import quote
from quorate.report.event import Emit, Said
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.processes import APISERVER, resting

SETTLED_WITHIN_S = 120
"""Seconds for members and API servers to be as before, between two turns."""
HEIRS = 3
"""Attempts to hand the lead on: who is chosen may lose it again."""
AGAIN = "look at `quorate status`; the same command goes on with the rest"


@dataclass(frozen=True)
class Defragmented:
    """What became of one member's store, in bytes, and how long its member answered nothing, in seconds."""

    host: str
    before: int
    after: int
    seconds: float
    rested: bool
    """Whether the host's API server rested meanwhile."""


async def look(cluster: Cluster, via: Transport) -> Look:
    """All members, and what a turn depends on, now. Raises TransportError when no host with a member answers."""

    def more(host: Host) -> dict[str, str]:
        if not host.has(Role.ETCD):
            return {}
        room = f"df -B1 --output=avail -- {quote(cluster.etcd.data_dir)} | tail -n 1"
        return members.questions(host) | {"room": room}

    views, lost = await survey(cluster, via, more, only=("units", "health", "upstreams"))
    if not any(host.name in views for host in cluster.members):
        raise TransportError("; ".join(f"{host.name}: {lost[host.name]}" for host in cluster.members))
    rooms = {name: view.more.get("room", "").strip() for name, view in views.items()}
    serving = (host for host in cluster.masters if host.name in views)
    return Look(
        tuple(members.read(host, views.get(host.name)) for host in cluster.members),
        {name: int(room) for name, room in rooms.items() if room.isdigit()},
        frozenset(host.name for host in serving if (found := views[host.name].services.get(APISERVER)) and found.ok),
        frozenset((name, out) for name, view in views.items() for out in view.left_out),
    )


def demand(now: Look) -> None:
    """Refuse what must not begin: damaged data, members that are not well, disks without room. Raises PlanError."""
    if why := upkeep.refusal(now):
        raise PlanError(f"nothing is defragmented: {why}", "`quorate status` shows the members; nothing was changed")
    lacks = [lack for member in upkeep.due(now) if not now.full and (lack := upkeep.cramped(now, member))]
    if lacks:
        raise PlanError(f"nothing is defragmented: {'; '.join(lacks)}", "make room on that disk; nothing was changed")


async def defrag(
    cluster: Cluster, via: Transport, begun: Look, emit: Emit, done: Callable[[Defragmented], None]
) -> None:
    """Write anew the stores that `begun` says are due; `done` hears of each.

    Raises ApplyFailed when a member fails, or the cluster is not as before in time; those that come after it are not
    touched then, and the same once more goes on with them. Of alarms only that of a full store is cleared, when all
    members that answer are below `members.FULL` of their quota.
    """
    work = _Work(cluster, via, begun, emit)
    pending = [member.host for member in upkeep.due(begun)]
    # Whoever was asked may have taken his time.
    now = await work.settled()
    while pending:
        if (member := upkeep.turn(now, pending)) is None:
            raise ApplyFailed(f"stopped: etcd on {', '.join(pending)} does not answer any more", AGAIN)
        member = await work.without_lead(member, now)
        took, rested = await work.anew(member, now, after=len(pending) - 1)
        pending.remove(member.host)
        before, now = member.db_bytes or 0, await work.settled()
        done(Defragmented(member.host, before, now.of(member.host).db_bytes or 0, took, rested))
    if now.full:
        await work.cleared(now)


@dataclass(frozen=True)
class _Work:
    cluster: Cluster
    via: Transport
    begun: Look
    emit: Emit

    async def settled(self) -> Look:
        """A look in which all is as it was in the beginning. Raises ApplyFailed when that takes too long."""
        end, why = asyncio.get_running_loop().time() + SETTLED_WITHIN_S, ""
        while asyncio.get_running_loop().time() < end:
            try:
                now = await look(self.cluster, self.via)
            except TransportError as error:
                why = str(error)
            else:
                if not (why := upkeep.unsettled(now, self.begun)):
                    return now
            await asyncio.sleep(1)
        raise ApplyFailed(f"stopped: not well within {SETTLED_WITHIN_S} s: {why}", AGAIN)

    async def without_lead(self, member: Member, now: Look) -> Member:
        """The member, when another one leads; unless there is none."""
        for _ in range(HEIRS):
            heir = upkeep.heir(now, member)
            if not member.leader or heir is None:
                return member
            self.emit(Said(f"hands the lead to {heir.host}", member.host))
            await self._run(member.host, script.handed_on(self._ctl(member.host), heir.id))
            now = await self.settled()
            member = now.of(member.host)
        raise ApplyFailed(f"{member.host}: its member of etcd leads again each time it hands the lead on", AGAIN)

    async def anew(self, member: Member, now: Look, *, after: int) -> tuple[float, bool]:
        """Write a member's store anew; the seconds that it took, and whether its API server rested."""
        host, ctl = self.cluster.host(member.host), self._ctl(member.host)
        if now.full:
            # Each member is told a later revision, so each answers when it has dropped the history on its own disk.
            revision = max(1, max(each.revision for each in now.answering) - after)
            self.emit(Said("drops history", host.name))
            await self._run(host.name, script.compacted(ctl, revision))
            now = await self.settled()
            member = now.of(host.name)
        if lack := upkeep.cramped(now, member):
            raise ApplyFailed(f"stopped: {lack}", AGAIN)
        rests = upkeep.rests(self.cluster, now, host)
        units = resting()[UNIT] if rests else ()
        ready = health(self.cluster, host)[APISERVER] if rests else ":"
        self.emit(Said(f"writes its store anew, about {upkeep.seconds(member)} s", host.name))
        said = await self._run(host.name, script.defragmented(ctl, HEALTH, rests=units, ready=ready))
        return int(said.split()[-1]) / 1000, rests

    async def cleared(self, now: Look) -> None:
        """Clear the alarm of a full store, unless one is nearly full still. Raises ApplyFailed."""
        full = [member for member in now.answering if (member.db_bytes or 0) > members.FULL * (member.quota_bytes or 0)]
        if full:
            raise ApplyFailed(
                f"the alarm stays: {'; '.join(f'{member.host} {member.size}' for member in full)}",
                "delete objects that nobody needs, or raise etcd.quota_bytes and apply, then run it again",
            )
        asked = now.answering[0].host
        self.emit(Said("clears the alarm", asked))
        await self._run(asked, script.disarmed(self._ctl(asked)))

    def _ctl(self, host: str) -> str:
        return etcdctl(self.cluster.host(host))

    async def _run(self, host: str, text: str) -> str:
        try:
            return await self.via.run(host, text)
        except CommandFailed as error:
            raise ApplyFailed(str(error), AGAIN) from error
