"""etcd's members as their own hosts tell: who leads, how full their stores are, which alarms are raised."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quorate.component.etcd import UNIT, etcdctl
from quorate.execute.survey import Service, View
from quorate.spec.cluster import Host
from quorate.spec.outlook import Outlook
from quorate.spec.ports import ETCD_METRICS

FULL = 0.8
"""Share of its quota above which a store is a problem: at the whole of it every write is refused."""
HOLLOW = 0.5
"""Share of a store that is free inside above which it is one."""
LARGE = 0.25
"""Share of its quota from which on a store is judged by `HOLLOW`: what a small one wastes harms nobody."""
NOSPACE, CORRUPT = "NOSPACE", "CORRUPT"
MEANINGS = {
    NOSPACE: "a store has reached its quota, so every write is refused, while reads and deletions go on: "
    "`quorate defrag` makes room and clears it",
    CORRUPT: "its data differ from the others', so every write is refused, and what is read may be wrong: that member "
    "must come anew, with the others' data (docs/tasks/etcd-space.md)",
}


@dataclass(frozen=True)
class Member:
    """One etcd member, as its own host says."""

    host: str
    healthy: bool
    leader: bool = False
    db_bytes: int | None = None
    """Size of its store, which is what the quota limits."""
    version: str = ""
    revision: int = 0
    in_use_bytes: int | None = None
    """What is left of the store's size when free pages are given back."""
    quota_bytes: int | None = None
    id: str = ""
    """As etcd writes it; empty when the member gave no answer."""
    learner: bool = False
    applied: int = 0
    """The last entry of etcd's log that it has applied."""
    knows: tuple[tuple[str, str], ...] = ()
    """Alarms of the whole cluster that it knows of: kind, and id of the member that raised it."""

    @property
    def free_bytes(self) -> int:
        """What defragmentation gives back."""
        return max(0, (self.db_bytes or 0) - (self.in_use_bytes or self.db_bytes or 0))

    @property
    def size(self) -> str:
        """`1.2 GB, 0.3 GB in use, quota 8.6 GB`, as far as it is known."""
        parts = [amount(self.db_bytes)] if self.db_bytes is not None else []
        parts += [f"{amount(self.in_use_bytes)} in use"] if self.in_use_bytes is not None else []
        parts += [f"quota {amount(self.quota_bytes)}"] if self.quota_bytes else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Alarm:
    """An alarm of etcd: it lasts until it is disarmed, also when its cause is gone."""

    kind: str
    hosts: tuple[str, ...]
    """Whose members raised it; the id of one that does not answer."""

    def __str__(self) -> str:
        meaning = MEANINGS.get(self.kind, "see etcd's documentation")
        return f"etcd has the alarm {self.kind}, raised by {', '.join(self.hosts)}: {meaning}"


def questions(host: Host) -> dict[str, str]:
    """What to ask a member's host. The quota is in no answer of etcd before 3.6, but in its metrics."""
    metrics = f"http://127.0.0.1:{ETCD_METRICS}/metrics"
    return {
        "member": f"{etcdctl(host)} --command-timeout=3s endpoint status -w json",
        "quota": f"curl -gsf --noproxy '*' --max-time 3 {metrics} | sed -n 's/^etcd_server_quota_backend_bytes //p'",
    }


def answering(view: View) -> View:
    """The view, with a member that has no fault but a full store taken for healthy: its alarm is told apart.

    From 3.5 on etcdctl calls it unhealthy, though it answers reads and deletions.
    """
    service, answer = view.services.get(UNIT), _answer(view.more.get("member", ""))
    if service is None or service.state != "active" or not answer.get("leader"):
        return view
    if {kind for kind, _ in _known(answer)} != {NOSPACE}:
        return view
    return replace(view, services={**view.services, UNIT: replace(service, healthy=True)})


def read(host: Host, view: View | None) -> Member:
    """The member of a host, from its answers."""
    if view is None:
        return Member(host.name, healthy=False)
    healthy = answering(view).services.get(UNIT, Service("absent")).ok
    return told(host, view.more.get("member", ""), view.more.get("quota", ""), healthy=healthy)


