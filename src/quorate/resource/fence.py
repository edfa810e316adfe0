"""A fence: services that must not start, also after a reboot, until the operation that put it there takes it away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.sh import heredoc, quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE, UNITS

PLACE = f"{STATE}/fence"
"""The operation whose fence it is."""
CONDITION = f"""\
# While this file is there, an operation of quorate keeps the service from starting.
[Unit]
ConditionPathExists=!{PLACE}
"""


@dataclass(frozen=True, kw_only=True)
class Fence(Resource):
    """Up: a file with the operation's id, which is a condition of the units. Down: neither of them.

    It stops nothing that runs. One of another operation is not touched.
    """

    kind: ClassVar[str] = "fence"
    passive: ClassVar[bool] = False

    id: str
    units: tuple[str, ...]
    up: bool = True

    @property
    def name(self) -> str:
        """There is one on a host."""
        return "fence"

    @property
    def desired(self) -> State:
        """Whose it is, and of how many units."""
        return {"of": self.id, "units": str(len(self.units))} if self.up else {"of": "nobody", "units": "0"}

    def probe(self) -> Probe:
        """Look for the file and for the conditions."""
        files = " ".join(quote(self._condition(unit)) for unit in self.units)
        return Probe(
            "script",
            f'echo "of=$(cat {PLACE} 2>/dev/null || echo nobody)"\n'
            f'n=0; for f in {files}; do if [ -e "$f" ]; then n=$(( n + 1 )); fi; done; echo units=$n',
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """The file last where it goes up, first where it goes down; systemd reads the conditions at once."""
        mine = f"case $(cat {PLACE} 2>/dev/null) in '' | {quote(self.id)}) ;; *)\n"
        mine += f'  echo "the fence of another operation: $(cat {PLACE})" >&2; exit 1;; esac\n'
        files = [self._condition(unit) for unit in self.units]
        if not self.up:
            return [Action(f"{mine}rm -f -- {PLACE}\n{self._gone(files)}systemctl daemon-reload")]
        made = "".join(
            f"( umask 022; {sh('mkdir', '-p', _folder(file))} )\n"
            f"settle 0644 root:root {quote(file)} {heredoc(CONDITION)}\n"
            for file in files
        )
        return [
            Action(f"{mine}{made}settle 0600 root:root {PLACE} {heredoc(self.id + chr(10))}\nsystemctl daemon-reload")
        ]

    def remove(self) -> Sequence[Action]:
        """Down, whoever put it up."""
        files = [self._condition(unit) for unit in self.units]
        return [Action(f"rm -f -- {PLACE}\n{self._gone(files)}")]

    def _gone(self, files: Sequence[str]) -> str:
        return "".join(
            f"{sh('rm', '-f', '--', file)}; rmdir -- {quote(_folder(file))} 2>/dev/null || :\n" for file in files
        )

    def _condition(self, unit: str) -> str:
        return f"{UNITS}/{unit}.d/quorate-fence.conf"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
