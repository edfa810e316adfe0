"""Gates: places in the graph that are no thing on a host, where many wait for many; and whose turn it is."""

from dataclasses import dataclass
from typing import NamedTuple

from quorate.core import Key

KIND = "gate"


@dataclass(frozen=True)
class Gate:
    """Opens when all that it needs is over, be it done or failed, and enough of it is done."""

    enough: int
    """How many of its needs must be done."""
    followed: bool = False
    """Who waits for it is proven anew when something behind it changed."""
    turn: bool = False
    """It only says whose turn it is: who is not touched at all holds nobody up."""
    standing: frozenset[Key] = frozenset()
    """Which of its needs are of services that run already: one that is not touched because another host failed is as
    good as done, for it runs on as it was."""


class Turn(NamedTuple):
    """All that a host changes in a lane: begun with the first of it, over with the last."""

    lane: str
    host: str
    strict: bool = False
    """Of control plane, members and balancers."""


def gate(name: str, host: str = "") -> Key:
    """The key of a gate; without a host it is the cluster's."""
    return Key(host, KIND, name)
