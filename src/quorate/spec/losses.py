"""Which losses a cluster does not survive: every set of hosts is judged, those that nothing tells apart once."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, count, product
from math import comb, prod

from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.survival import Parts, after, entry_points, parts

Group = tuple[Host, ...]
"""Hosts that nothing tells apart, in the order of the file."""
MOST_NAMES = 4
"""As many fit into a line."""
What = Callable[[Host], Parts]
"""What is lost with a host."""


@dataclass(frozen=True)
class Loss:
    """As many hosts of each group, whichever they are; groups of which none is lost are left out."""

    taken: tuple[tuple[Group, int], ...]

    @property
    def sample(self) -> tuple[Host, ...]:
        """One such set of hosts."""
        return tuple(host for group, many in self.taken for host in group[:many])

    def sets(self) -> Iterator[tuple[Host, ...]]:
        """All such sets of hosts."""
        for chosen in product(*(combinations(group, many) for group, many in self.taken)):
            yield tuple(host for some in chosen for host in some)

    @property
    def ways(self) -> int:
        """How many such sets there are."""
        return prod(comb(len(group), many) for group, many in self.taken)

    def __str__(self) -> str:
        return " with ".join(some(names(group), many) for group, many in self.taken)


def names(hosts: Sequence[Host]) -> tuple[str, ...]:
    """Their names."""
    return tuple(host.name for host in hosts)


def some(of: Sequence[str], many: int = 1) -> str:
    """So many of some hosts: `node01 or node02`, `node01 and node02`, `2 of node01, node02, node03`."""
    if many == len(of):
        return _listed(of, "and")
    if many == 1 and len(of) <= MOST_NAMES:
        return _listed(of, "or")
    rest = len(of) - MOST_NAMES
    told = ", ".join(of) if rest <= 0 else f"{', '.join(of[:MOST_NAMES])} and {rest} more"
    return f"{many} of {told}"


def _listed(of: Sequence[str], word: str) -> str:
    return of[0] if len(of) == 1 else f"{', '.join(of[:-1])} {word} {of[-1]}"


def alike(cluster: Cluster, what: What, gone: Parts = frozenset()) -> list[Group]:
    """The hosts that have something to lose, in groups that nothing tells apart: roles, the endpoint, what is gone."""
    at, found = entry_points(cluster), dict[object, list[Host]]()
    for host in cluster.hosts:
        left = what(host) - gone
        if left:
            key = (frozenset(host.roles), host in at, frozenset(part.process for part in parts(cluster, host) & gone))
            found.setdefault(key, []).append(host)
    return [tuple(group) for group in found.values()]


def fatal(cluster: Cluster, many: int, what: What, gone: Parts = frozenset()) -> Iterator[Loss]:
    """The losses of so many hosts after which the cluster does not do all that it is for."""
    for loss in losses(alike(cluster, what, gone), many):
        lost = gone.union(*(what(host) for host in loss.sample))
        if not after(cluster, lost).ok:
            yield loss


def losses(groups: Sequence[Group], many: int) -> Iterator[Loss]:
    """All ways to lose so many hosts."""
    for counts in product(*(range(min(len(group), many), -1, -1) for group in groups)):
        if sum(counts) == many:
            yield Loss(tuple((group, each) for group, each in zip(groups, counts, strict=True) if each))


def hosts_may_fail(cluster: Cluster, gone: Parts = frozenset()) -> int:
    """How many hosts may fail, whichever they are; the cluster must be well without what is gone."""
    what = whole(cluster)
    return next(many for many in count() if any(fatal(cluster, many + 1, what, gone)))


def may_fail(cluster: Cluster, role: Role) -> int:
    """How many hosts may stop doing what a role is for, whichever they are, while they do all else."""
    what = partial(parts, cluster, roles=(role,))
    # Who loses more fails no less, so what is searched for is where it begins.
    return bisect_left(range(1, len(cluster.having(role)) + 1), True, key=lambda many: any(fatal(cluster, many, what)))


def whole(cluster: Cluster) -> What:
    """The loss of whole hosts."""
    return partial(parts, cluster)
