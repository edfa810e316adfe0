"""`quorate restore`: take the cluster back to a backup."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.opening import IdentityFile, PassphraseFrom
from quorate.cli.words import DEFAULT, BreakLock, File, Json, Replace, Retry, Svg, Verbose, Waive, Without, Yes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.backup.archive import OpenedSet
    from quorate.backup.catalog import Found
    from quorate.cli.output import Output
    from quorate.core import QuorateError, Transport
    from quorate.execute.prepare import Prepared
    from quorate.state.store import Store

Name = Annotated[str, Parameter(help="Name of the backup, as `quorate backup list` has it, or its file.")]
From = Annotated[
    Path | None, Parameter(name="--from", help="The folder on this machine where backups lie, instead of the file's.")
]
RollBack = Annotated[
    bool,
    Parameter(
        name="--roll-back",
        help="Give up what was written since, though etcd works or a member has newer data.",
        show_default=False,
    ),
]

GiveUp = Annotated[
    bool,
    Parameter(
        name="--give-up",
        help="Take back a restore that has begun: what stands still starts again, on its old data.",
        show_default=False,
    ),
]
AsClone = Annotated[
    bool,
    Parameter(
        name="--as-clone",
        help="End when API servers serve: without webhooks, kubelets and controllers a copy does not act.",
        show_default=False,
    ),
]

Objects = Annotated[
    tuple[str, ...],
    Parameter(
        name="--objects",
        help="Only read these out of it, as NAMESPACE:KIND/NAME; without a name all of the kind.",
        negative=(),
        show_default=False,
    ),
]
Out = Annotated[
    Path | None, Parameter(name=("--out", "-o"), help="The file for --objects (mode 0600), for `kubectl create -f`.")
]

OFFERED = 5
"""Backups that are named where none was."""


def restore(
    name: Name = "",
    /,
    *,
    file: File = DEFAULT,
    from_: From = None,
    roll_back: RollBack = False,
    give_up: GiveUp = False,
    as_clone: AsClone = False,
    objects: Objects = (),
    out: Out = None,
    yes: Yes = False,
    replace: Replace = (),
    without: Without = (),
    waive: Waive = (),
    retry: Retry = False,
    break_lock: BreakLock = False,
    identity: IdentityFile = None,
    passphrase_from: PassphraseFrom = None,
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Take the cluster back to a backup: show all stages and what is lost, ask, and go.

    New data are made on all members beside the old ones, while the cluster still runs. Then everything that writes is
    stopped behind fences, which a reboot does not open, the data are exchanged, and etcd, API servers, the endpoint,
    kubelets and controllers come back in that order. Old data stay on the hosts, in folders `before-TIME` of etcd's.
    Interrupted or failed, the same command goes on where it stopped, and so does `quorate apply` once all members have
    the new data; until a member has them, --give-up takes it back. All hosts but workers must answer; dead ones are
    left out by --without. At the end a new backup is taken. A backup that is damaged, of another cluster, of other
    versions or of other keys is refused before anything is changed (exit code 4).

    With --as-clone it ends when API servers serve, on their own ports and without webhooks; `quorate apply` goes on
    from there, and makes it a cluster that acts.

    With --objects the cluster is not touched: objects are read out of the backup, on this machine, by a throw-away API
    server, and written to a file from which `kubectl create -f` makes them anew.
    """
    from quorate.cli.output import Output, demand_terminal, run

    if not (yes or objects):
        demand_terminal("restore", "add --yes")
    with Output(svg=svg, title="quorate restore") as console:
        opens = (identity, passphrase_from)
        asked = _Asked(name, file, from_, *opens, roll_back, as_clone, yes, retry, break_lock, verbose, json)
        if objects:
            return run(_objects(console, asked, objects, out))
        if give_up:
            return run(_given_up(console, asked, frozenset(replace), frozenset(without), waive))
        return run(_restore(console, asked, frozenset(replace), frozenset(without), waive))


@dataclass(frozen=True)
class _Asked:
    """What is restored, who opens it, and how."""

    name: str
    file: Path
    folder: Path | None
    identity: Path | None
    passphrase_from: Path | None
    roll_back: bool
    clone: bool
    yes: bool
    retry: bool
    breaks: bool
    verbose: bool
    json: bool


async def _restore(
    out: "Output",
    asked: _Asked,
    replaced: frozenset[str],
    without: frozenset[str],
    waivers: tuple[str, ...],
) -> int:
    from quorate.backup.places import local_folder
    from quorate.backup.prove import cluster_of, private
    from quorate.backup.restore import check, restoration
    from quorate.cli.apply import walk
    from quorate.operation.restore import SERVE
    from quorate.spec.load import load
    from quorate.state.store import Store

    cluster = load(asked.file)
    store = Store.beside(asked.file, cluster.name)
    with private(local_folder(cluster, asked.file, asked.folder)) as scratch:
        opened, level = await _opened(out, asked, scratch, store)
        check(opened, cluster, store)
        then = cluster_of(opened, scratch, cluster, asked.file.absolute().parent)
        restoring = replace(restoration(opened, then, cluster, scratch), clone=asked.clone)

        async def preview(prepared: "Prepared", via: "Transport") -> list[str]:
            return await _preview(asked, opened, level, prepared, via)

        code = await walk(
            *(out, asked.file, replaced, without, waivers, SERVE if asked.clone else "", ()),
            retry=asked.retry,
            yes=asked.yes,
            breaks=asked.breaks,
            verbose=asked.verbose,
            json=asked.json,
            verb="restore",
            restoring=restoring,
            preview=preview,
        )
    if code or asked.clone:
        return code
    return await _anew(out, asked)


