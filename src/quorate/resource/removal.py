"""What leaves a host: all that the cluster has on it, or what one part has there and nobody else needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render import fallback
from quorate.render.sh import quote
from quorate.resource.resource import Resource
from quorate.spec.layout import LOADED, STATE

FAILED = "\x03failed "
"""Begins a line that names something that could not be removed."""


def script(resources: Sequence[Resource], *, whole: bool) -> str:
    """Remove resources, given in the order of removal; one that fails does not stop the others.

    Before a whole host is cleaned the judges of its changes end. The notes about how it was found go last, with the
    `whole` of it, and only when everything else is gone.
    """
    parts = ["q_bad=\n", *([fallback.SWEPT] if whole else [])]
    for resource in resources:
        orders = "\n".join(action.script for action in resource.remove())
        if not orders:
            continue
        name = quote(f"{resource.key.kind}/{resource.key.name}")
        parts.append(
            f"q_step() {{ (\nset -eu\n{orders}\n) </dev/null; }}\n"
            "set +e; { q_out=$(q_step 2>&1); q_rc=$?; } 7>&1; set -e\n"
            f"[ $q_rc = 0 ] || {{ q_bad=1; printf '{FAILED}%s: %s\\n' {name} \"$q_out\"; }}\n"
        )
    parts.append("systemctl daemon-reload || :\n")
    if whole:
        parts.append(f'[ -n "$q_bad" ] || rm -rf -- {STATE} {LOADED}\n')
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Removal(Resource):
    """Things that the cluster had on a host and has there no more."""

    kind: ClassVar[str] = "removal"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    what: str
    """The part that they belong to, or `everything`."""
    resources: tuple[Resource, ...] = field(repr=False)
    """In the order of removal."""
    whole: bool = False
    """The host leaves, and keeps nothing of ours."""

    @property
    def name(self) -> str:
        """What goes."""
        return self.what

    @property
    def desired(self) -> State:
        """Gone."""
        return {"removed": "yes"}

    def probe(self) -> Probe:
        """Ask the host's notes: of the whole they are gone themselves, of a part no path and no package is in them."""
        if self.whole:
            return Probe("script", f"[ -e {STATE}/made ] || echo removed=yes")
        traces = [path for resource in self.resources for path in resource.traces]
        noted = " ".join(f"-e {quote(path)}" for path in traces)
        there = " ".join(quote(path if path.startswith(f"{STATE}/") else f"{STATE}/found{path}") for path in traces)
        came = " ".join(f"-e {quote(name)}" for resource in self.resources for name in resource.brought)
        packages = f"if grep -qxF {came} {STATE}/packages 2>/dev/null; then r=no; fi\n" if came else ""
        return Probe(
            "script",
            f"r=yes; if grep -qxF {noted or '-e /'} {STATE}/made 2>/dev/null; then r=no; fi\n{packages}"
            f'for p in {there}; do if [ -e "$p" ] || [ -L "$p" ]; then r=no; fi; done; echo removed=$r',
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Remove them; what could not be removed is told, and fails the step."""
        return [Action(f'{script(self.resources, whole=self.whole)}[ -z "$q_bad" ]')]

    def remove(self) -> Sequence[Action]:
        """The same."""
        return self.converge({})
