"""What a part that runs goes back to when its change does not hold; kept before the first of its files changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import fallback
from quorate.resource.resource import Resource

LATER_S = 15
"""Seconds that the proof of a part waits for longer than its judge, to hear what that has decided."""


@dataclass(frozen=True, kw_only=True)
class Fallback(Resource):
    """Files and programs of a part, as they run. A judge on the host (`render.fallback`) asks the part's own proof when
    services have loaded others, and puts all of them back together when that does not hold in time.

    It has something to do when one of what it `watches` has.
    """

    kind: ClassVar[str] = "fallback"
    passive: ClassVar[bool] = False

    part: str
    units: tuple[str, ...]
    paths: tuple[str, ...]
    check: str = field(repr=False)
    within: int
    digest: str
    """Of all that is about to come: what did not hold is known by it again."""
    between: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By unit, sh that is run while it is at rest, before it starts with what ran before."""

    @property
    def name(self) -> str:
        """The part."""
        return self.part

    @property
    def desired(self) -> State:
        """Kept."""
        return {"kept": "yes"}

    def probe(self) -> Probe:
        """Whether a change is being judged, and what did not hold."""
        return Probe(
            "script",
            f"[ ! -e {self._place}/armed ] || echo kept=yes; "
            f"sed 's/^digest=/failed=/' {self._place}.failed 2>/dev/null || :",
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Wait for the judge of a change before, keep what there is, and start the judge.

        Where files of a run that was cut off have never been loaded, what it kept is what runs, and stays kept.
        """
        what = (self.part, self.units, self.paths)
        return [
            Action(
                fallback.begin(*what, check=self.check, within=self.within, digest=self.digest, between=self.between)
            )
        ]

    def remove(self) -> Sequence[Action]:
        """End the judge and forget what it kept."""
        return [Action(fallback.end(self.part))]

    @property
    def _place(self) -> str:
        return fallback.place(self.part)


@dataclass(frozen=True, kw_only=True)
class Settled(Resource):
    """The end of a change that no service had to load: a mode, a program that none runs, a file as it was before
    somebody edited it. There is nothing to judge, and nothing to go back to.
    """

    kind: ClassVar[str] = "settled"
    passive: ClassVar[bool] = False

    part: str
    units: tuple[str, ...]

    @property
    def name(self) -> str:
        """The part."""
        return self.part

    @property
    def desired(self) -> State:
        """No files wait to be loaded."""
        return {"waits": "nothing"}

    def probe(self) -> Probe:
        """Whether a judge waits for services that load something."""
        return Probe("script", f"if {self._waits()}; then echo waits=files; else echo waits=nothing; fi")

    def converge(self, actual: State) -> Sequence[Action]:
        """Send that judge away; one that has something to judge stays."""
        both = f"{fallback.transient(self.part)} {fallback.unit(self.part)}"
        gone = fallback.gone(self.part)
        return [Action(f"if {self._waits()}; then systemctl stop {both} 2>/dev/null || :\n{gone}\nfi")]

    def remove(self) -> Sequence[Action]:
        """Nothing of its own."""
        return []

    def _waits(self) -> str:
        return f"[ -e {fallback.place(self.part)}/armed ] && ! {{ {fallback.loaded(self.part, self.units)}; }}"
