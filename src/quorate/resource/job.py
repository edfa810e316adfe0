"""A job: long work on a host that goes on without us, tells how far it is, and is gone on with where it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import job, token
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE

PLACE = f"{STATE}/jobs"


@dataclass(frozen=True, kw_only=True)
class Job(Resource):
    """A script that runs as a transient service. It is called with the path of its cursor, which it writes after each
    piece of work and begins at; it prints `progress DONE ALL` lines, and has `$RATE`, pieces a second.

    Who watches may go away and come back. After a reboot it begins again at its cursor, with the next apply.
    """

    kind: ClassVar[str] = "job"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    what: str
    id: str
    """Of the operation: another one's work is not taken for done."""
    script: str = field(repr=False)
    rate: int = 0
    """Pieces a second at most; 0: as fast as it can."""

    @property
    def name(self) -> str:
        """The work."""
        return self.what

    @property
    def desired(self) -> State:
        """Done for this operation."""
        return {"done": self.id}

    def probe(self) -> Probe:
        """Ask for the note of its end."""
        return Probe("script", f'echo "done=$(cat {self._place}/done 2>/dev/null || echo no)"')

    def converge(self, actual: State) -> Sequence[Action]:
        """Start it if it neither runs nor has ended, and tell what it tells until it has."""
        unit = f"quorate-job-{token.name(self._word)}.service"
        start = job.start(self._place, unit, what=self.what, id=self.id, script=self.script, rate=self.rate)
        return [Action(start)]

    def remove(self) -> Sequence[Action]:
        """End it and forget it."""
        return [Action(f"systemctl stop quorate-job-{self._word}.service 2>/dev/null || :; rm -rf -- {self._place}")]

    @property
    def _word(self) -> str:
        return self.what.replace(" ", "-")

    @property
    def _place(self) -> str:
        return f"{PLACE}/{self._word}"
