"""What plan, apply, status and the others begin with: load the file, open the door, look at the hosts."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.output import Output
from quorate.cli.watched import Phase, Watched
from quorate.core import Blob, Transport, UsageError
from quorate.plan.words import line
from quorate.report.console import QUIET
from quorate.report.event import Emit, Event, Said
from quorate.spec.cluster import Cluster

if TYPE_CHECKING:
    from quorate.execute.prepare import Prepared
    from quorate.plan.show import Shown
    from quorate.spec.restoring import Restoration


@dataclass(frozen=True)
class Looked:
    """A plan, as prepared and as shown, and how long each part took."""

    prepared: "Prepared"
    shown: "Shown"
    phases: tuple[Phase, ...]
    waived: tuple[str, ...] = ()
    """What the preflight found and the operator knows better."""

    @property
    def now(self) -> "Shown":
        """What is shown of the stage that comes now."""
        return self.shown.of(self.prepared.compiled.stage)

    def limited(self, hosts: Collection[str]) -> "Looked":
        """Only what the stage that comes now does on some hosts; the same without any. Raises PlanError."""
        from quorate.plan.limit import limited

        if not hosts:
            return self
        plan, now = limited(self.prepared.plan, hosts), self.now
        shown = replace(now, lines=tuple(line for line in now.lines if line.key in plan.steps))
        return replace(self, prepared=replace(self.prepared, plan=plan, later=()), shown=shown)

    def after(self, name: str, seconds: float) -> "Looked":
        """The same, with a phase that came before."""
        later = ((phase, first + seconds, last + seconds) for phase, first, last in self.phases)
        return replace(self, phases=((name, 0.0, seconds), *later))

    def then(self, name: str, seconds: float) -> "Looked":
        """The same, with a phase that came after."""
        end = self.phases[-1][2] if self.phases else 0.0
        return replace(self, phases=(*self.phases, (name, end, end + seconds)))


def open_door(cluster: Cluster, *, asks: bool) -> Transport:
    """The way to the cluster's hosts; tests put another one here."""
    from quorate.transport.password import Prompt
    from quorate.transport.ssh import SshTransport

    return SshTransport.of(cluster, prompt=Prompt(allowed=asks))


@asynccontextmanager
async def door(cluster: Cluster, file: Path, *, asks: bool) -> AsyncIterator[Transport]:
    """The same, also to hosts that are about to leave; closed in the end."""
    from quorate.spec.leaving import everybody
    from quorate.state.past import Past
    from quorate.state.store import Store

    past = Past(Store.beside(file, cluster.name), file, cluster)
    via = open_door(everybody(cluster, past.former), asks=asks)
    try:
        yield via
    finally:
        await via.close()


@contextmanager
def busy(out: Output | None, text: str) -> Iterator[Emit]:
    """A line that moves while something takes its time; where nothing may move, what is said is printed."""
    if out is None:
        yield lambda _event: None
        return
    if not out.lively:

        def say(event: Event) -> None:
            if isinstance(event, Said) and event.text:
                out.say((line(event.text), QUIET))

        yield say
        return
    with out.console.status(text, spinner="dots", spinner_style="cyan") as status:

        def update(event: Event) -> None:
            if isinstance(event, Said):
                status.update(line(event.text, out.console.width - 6))

        yield update


async def read_code() -> None:
    """Load what making a plan needs, while the loop waits for hosts: this process is at it for half a second."""
    import asyncio
    from importlib import import_module

    for name in ("quorate.execute.prepare", "quorate.plan.show"):
        await asyncio.to_thread(import_module, name)


async def look(
    cluster: Cluster,
    file: Path,
    via: Transport,
    emit: Emit,
    *,
    replaced: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
    told: Emit = lambda _event: None,
    stage: str = "",
    restoring: "Restoration | None" = None,
    gives_up: bool = False,
) -> Looked:
    """The plan with all that its readers see; nothing is changed anywhere. `told` hears what is being done.

    `replaced` are hosts that are new machines in the place of others, `without` dead ones that shall be left out;
    `stage` is the one to begin with, `restoring` what a restore restores; or somebody `gives_up` the one
    that has begun.
    """
    import asyncio

    from quorate.execute.facts import gather
    from quorate.spec.leaving import everybody
    from quorate.state.past import Past
    from quorate.state.store import Store

    watched = Watched(via, told=lambda text: told(Said(text)))
    # The hosts answer while this process still reads its own code.
    past = Past(Store.beside(file, cluster.name), file, cluster)
    asked = asyncio.create_task(gather(everybody(cluster, past.former), watched))
    await read_code()
    from quorate.execute.prepare import prepare, present_texts
    from quorate.plan.fallback import known_bad
    from quorate.plan.show import show

    prepared = await prepare(
        *(cluster, file, watched, emit),
        replaced=replaced,
        without=without,
        asked=asked,
        stage=stage,
        restoring=restoring,
        gives_up=gives_up,
    )
    phases = watched.phases()
    present = await present_texts(prepared.plan, watched)
    lost = {host: prepared.lost.get(host, "did not answer") for host in prepared.plan.unreachable}
    shown = show(prepared.plan, present, wire, lost, stage=prepared.compiled.stage)
    further = [show(each.plan, each.texts, wire, lost, stage=each.name) for each in prepared.later]
    every = tuple(line for one in (shown, *further) for line in one.lines)
    notes = (*shown.notes, *known_bad(prepared.plan).values())
    return Looked(prepared, replace(shown, lines=every, notes=notes), tuple(phases))


def wire(blob: Blob) -> int:
    """Bytes of a blob on the wire."""
    try:
        return blob.path.stat().st_size
    except OSError:
        return blob.size


def about(looked: Looked) -> dict[str, str]:
    """Address and roles by host; of those that leave, as they were."""
    context = looked.prepared.context
    hosts = (*(each.host for each in context.leaving), *context.cluster.hosts)
    return {host.name: f"{host.ip}  {', '.join(host.roles)}" for host in hosts}


def there(cluster: Cluster, file: Path) -> Cluster:
    """The cluster less the hosts that are left out of it since they are dead: what its judges expect."""
    from quorate.state.past import Past
    from quorate.state.store import Store

    return Past(Store.beside(file, cluster.name), file, cluster).there


def selected(cluster: Cluster, names: tuple[str, ...]) -> frozenset[str]:
    """The hosts that are named, and those of roles that are named. Raises UsageError for what is neither."""
    from quorate.spec.cluster import Role

    roles = [role.value for role in Role]
    found = set[str]()
    for name in names:
        hosts = {host.name for host in cluster.hosts if host.name == name or (name in roles and host.has(Role(name)))}
        if not hosts:
            have = ", ".join(host.name for host in cluster.hosts)
            raise UsageError(f"{cluster.name} has no host or role {name}", f"hosts: {have}; roles: {', '.join(roles)}")
        found |= hosts
    return frozenset(found)


def known(cluster: Cluster, hosts: tuple[str, ...], components: tuple[str, ...]) -> None:
    """Refuse names that are not in the cluster."""
    from quorate.component import COMPONENTS

    names = [host.name for host in cluster.hosts]
    for host in hosts:
        if host not in names:
            raise UsageError(f"{cluster.name} has no host {host}", f"hosts: {', '.join(names)}")
    parts = [component.NAME for component in COMPONENTS]
    for component in components:
        if component not in parts:
            raise UsageError(f"there is no component {component}", f"components: {', '.join(parts)}")