def told(host: Host, status: str, quota: str = "", *, healthy: bool) -> Member:
    """The member of a host, from what etcdctl says of its status as JSON."""
    answer = _answer(status)
    if not answer:
        return Member(host.name, healthy)
    header = answer["header"]
    return Member(
        host.name,
        healthy,
        answer.get("leader") == header["member_id"],
        answer.get("dbSize"),
        answer.get("version", ""),
        header.get("revision", 0),
        answer.get("dbSizeInUse"),
        _number(quota),
        f"{header['member_id']:x}",
        answer.get("isLearner", False),
        answer.get("raftAppliedIndex", 0),
        _known(answer),
    )


def _answer(status: str) -> dict[str, Any]:
    """What a member says of itself; empty when it does not."""
    try:
        answer: dict[str, Any] = json.loads(status)[0]["Status"]
        return answer if isinstance(answer["header"]["member_id"], int) else {}
    except (ValueError, KeyError, TypeError, IndexError):
        return {}


_ALARM = re.compile(r"memberID:(\d+)\s+alarm:(\w+)")


def _known(answer: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Kind of alarm, and id of the member that raised it."""
    found = (each for error in answer.get("errors") or () for each in _ALARM.findall(error))
    return tuple((kind, f"{int(id):x}") for id, kind in found)


def _number(text: str) -> int | None:
    try:
        return int(float(text))
    except ValueError:
        return None


def alarms(members: Sequence[Member]) -> tuple[Alarm, ...]:
    """The alarms that any member knows of, the worst first."""
    names = {member.id: member.host for member in members if member.id}
    # etcd tells them in an order of its own, another one each time.
    known = sorted({(kind, names.get(id, id)) for member in members for kind, id in member.knows})
    kinds = sorted({kind for kind, _ in known}, key=lambda kind: (kind != CORRUPT, kind))
    return tuple(Alarm(kind, tuple(host for each, host in known if each == kind)) for kind in kinds)


def problems(members: Sequence[Member]) -> list[str]:
    """What is wrong with the stores, a line each: alarms, those near their quota, those that are mostly free inside."""
    told = [str(alarm) for alarm in alarms(members)]
    sized = [member for member in members if member.db_bytes and member.quota_bytes]
    full = [member for member in sized if _share(member) > FULL]
    hollow = [
        member
        for member in sized
        if _share(member) > LARGE and member not in full and member.free_bytes > HOLLOW * (member.db_bytes or 0)
    ]
    if full and not told:
        told.append(f"etcd's store is above {FULL:.0%} of its quota ({_each(full)}): {_cure(full)}")
    if hollow:
        told.append(
            f"etcd's store is free inside by more than {HOLLOW:.0%} ({_each(hollow)}): `quorate defrag` gives it back"
        )
    return told


def foreseen(outlook: Outlook, members: Sequence[Member]) -> Outlook:
    """The outlook with an alarm: not all works, whatever runs."""
    if not (raised := alarms(members)):
        return outlook
    kind = raised[0].kind
    return replace(outlook, ok=False, may_fail=0, text=f"not all works: etcd refuses every write (alarm {kind})")


def _cure(full: Sequence[Member]) -> str:
    """What helps: to give back what is free, where that is enough."""
    if all((member.in_use_bytes or 0) <= FULL * (member.quota_bytes or 0) for member in full):
        return "`quorate defrag` gives back what is free inside"
    return "delete objects that nobody needs, or raise etcd.quota_bytes; at the whole of it every write is refused"


def _share(member: Member) -> float:
    return (member.db_bytes or 0) / (member.quota_bytes or 1)


def _each(members: Sequence[Member]) -> str:
    return "; ".join(f"{member.host} {member.size}" for member in members)


def amount(count: int | None) -> str:
    """Bytes for a reader: `1.2 GB`, `9.1 MB`."""
    number = count or 0
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
