"""What a cluster survives from here on: what is down already counts as lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quorate.spec.cluster import Cluster
from quorate.spec.consequence import broken
from quorate.spec.losses import fatal, hosts_may_fail, some, whole
from quorate.spec.survival import Outcome, Parts, Reads, after, parts


@dataclass(frozen=True)
class Outlook:
    """How a cluster stands, and what its next loss may be."""

    ok: bool
    """Whether it does all that it is for, as it is."""
    may_fail: int
    """How many more hosts may fail, whichever they are."""
    fatal: tuple[tuple[str, str], ...] = ()
    """The hosts that must not fail now, and what their loss would do."""
    text: str = ""
    """The same in a line."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"ok": self.ok, "may_fail": self.may_fail, "fatal": dict(self.fatal), "text": self.text}


def outlook(cluster: Cluster, gone: Parts = frozenset()) -> Outlook:
    """What the cluster survives without the parts that are gone."""
    now = after(cluster, gone)
    if not now.ok:
        return Outlook(ok=False, may_fail=0, text=f"not all works: {'; '.join(broken(cluster, now))}")
    must_not = {host.name for loss in fatal(cluster, 1, whole(cluster), gone) for (host,) in loss.sets()}
    ends = {
        host.name: _end(after(cluster, gone | parts(cluster, host))) for host in cluster.hosts if host.name in must_not
    }
    many = hosts_may_fail(cluster, gone)
    away = ", ".join(_gone(cluster, gone))
    said = survives(many) if many else "; ".join(_would(ends))
    return Outlook(ok=True, may_fail=many, fatal=tuple(ends.items()), text=f"{away}: {said}" if away else said)


def survives(count: int) -> str:
    """`survives the loss of any one host`."""
    return f"survives the loss of any {'one host' if count == 1 else f'{count} hosts'}"


def _end(then: Outcome) -> str:
    """What a loss would do, the worst first."""
    if then.reads is Reads.NO:
        return "take the API away"
    if not then.writes:
        return "stop writes"
    return "leave no worker" if then.loops else "stop the control loops"


def _would(ends: dict[str, str]) -> Iterator[str]:
    for end in dict.fromkeys(ends.values()):
        yield f"losing {some([host for host, what in ends.items() if what == end])} would {end}"


def _gone(cluster: Cluster, gone: Parts) -> Iterator[str]:
    for host in cluster.hosts:
        mine = parts(cluster, host)
        if mine and mine <= gone:
            yield f"{host.name} is away"
        elif left := mine & gone:
            yield f"{host.name} is without {' and '.join(sorted(part.process for part in left))}"
