"""A stage: one whole desired state on the way of an operation to its goal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from quorate.component.context import Context
from quorate.resource.resource import Resource


@dataclass(frozen=True)
class Refusal:
    """One thing that must not happen, and the way out."""

    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.why}. Fix: {self.fix}"


@dataclass(frozen=True)
class Stage:
    """What components are asked with, and what is done besides; the next stage begins when all of it is as wanted."""

    name: str
    context: Context
    acts: tuple[Resource, ...] = ()
    """What no component wants for itself: pods that move away, members that go."""
    acts_of: str = "leaving"
    """Whose acts these are, for readers: they stand where a component's name does."""
    parts: frozenset[str] | None = None
    """The components that are asked; None: all of them."""
    clears: bool = False
    """All that former clusters left on hosts goes; else only what is in the way of what starts."""
    answering: frozenset[str] = frozenset()
    """Hosts without which it does not begin. Others that are away are left as they are, and a later apply goes on with
    them."""
    no_return: str = ""
    """What of it no edit of the file brings back; empty where it can be gone back on."""


class Operation(Protocol):
    """A module with these names, as components are."""

    NAME: str
    REPLACES: frozenset[str]
    """Rules of the guard (`plan.guard.RULES`) that do not count for it: it does in order what they forbid."""

    def stages(self, context: Context) -> tuple[Stage, ...]:
        """The way to the goal, at least one stage."""
        ...

    def refusals(self, context: Context) -> Iterator[Refusal]:
        """What speaks against this way, besides the rules of the guard."""
        ...