async def _given_up(
    out: "Output", asked: _Asked, replaced: frozenset[str], without: frozenset[str], waivers: tuple[str, ...]
) -> int:
    from quorate.cli.apply import walk

    return await walk(
        *(out, asked.file, replaced, without, waivers, "", ()),
        retry=asked.retry,
        yes=asked.yes,
        breaks=asked.breaks,
        verbose=asked.verbose,
        json=asked.json,
        verb="restore",
        gives_up=True,
    )


async def _objects(out: "Output", asked: _Asked, wanted: tuple[str, ...], to: Path | None) -> int:
    """Read objects out of a backup and write them to a file, which must not be there yet: Secrets may be in it."""
    from quorate import atomic
    from quorate.artifact.resolve import resolve
    from quorate.backup.objects import Selection, objects, text
    from quorate.backup.places import local_folder
    from quorate.backup.prove import cluster_of, private
    from quorate.cli.look import busy
    from quorate.cli.output import dump
    from quorate.core import UsageError
    from quorate.plan.words import many
    from quorate.report.event import Said
    from quorate.spec.load import load
    from quorate.state.store import Store

    chosen = [Selection.read(each) for each in wanted]
    if to is None or to.exists():
        why = "no file is named for the objects" if to is None else f"{to} is there already"
        raise UsageError(why, "name a new file with --out")
    cluster = load(asked.file)
    folder = asked.file.absolute().parent
    with private(local_folder(cluster, asked.file, asked.folder)) as scratch:
        opened, _ = await _opened(out, asked, scratch, Store.beside(asked.file, cluster.name))
        then = cluster_of(opened, scratch, cluster, folder)
        with busy(None if asked.json else out, f"reading {opened.whole.name}") as emit:
            supply = await resolve(then, lambda said: emit(Said(said)), beside=folder)
            found = await objects(opened, then, supply, scratch, chosen, lambda said: emit(Said(said)))
    atomic.write(to, text(found).encode(), new=True)
    if asked.json:
        dump({"backup": opened.whole.name, "objects": len(found), "file": str(to)})
    else:
        out.say(f"{many(len(found), 'object')} as of {opened.manifest.taken_at} in {to}: `kubectl create -f {to}`")
    return 0


async def _opened(out: "Output", asked: _Asked, scratch: Path, store: "Store") -> "tuple[OpenedSet, int]":
    """The backup, opened, and how far it was proved. Raises QuorateError where none is named."""
    from quorate.backup.archive import IDENTITY, SUFFIX, check, open_set
    from quorate.backup.catalog import catalog, named
    from quorate.backup.places import FolderPlace, local_folder, places
    from quorate.cli.backup import brought
    from quorate.cli.look import busy
    from quorate.cli.opening import opener
    from quorate.spec.load import load

    cluster = load(asked.file)
    given = Path(asked.name)
    is_file = given.suffix == SUFFIX and given.is_file()
    folder = given.parent if is_file else local_folder(cluster, asked.file, asked.folder)
    there = (FolderPlace(folder),) if is_file else places(cluster, folder)
    with busy(None if asked.json else out, f"reading {given.name}"):
        found, _ = await catalog(there, cluster.name)
        if not asked.name:
            raise _unnamed(found)
        chosen: Found | None = None if is_file else named(found, asked.name)
        chosen = next((each for each in found if is_file and each.name == given.name.removesuffix(SUFFIX)), chosen)
        path = given if chosen is None or is_file else await brought(chosen, there, scratch)
        locked = IDENTITY in check(path).members
        opens = await opener(
            *(asked.identity, asked.passphrase_from),
            asks=not asked.json,
            what=path.name,
            locked=locked,
            store=store,
        )
        return open_set(path, opens), chosen.level if chosen else 0


def _unnamed(found: "Sequence[Found]") -> "QuorateError":
    """Which there are, those that were proved first."""
    from quorate.backup.proof import LEVELS
    from quorate.core import QuorateError

    best = sorted((each for each in found if each.manifest), key=lambda each: (each.level, each.taken), reverse=True)
    told = ", ".join(f"{each.name} ({LEVELS.get(each.level, each.level)})" for each in best[:OFFERED])
    return QuorateError(
        "no backup is named", f"name one: {told}" if told else "there is none: `quorate backup` takes one"
    )


async def _preview(asked: _Asked, opened: "OpenedSet", level: int, prepared: "Prepared", via: "Transport") -> list[str]:
    """What is lost. Raises PlanError where nobody said that it may be; a restore that has begun is not asked again."""
    from datetime import UTC, datetime

    from quorate.backup.restore import live, loses, preview
    from quorate.core import PlanError

    context = prepared.context
    assert context.restoring is not None
    if prepared.past.record is not None and prepared.past.record.restoring is not None:
        return [f"a restore of {context.restoring.source} has begun: this goes on with it"]
    members = context.cluster
    now = await live(members, via)
    against = loses(opened.manifest, opened.whole.name, now, len(members.members))
    if against is not None and not asked.roll_back:
        raise PlanError(f"refused, for the data's sake: {against.why}", against.fix)
    return preview(opened.manifest, now, datetime.now(UTC), bool(context.restoring.bump), level)


async def _anew(out: "Output", asked: _Asked) -> int:
    """A new backup, of the cluster as it is now; what was taken before is of another history."""
    from quorate.cli.backup import take_one
    from quorate.core import QuorateError

    try:
        return await take_one(out, asked.file, asked.folder, json=asked.json)
    except QuorateError as error:
        error.message = f"the cluster is restored, and no new backup was taken: {error.message}"
        raise
