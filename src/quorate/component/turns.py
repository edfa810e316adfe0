"""In which order hosts come: what waits for other hosts, for how many of them, and who changes in turn."""

from enum import Enum


class Enough(Enum):
    """On how many hosts a component must be proven before those that wait for it begin.

    They wait until it is proven or has failed on each: who comes in time is not left behind. The quorum is that of
    etcd's members.
    """

    NONE = "of all hosts, proven or failed"
    ONE = "of one host at least"
    MOST = "of a quorum"
    ALL = "of all hosts"


class Turns(Enum):
    """How a component that runs already changes on several hosts."""

    TOGETHER = "all hosts at once"
    STRICT = "one host after the other, each proven first; one that fails stops the others"
    CANARY = "one host after the other; the first that fails stops the others, a later one stops none"
