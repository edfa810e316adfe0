"""From what was watched to what a run tells of it: who held what and when, and how long it took. Pure arithmetic."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from quorate.drill.board import ETCD, LEASE, UNIT, VIP, Board, Stretch, Topic
from quorate.drill.scene import ELECTED
from quorate.report.drill.report import Span

SHOWN_BEFORE_S = 1.0
"""Seconds before a fault that are shown with it."""
NOBODY = "nobody"


def owners(board: Board, names: Sequence[str], begin: float, end: float) -> list[tuple[float, frozenset[str]]]:
    """Which of the hosts held the virtual IP, and from when on."""
    held = {
        name: [each for each in board.stretches(Topic(VIP, name), begin, end) if each.value == "yes"] for name in names
    }
    moments = sorted({begin, *(at for found in held.values() for each in found for at in (each.begin, each.end))})
    found: list[tuple[float, frozenset[str]]] = []
    for at in moments:
        now = frozenset(name for name in names if any(each.begin <= at < each.end for each in held[name]))
        if at < end and (not found or found[-1][1] != now):
            found.append((at, now))
    return found


def one_owner(board: Board, balancers: Sequence[str], cut: Collection[str], moments: Sequence[float]) -> float | None:
    """Seconds from the fault until exactly one balancer held the virtual IP, for good; None: it never was so.

    `moments` are those of the fault, of the beginning of healing, and of the end. Who is `cut` off holds nothing for
    anybody until the healing; what comes after it counts only if by then it was not one.
    """
    fault, healed, end = moments

    def settled(names: Sequence[str], until: float) -> float | None:
        found = owners(board, names, fault, until)
        return found[-1][0] - fault if found and len(found[-1][1]) == 1 else None

    if settled(balancers, end) is None:
        return None
    broken = settled([name for name in balancers if name not in cut], healed)
    return settled(balancers, end) if broken is None else broken


def leader(board: Board, cut: Collection[str], begin: float, end: float) -> list[Stretch]:
    """Which host's member led etcd: the one that most members believe in, of those that are not cut off."""
    told = {
        topic.host: list(board.stretches(topic, begin, end)) for topic in board.topics(ETCD) if topic.host not in cut
    }
    moments = sorted({begin, end, *(each.begin for found in told.values() for each in found)})
    found: list[Stretch] = []
    for at, until in pairwise(moments):
        votes = Counter(each.value for row in told.values() for each in row if each.begin <= at < each.end)
        votes = Counter({member: count for member, count in votes.items() if member in board.members})
        best = votes.most_common(1)
        name = board.members[best[0][0]] if best and best[0][1] * 2 > len(told) else NOBODY
        if found and found[-1].value == name:
            found[-1] = Stretch(found[-1].begin, until, name)
        else:
            found.append(Stretch(at, until, name))
    return found


def host_of(board: Board, identity: str) -> str:
    """The host in a lease holder's identity, which is `<its own name>_<random>`."""
    name = identity.rpartition("_")[0]
    return board.hostnames.get(name, name)


def takeovers(board: Board, cut: Collection[str], fault: float, end: float) -> Mapping[str, float]:
    """Seconds from the fault until somebody else led, by what is led; a process that was restarted is somebody else."""
    found = {}
    members = [each for each in leader(board, cut, fault - SHOWN_BEFORE_S, end) if each.value != NOBODY]
    before = [each.value for each in members if each.begin <= fault]
    after = [each for each in members if each.begin > fault and before and each.value != before[-1]]
    if after:
        found["etcd"] = after[0].begin - fault
    for component in ELECTED:
        stretches = list(board.stretches(Topic(LEASE, name=component), fault - SHOWN_BEFORE_S, end))
        old = [each.value for each in stretches if each.begin <= fault]
        new = [each for each in stretches if each.begin > fault and each.value and old and each.value != old[-1]]
        if new:
            found[component] = new[0].begin - fault
    return found


def talks(board: Board, cut: Collection[str], since: float, fault: float, silence: float) -> Mapping[str, float | None]:
    """Seconds from the fault until each kubelet heard the API again, by host; None: not yet.

    What it heard before `since` may have been on its way. It counts from when on it was never silent for longer than a
    `silence` that is usual. Who is cut off is not told of.
    """
    found: dict[str, float | None] = {}
    for host in board.kubelets:
        if host not in cut:
            after = [at for at in board.heard(host) if at >= since]
            starts = [later for earlier, later in pairwise(after) if later - earlier > silence]
            found[host] = [*after[:1], *starts][-1] - fault if after else None
    return found


def spans(board: Board, cut: Collection[str], fault: float, end: float) -> tuple[Span, ...]:
    """All that is shown of a run, in seconds from its fault; services only where something became of them."""
    begin = fault - SHOWN_BEFORE_S

    def told(lane: str, stretches: Sequence[Stretch], label: Callable[[str], str] = str) -> Iterator[Span]:
        for each in stretches:
            yield Span(lane, round(each.begin - fault, 3), round(each.end - fault, 3), label(each.value))

    found: list[Span] = []
    for topic in board.topics(VIP):
        held = [each for each in board.stretches(topic, begin, end) if each.value == "yes"]
        found += told("virtual IP", held, lambda _yes, host=topic.host: host)  # type: ignore[misc]
    if board.topics(ETCD):
        found += told("etcd leader", leader(board, cut, begin, end))
    for component in ELECTED:
        led = list(board.stretches(Topic(LEASE, name=component), begin, end))
        found += told(f"{component} leader", led, lambda identity: host_of(board, identity))
    for topic in board.topics(UNIT):
        states = list(board.stretches(topic, begin, end))
        if len(states) > 1:
            lane = f"{topic.name.removesuffix('.service')} on {topic.host}"
            found += told(lane, states, lambda state: state.partition(" ")[0])
    return tuple(sorted(found, key=lambda span: (span.lane, span.begin)))
