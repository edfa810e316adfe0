"""A fence: services that must not start, also after a reboot, until the operation that put it there opens it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.sh import heredoc, quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE, UNITS

PLACE = f"{STATE}/fence"
"""A file for each fence that is up, with the operation whose it is; `NAME.opened` names the one that opened it."""


@dataclass(frozen=True, kw_only=True)
class Fence(Resource):
    """Up: a file with the operation's id, which is a condition of the units. Opened: neither of them, and a note.

    It stops nothing that runs. One of another operation is not touched.
    """

    kind: ClassVar[str] = "fence"
    passive: ClassVar[bool] = False

    what: str
    """One word: what is fenced."""
    id: str
    units: tuple[str, ...]
    up: bool = True

    @property
    def name(self) -> str:
        """What is fenced; to put it up and to open it are two things."""
        return self.what if self.up else f"{self.what} opened"

    @property
    def desired(self) -> State:
        """Whose it is, and of how many units; or who opened it."""
        return {"of": self.id, "units": str(len(self.units))} if self.up else {"opened": self.id, "units": "0"}

    def probe(self) -> Probe:
        """Look for the file or the note, and for the conditions."""
        files = " ".join(quote(self._condition(unit)) for unit in self.units)
        place, field = (self._place, "of") if self.up else (self._opened, "opened")
        return Probe(
            "script",
            f'echo "{field}=$(cat {quote(place)} 2>/dev/null || echo nobody)"\n'
            f'n=0; for f in {files}; do if [ -e "$f" ]; then n=$(( n + 1 )); fi; done; echo units=$n',
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """The file last where it goes up, first where it is opened; systemd reads the conditions at once."""
        place = quote(self._place)
        mine = f"case $(cat {place} 2>/dev/null) in '' | {quote(self.id)}) ;; *)\n"
        mine += f'  echo "the fence of another operation: $(cat {place})" >&2; exit 1;; esac\n'
        files = [self._condition(unit) for unit in self.units]
        note = heredoc(self.id + "\n")
        if not self.up:
            gone = f"{mine}mkdir -p {PLACE}\nrm -f -- {place}\n{self._gone(files)}"
            return [Action(f"{gone}settle 0600 root:root {quote(self._opened)} {note}\nsystemctl daemon-reload")]
        condition = f"""\
# While this file is there, an operation of quorate keeps the service from starting.
[Unit]
ConditionPathExists=!{self._place}
"""
        made = "".join(
            f"( umask 022; {sh('mkdir', '-p', '--', _folder(file))} )\n"
            f"settle 0644 root:root {quote(file)} {heredoc(condition)}\n"
            for file in files
        )
        return [Action(f"{mine}mkdir -p {PLACE}\n{made}settle 0600 root:root {place} {note}\nsystemctl daemon-reload")]

    def remove(self) -> Sequence[Action]:
        """Down, whoever put it up."""
        files = [self._condition(unit) for unit in self.units]
        return [Action(f"{sh('rm', '-f', '--', self._place, self._opened)}\n{self._gone(files)}")]

    def _gone(self, files: Sequence[str]) -> str:
        return "".join(
            f"{sh('rm', '-f', '--', file)}; rmdir -- {quote(_folder(file))} 2>/dev/null || :\n" for file in files
        )

    def _condition(self, unit: str) -> str:
        return f"{UNITS}/{unit}.d/quorate-fence.conf"

    @property
    def _place(self) -> str:
        return f"{PLACE}/{self.what}"

    @property
    def _opened(self) -> str:
        return f"{PLACE}/{self.what}.opened"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
