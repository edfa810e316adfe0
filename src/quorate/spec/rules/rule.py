"""What a rule is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quorate.spec.cluster import Cluster
from quorate.spec.tree import Fault

Check = Callable[[Cluster], Iterator[Fault]]


@dataclass(frozen=True)
class Rule:
    """A check and the top-level sections of the file that it reads."""

    check: Check
    reads: frozenset[str]
    first: bool = False
    """It holds for a cluster that is not built yet; for one that runs it would be in the way."""


def rule(sections: str, check: Check, *, first: bool = False) -> Rule:
    """A rule that reads the named sections (separated by spaces)."""
    return Rule(check, frozenset(sections.split()), first)
