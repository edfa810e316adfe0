"""What all resources share: a host, a name, explicit needs, and where a resource stands in the order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Key, Probe, State


@dataclass(frozen=True)
class Company:
    """Things of several hosts that are waited for until each is done or can't be, and of which some must be done."""

    keys: frozenset[Key]
    enough: int
    """How many must be done; 0: it only comes after them."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Base of resources. `kind` names the resource; the graph derives most edges from the class marks."""

    kind: ClassVar[str] = ""
    passive: ClassVar[bool] = True
    """Passive resources only lie on the disk; active ones need all earlier resources of their component."""
    waits: ClassVar[bool] = False
    """Waiting resources run alone, so that they hold nothing else up; they are the gates between components."""

    recalls: ClassVar[bool] = False
    """Of resources that watch others: what is found of it counts, where none of those changes."""

    apart: ClassVar[bool] = False
    """Of resources that are apart none comes after another of its component: each is about somebody else."""

    host: str
    explicit: frozenset[Key] = field(default=frozenset(), repr=False)
    watches: frozenset[Key] = field(default=frozenset(), repr=False)
    """It has something to do when one of these has, and not because of what is found of it: that is seen when a plan is
    made."""
    company: tuple[Company, ...] = field(default=(), repr=False)
    """What it waits for on other hosts, though not for all of them."""

    @property
    def name(self) -> str:
        """The name within its kind and host."""
        raise NotImplementedError

    @property
    def key(self) -> Key:
        """The address of the thing."""
        return Key(self.host, self.kind, self.name)

    @property
    def needs(self) -> frozenset[Key]:
        """Needs that no rule derives."""
        return self.explicit

    @property
    def traces(self) -> tuple[str, ...]:
        """Paths that the host's notes name as long as it is there; a removal looks whether any is left."""
        return ()

    @property
    def brought(self) -> tuple[str, ...]:
        """Packages that its removal takes, if the host's notes say that they came with us."""
        return ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts in its orders that no output may show."""
        return ()

    @property
    def service(self) -> str:
        """The unit whose journal tells why it is not as desired; empty where none does."""
        return ""

    @property
    def may_take(self) -> int:
        """Seconds that it may take, by a limit of its own; 0 where it has none, for it is done at once."""
        return 0

    @property
    def desired(self) -> State:
        """What it should be."""
        raise NotImplementedError

    def probe(self) -> Probe:
        """The question whose answer is the state."""
        raise NotImplementedError

    def parse(self, answer: str) -> State | None:
        """Fields as `name=value` lines, the form in which most tools answer."""
        return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)

    def converge(self, actual: State) -> Sequence[Action]:
        """The orders that lead to the desired state."""
        raise NotImplementedError

    def remove(self) -> Sequence[Action]:
        """The orders that leave the host as it was found."""
        raise NotImplementedError
