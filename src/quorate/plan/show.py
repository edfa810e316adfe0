"""A plan for readers: one line per change, by host and component, with diffs, restarts and bytes; no secret in it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from quorate.core import Blob, Key
from quorate.plan import describe
from quorate.plan.step import Plan, Step
from quorate.plan.words import many, size
from quorate.resource.drain import Drained, Uncordoned
from quorate.resource.fallback import Fallback, Settled
from quorate.resource.file import Binary, File
from quorate.resource.removal import Removal
from quorate.resource.system import Hook, Setting
from quorate.resource.unit import Stopped, Unit

Wire = Callable[[Blob], int]
"""Bytes of a blob on the wire."""


class Sort(StrEnum):
    """What happens to a thing."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    RESTART = "restart"
    RELOAD = "reload"
    WAIT = "wait"


SIGNS = {
    Sort.CREATE: "+",
    Sort.CHANGE: "~",
    Sort.REMOVE: "-",
    Sort.RESTART: "!",
    Sort.RELOAD: "!",
    Sort.WAIT: ".",
}
"""The mark at the beginning of a line."""


@dataclass(frozen=True)
class Line:
    """One change."""

    key: Key
    component: str
    sort: Sort
    kind: str
    name: str
    detail: str
    diff: describe.Diff = ()
    send: int = 0
    """Bytes to send for it."""
    stage: str = ""
    """The stage in which it happens."""


@dataclass(frozen=True)
class Shown:
    """All that a reader is told about a plan."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    unreachable: Mapping[str, str] | None = None
    looked: int = 0
    """How many things were looked at."""
    hosts: tuple[str, ...] = ()

    def only(self, components: Collection[str] = (), hosts: Collection[str] = ()) -> "Shown":
        """The part that belongs to these components and hosts; none named means all."""
        kept = (
            line
            for line in self.lines
            if (not components or line.component in components) and (not hosts or line.key.host in hosts)
        )
        return replace(self, lines=tuple(kept))

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that have something to do, in their order."""
        return tuple(dict.fromkeys(line.stage for line in self.lines))

    def of(self, stage: str) -> "Shown":
        """The part of one stage."""
        return replace(self, lines=tuple(line for line in self.lines if line.stage == stage))

    def count(self, *sorts: Sort) -> int:
        """How many lines are of these sorts."""
        return sum(1 for line in self.lines if line.sort in sorts)

    @property
    def send(self) -> int:
        """Bytes to send."""
        return sum(line.send for line in self.lines)

    @property
    def summary(self) -> str:
        """All in one line."""
        counted = [
            (self.count(Sort.CREATE), "to create"),
            (self.count(Sort.CHANGE), "to change"),
            (self.count(Sort.REMOVE), "to remove"),
            (self.count(Sort.WAIT), "to wait for"),
        ]
        said = [f"{count} {what}" for count, what in counted if count]
        if restarts := self.count(Sort.RESTART):
            said.append(many(restarts, "restart"))
        if reloads := self.count(Sort.RELOAD):
            said.append(many(reloads, "reload"))
        if self.send:
            said.append(f"{size(self.send)} to send")
        return ", ".join(said) or "no changes"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "changes": bool(self.lines),
            "summary": {**self._counts(), "looked_at": self.looked},
            "stages": [{"name": name, **self.of(name)._counts()} for name in self.stages],
            "unreachable": dict(self.unreachable or {}),
            "notes": list(self.notes),
            "lines": [
                {
                    "stage": line.stage,
                    "host": line.key.host,
                    "component": line.component,
                    "action": line.sort.value,
                    "kind": line.kind,
                    "name": line.key.name,
                    "detail": line.detail,
                    "diff": list(line.diff),
                    "send_bytes": line.send,
                }
                for line in self.lines
            ],
        }

    def _counts(self) -> dict[str, int]:
        return {**{sort.value: self.count(sort) for sort in Sort}, "send_bytes": self.send}


def show(
    plan: Plan, present: Mapping[Key, str], wire: Wire, lost: Mapping[str, str] | None = None, *, stage: str = ""
) -> Shown:
    """Every change of a plan on hosts that answer; `present` are texts as they stand, `lost` tells reasons."""
    lost = lost or dict.fromkeys(plan.unreachable, "did not answer")
    away = {*plan.unreachable, *lost}
    # What is kept to go back to is nothing of the cluster.
    steps = [
        step
        for step in plan.steps.values()
        if step.key.host not in away and not isinstance(step.resource, Fallback | Settled)
    ]
    lines = [_line(plan, step, present.get(step.key), wire) for step in steps if step.diff]
    lines += _implied(plan, [step for step in steps if step.diff])
    rank = {key: number for number, key in enumerate(plan.steps)}
    order = {name: number for number, name in enumerate(dict.fromkeys(plan.component_of.values()))}
    lines.sort(key=lambda line: (line.key.host, order.get(line.component, 0), rank[line.key]))
    lines = [replace(line, stage=stage) for line in lines] if stage else lines
    hosts = tuple(dict.fromkeys(step.key.host for step in steps))
    return Shown(
        tuple(lines), plan.notes, {host: lost.get(host, "did not answer") for host in sorted(away)}, len(steps), hosts
    )


def _line(plan: Plan, step: Step, present: str | None, wire: Wire) -> Line:
    blobs = [action.blob for action in step.resource.converge(step.actual or {}) if action.blob]
    send = sum(wire(blob) for blob in blobs)
    said = ", ".join(filter(None, (describe.detail(step, send), f"send {size(send)}" if send else "")))
    return Line(
        step.key,
        plan.part(step.key),
        _sort(step),
        describe.kind(step),
        describe.name(step),
        said,
        describe.diff(step, present),
        send,
    )


def _sort(step: Step) -> Sort:
    if describe.waits(step):
        return Sort.WAIT
    if not step.resource.desired or isinstance(step.resource, Removal | Stopped):
        return Sort.REMOVE
    if isinstance(step.resource, Setting) and step.resource.removes:
        return Sort.REMOVE
    stale = step.diff.keys() == {"loaded"}
    if isinstance(step.resource, Unit) and stale:
        return Sort.RELOAD if step.resource.reload else Sort.RESTART
    if isinstance(step.resource, Drained | Hook | Uncordoned):
        return Sort.CHANGE
    return Sort.CHANGE if step.actual else Sort.CREATE


def _implied(plan: Plan, changing: list[Step]) -> Iterator[Line]:
    """Running services that nothing is wrong with, but that have loaded a file whose content changes."""
    files: dict[tuple[str, str], str] = {}
    for step in changing:
        if isinstance(step.resource, File | Binary) and "sha256" in step.diff:
            files[step.key.host, step.resource.path] = step.resource.path.rpartition("/")[2]
    for key, step in plan.steps.items():
        unit = step.resource
        if not isinstance(unit, Unit) or step.diff:
            continue
        causes = [files[key.host, path] for path in unit.loads if (key.host, path) in files]
        if causes:
            own = f"/etc/systemd/system/{unit.unit}"
            sort = Sort.RELOAD if unit.reload and (key.host, own) not in files else Sort.RESTART
            said = f"{sort.value}: {', '.join(dict.fromkeys(causes))} changes"
            said += describe.at_rest(unit) if sort is Sort.RESTART else ""
            yield Line(key, plan.part(key), sort, key.kind, unit.unit, said)
