"""What stands around the change of a worker: its node emptied, and taking pods again if we had cordoned it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.drain import emptied, mark, uncordon
from quorate.render.sh import quote
from quorate.resource.resource import Resource


@dataclass(frozen=True, kw_only=True)
class Drained(Resource):
    """Pods moved away from a node, by the API; those of DaemonSets stay. PodDisruptionBudgets are respected."""

    kind: ClassVar[str] = "drained"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True
    apart: ClassVar[bool] = True

    node: str
    run: str = field(repr=False)
    """sh: kubectl, as administrator."""
    seconds: int

    @property
    def name(self) -> str:
        """The node."""
        return self.node

    @property
    def may_take(self) -> int:
        """The time that pods have."""
        return self.seconds

    @property
    def desired(self) -> State:
        """It takes no pods."""
        return {"drained": "yes"}

    def probe(self) -> Probe:
        """Ask whether it takes pods; one that is not there takes none."""
        return Probe(
            "script",
            f"on=$({self.run} get node {quote(self.node)} --ignore-not-found -o name) || exit 0\n"
            '[ -n "$on" ] || { echo drained=yes; exit 0; }\n'
            f"case $({self.run} get node {quote(self.node)} -o 'jsonpath={{.spec.unschedulable}}') in\n"
            "true) echo drained=yes;; *) echo drained=no;; esac",
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Mark it if it takes pods, then cordon and drain it; what does not empty takes pods again."""
        node = quote(self.node)
        there = f'on=$({self.run} get node {node} --ignore-not-found -o name); [ -n "$on" ] || exit 0\n'
        return [Action(there + emptied(self.run, self.node, self.seconds))]

    def remove(self) -> Sequence[Action]:
        """Nothing to undo: with the cluster goes the node."""
        return []


@dataclass(frozen=True, kw_only=True)
class Uncordoned(Resource):
    """A node that we cordoned takes pods again."""

    kind: ClassVar[str] = "uncordoned"
    passive: ClassVar[bool] = False
    apart: ClassVar[bool] = True
    recalls: ClassVar[bool] = True

    node: str
    run: str = field(repr=False)

    @property
    def name(self) -> str:
        """The node."""
        return self.node

    @property
    def desired(self) -> State:
        """Nothing of ours."""
        return {"cordon": "none of ours"}

    def probe(self) -> Probe:
        """Ask for the mark."""
        told = '[ -n "$mark" ] && echo cordon=ours || echo "cordon=none of ours"'
        return Probe("script", f"{mark(self.run, self.node)} || exit 0\n{told}")

    def converge(self, actual: State) -> Sequence[Action]:
        """Where our mark is: uncordon it, and take the mark away."""
        ours = f'{mark(self.run, self.node)}\n[ -n "$mark" ] || exit 0'
        return [Action(f"{ours}\n{uncordon(self.run, self.node)}")]

    def remove(self) -> Sequence[Action]:
        """Nothing to undo."""
        return []
