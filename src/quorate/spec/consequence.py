"""What a loss means, in plain words: one line from what the cluster still does."""

from collections.abc import Iterator

from quorate.spec.cluster import Cluster
from quorate.spec.survival import LOOPS, Outcome, Parts, entry_points, needed

IDLE = {
    "kube-controller-manager": "nothing is mended or scaled",
    "kube-scheduler": "no new pod gets a host",
}
"""What it means when a control loop stands still."""


def meaning(cluster: Cluster, now: Outcome, lost: Parts) -> str:
    """What a loss means, in a line: what no longer works, else what goes on and how much more may fail."""
    return "; ".join([*broken(cluster, now)] or [*_left(cluster, now, lost)])


def broken(cluster: Cluster, now: Outcome) -> Iterator[str]:
    """What no longer works, and why; nothing when all does."""
    have, of = len(now.members), len(cluster.members)
    if have < needed(cluster):
        rest = "API servers answer from memory at best" if now.reads else "nothing is read"
        yield f"etcd has {have} of {of} members and needs {needed(cluster)}: nothing is written, {rest}"
    elif not now.ready:
        yield "no API server is left"
    elif not now.reads:
        yield f"clients at {cluster.server} reach no API server"
    elif not now.writes:
        yield f"some clients at {cluster.server} reach no API server that is ready"
    else:
        yield from (f"no {loop} is left: {IDLE[loop]}" for loop in now.idle)
    if not now.pods:
        yield "no worker is left to start pods on"
    elif not now.ok:
        yield "pods that run go on"


def _left(cluster: Cluster, now: Outcome, lost: Parts) -> Iterator[str]:
    """What is left of that of which there is less now."""
    gone = {part.process for part in lost}
    have, of = len(now.members), len(cluster.members)
    if have < of:
        yield f"etcd keeps {have} of {of} members, {_more(have - needed(cluster))}"
    have, of = len(now.ready), len(cluster.masters)
    if have < of:
        beside = "" if "kube-apiserver" in gone else ", the one beside it is left out"
        yield f"{have} of {of} API servers {'serves' if have == 1 else 'serve'} on{beside}"
    have, of = len(now.entry_points), len(entry_points(cluster))
    if have < of and not cluster.endpoint.local:
        yield f"{have} of {of} balancers {'goes' if have == 1 else 'go'} on"
    if gone <= {*LOOPS}:
        yield "another one leads when its lease has ended"
    have, of = len(now.workers), len(cluster.workers)
    if have < of:
        own = {cluster.load_balancer.kind} if cluster.endpoint.local else set()
        where = f"its pods start again on {have} other worker{'' if have == 1 else 's'}"
        yield f"containers run on; if it stays away, {where}" if gone <= {"kubelet", *own} else where


def _more(count: int) -> str:
    return f"{count} more may fail" if count else "no further one may fail"
