"""The look at the hosts that plan and apply begin with: a plan, and all that its readers see."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from quorate.cli.timed import Phase, TimedTransport
from quorate.core import Blob, Transport
from quorate.execute.facts import gather
from quorate.execute.observe import present_texts
from quorate.execute.prepare import Prepared, prepare
from quorate.plan.fallback import known_bad
from quorate.plan.limit import limited
from quorate.plan.outages import outages
from quorate.plan.show import Shown, show
from quorate.report.event import Emit, Said
from quorate.spec.cluster import Cluster
from quorate.spec.leaving import everybody
from quorate.spec.restoring import Restoration
from quorate.state.past import Past
from quorate.state.store import Store


@dataclass(frozen=True)
class Looked:
    """A plan, as prepared and as shown, and how long each part took."""

    prepared: Prepared
    shown: Shown
    phases: tuple[Phase, ...]
    waived: tuple[str, ...] = ()
    """What the preflight found and the operator knows better."""

    @property
    def now(self) -> Shown:
        """What is shown of the stage that comes now."""
        return self.shown.of(self.prepared.compiled.stage)

    def limited(self, hosts: Collection[str]) -> Self:
        """Only what the stage that comes now does on some hosts; the same without any. Raises PlanError."""
        if not hosts:
            return self
        plan, now = limited(self.prepared.plan, hosts), self.now
        shown = replace(now, lines=tuple(line for line in now.lines if line.key in plan.steps))
        return replace(self, prepared=replace(self.prepared, plan=plan, later=()), shown=shown)

    def after(self, name: str, seconds: float) -> Self:
        """The same, with a phase that came before."""
        later = ((phase, first + seconds, last + seconds) for phase, first, last in self.phases)
        return replace(self, phases=((name, 0.0, seconds), *later))

    def then(self, name: str, seconds: float) -> Self:
        """The same, with a phase that came after."""
        end = self.phases[-1][2] if self.phases else 0.0
        return replace(self, phases=(*self.phases, (name, end, end + seconds)))


async def look(
    cluster: Cluster,
    file: Path,
    via: Transport,
    emit: Emit,
    *,
    replaced: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
    on_event: Emit = lambda _event: None,
    stage: str = "",
    restoring: Restoration | None = None,
    gives_up: bool = False,
    fetches: bool = True,
) -> Looked:
    """The plan with all that its readers see; nothing is changed anywhere. `on_event` hears what is being done.

    `replaced` are hosts that are new machines in the place of others, `without` dead ones that shall be left out;
    `stage` is the one to begin with, `restoring` what a restore restores; or somebody `gives_up` the one
    that has begun. Unless it `fetches`, programs that lie on the way of an upgrade may be promised.
    """
    timed = TimedTransport(via, on_phase=lambda text: on_event(Said(text)))
    past = Past(Store.beside(file, cluster.name), file, cluster)
    asked = asyncio.create_task(gather(everybody(cluster, past.former), timed))
    prepared = await prepare(
        *(cluster, file, timed, emit),
        replaced=replaced,
        without=without,
        asked=asked,
        stage=stage,
        restoring=restoring,
        gives_up=gives_up,
        fetches=fetches,
    )
    phases = timed.phases()
    present = await present_texts(prepared.plan, timed)
    lost = {host: prepared.lost.get(host, "did not answer") for host in prepared.plan.unreachable}
    shown = show(prepared.plan, present, size_on_wire, lost, stage=prepared.compiled.stage)
    later = [show(each.plan, each.texts, size_on_wire, lost, stage=each.name) for each in prepared.later]
    lines = tuple(line for one in (shown, *later) for line in one.lines)
    whole = replace(shown, lines=lines)
    notes = (*shown.notes, *known_bad(prepared.plan).values(), *outages(whole, prepared.context.cluster))
    return Looked(prepared, replace(whole, notes=notes), tuple(phases))


def size_on_wire(blob: Blob) -> int:
    """Bytes of a blob on the wire."""
    try:
        return blob.path.stat().st_size
    except OSError:
        return blob.size


def host_titles(looked: Looked) -> dict[str, str]:
    """Address and roles by host; of those that leave, as they were."""
    context = looked.prepared.context
    hosts = (*(each.host for each in context.leaving), *context.cluster.hosts)
    return {host.name: f"{host.ip}  {', '.join(host.roles)}" for host in hosts}
