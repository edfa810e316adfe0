"""A job: long work on a host that goes on without us, tells how far it is, and is gone on with where it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import token
from quorate.render.sh import heredoc, quote
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE

PLACE = f"{STATE}/jobs"
SILENT_S = 600
"""Seconds without a word of progress after which whoever watches gives up; the job itself goes on."""


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
        place, unit = self._place, f"quorate-job-{token.name(self._word)}.service"
        silent = quote(f"{self.what}: no progress for {SILENT_S} s; it goes on")
        run = (
            f"rm -f {place}/code; /bin/sh {place}/script {place}/cursor >>{place}/log 2>&1; c=$?\n"
            f"[ $c != 0 ] || printf '%s\\n' {quote(self.id)} >{place}/done; echo $c >{place}/code\n"
        )
        return [
            Action(
                f'mkdir -p {place}; if [ "$(cat {place}/id 2>/dev/null)" != {quote(self.id)} ]; then\n'
                f"  systemctl stop {unit} 2>/dev/null || :\n"
                f"  rm -f {place}/cursor {place}/done {place}/log {place}/code\n"
                f"  printf '%s\\n' {quote(self.id)} >{place}/id\nfi\n"
                f"if [ -e {place}/code ] || ! systemctl is-active -q {unit}; then\n"
                f"  systemctl stop {unit} 2>/dev/null || :\n"
                f"  settle 0600 root:root {place}/script {heredoc(self.script)}\n"
                f"  settle 0600 root:root {place}/run {heredoc(run)}\n"
                f"  rm -f {place}/code; : >{place}/log\n"
                f"  systemd-run -q --collect --unit={unit} --setenv=RATE={self.rate} /bin/sh {place}/run\nfi\n"
                f"said= quiet=0; until [ -e {place}/code ]; do\n"
                f"  now=$(sed -n 's/^progress //p' {place}/log | tail -n 1)\n"
                '  if [ "$now" != "$said" ]; then said=$now quiet=0; tell "${said% *} of ${said#* }"; fi\n'
                f"  quiet=$(( quiet + 1 )); if [ $quiet -ge {SILENT_S} ]; then\n"
                f"    echo {silent} >&2; exit 1; fi\n"
                f"  systemctl is-active -q {unit} || [ -e {place}/code ] || sleep 1; sleep 1\n"
                f"  systemctl is-active -q {unit} || [ -e {place}/code ] || {{ echo 'it was ended' >&2; exit 1; }}\n"
                f'done\n[ "$(cat {place}/code)" = 0 ] || {{ grep -v ^progress {place}/log | tail -n 5 >&2; exit 1; }}'
            )
        ]

    def remove(self) -> Sequence[Action]:
        """End it and forget it."""
        return [Action(f"systemctl stop quorate-job-{self._word}.service 2>/dev/null || :; rm -rf -- {self._place}")]

    @property
    def _word(self) -> str:
        return self.what.replace(" ", "-")

    @property
    def _place(self) -> str:
        return f"{PLACE}/{self._word}"
