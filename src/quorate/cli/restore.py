"""`quorate restore`: take the cluster back to a backup."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from quorate import atomic
from quorate.artifact.resolve import resolve
from quorate.backup import archive, keys
from quorate.backup.archive import IDENTITY, SUFFIX, OpenedSet, open_set
from quorate.backup.catalog import Found, catalog, named
from quorate.backup.keys import Compared
from quorate.backup.objects import Selection, objects, text
from quorate.backup.places import FolderPlace, local_folder
from quorate.backup.preview import live, preview
from quorate.backup.proof import LEVELS
from quorate.backup.prove import cluster_of, private
from quorate.backup.restore import check, loses, restoration, versions
from quorate.backup.where import on_hosts, places
from quorate.cli.apply import walk
from quorate.cli.backup import take_one
from quorate.cli.backup_prove import brought
from quorate.cli.connect import connected
from quorate.cli.opening import opener
from quorate.cli.output import Output, busy, print_json
from quorate.core import PlanError, QuorateError, Transport, UsageError
from quorate.execute.prepare import Prepared
from quorate.operation.restore import SERVE
from quorate.plan.words import many
from quorate.report.event import Foretold, Said
from quorate.spec.load import load
from quorate.state.store import Store

OFFERED = 5
"""Backups that are named where none was."""


@dataclass(frozen=True)
class Asked:
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


async def restore_backup(
    out: Output,
    asked: Asked,
    replaced: frozenset[str],
    without: frozenset[str],
    waivers: tuple[str, ...],
) -> int:
    """Take the cluster back to the backup, and take a new one; a clone takes none. Raises QuorateError if refused."""
    cluster = load(asked.file)
    store = Store.beside(asked.file, cluster.name)
    with private(local_folder(cluster, asked.file, asked.folder)) as scratch:
        opened, level = await _opened(out, asked, scratch, store)
        found = check(opened, cluster, store)
        then = cluster_of(opened, scratch, cluster, asked.file.absolute().parent)
        restoring = restoration(opened, then, cluster, scratch)
        restoring = replace(restoring, clone=asked.clone, old_keys=found.brought)

        async def foretold(prepared: Prepared, via: Transport) -> list[Foretold]:
            return await _preview(asked, opened, found, level, prepared, via)

        code = await walk(
            *(out, asked.file, replaced, without, waivers, SERVE if asked.clone else "", ()),
            retry=asked.retry,
            yes=asked.yes,
            breaks=asked.breaks,
            verbose=asked.verbose,
            json=asked.json,
            verb="restore",
            restoring=restoring,
            preview=foretold,
        )
    if code or asked.clone:
        return code
    return await _anew(out, asked)


async def give_up_restore(
    out: Output, asked: Asked, replaced: frozenset[str], without: frozenset[str], waivers: tuple[str, ...]
) -> int:
    """Take back a restore that has begun. Raises PlanError where there is none, or a member has its data already."""
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


async def read_objects(out: Output, asked: Asked, wanted: tuple[str, ...], to: Path | None) -> int:
    """Read objects out of a backup and write them to a file, which must not be there yet: Secrets may be in it."""
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
        print_json({"backup": opened.whole.name, "objects": len(found), "file": str(to)})
    else:
        out.say(f"{many(len(found), 'object')} as of {opened.manifest.taken_at} in {to}: `kubectl create -f {to}`")
    return 0


async def _opened(out: Output, asked: Asked, scratch: Path, store: Store) -> tuple[OpenedSet, int]:
    """The backup, opened, and how far it was proved. Raises QuorateError where none is named."""
    cluster = load(asked.file)
    given = Path(asked.name)
    is_file = given.suffix == SUFFIX and given.is_file()
    folder = given.parent if is_file else local_folder(cluster, asked.file, asked.folder)
    async with connected(cluster, asked.file, asks=not asked.json) as via:
        there = (FolderPlace(folder),) if is_file else (*places(cluster, folder), *on_hosts(cluster, via))
        with busy(None if asked.json else out, f"reading {given.name}"):
            found, _ = await catalog(there, cluster.name)
            if not asked.name:
                raise _unnamed(found)
            chosen: Found | None = None if is_file else named(found, asked.name)
            chosen = next((each for each in found if is_file and each.name == given.name.removesuffix(SUFFIX)), chosen)
            path = given if chosen is None or is_file else await brought(chosen, there, scratch)
    with busy(None if asked.json else out, f"opening {path.name}"):
        locked = IDENTITY in archive.check(path).members
        opens = await opener(
            *(asked.identity, asked.passphrase_from),
            asks=not asked.json,
            what=path.name,
            locked=locked,
            store=store,
        )
        return open_set(path, opens), chosen.level if chosen else 0


def _unnamed(found: Sequence[Found]) -> QuorateError:
    """Which there are, those that were proved first."""
    best = sorted((each for each in found if each.manifest), key=lambda each: (each.level, each.taken), reverse=True)
    told = ", ".join(f"{each.name} ({LEVELS.get(each.level, each.level)})" for each in best[:OFFERED])
    return QuorateError(
        "no backup is named", f"name one: {told}" if told else "there is none: `quorate backup` takes one"
    )


async def _preview(
    asked: Asked, opened: OpenedSet, found: Compared, level: int, prepared: Prepared, via: Transport
) -> list[Foretold]:
    """What comes back, and what is lost. Raises PlanError where nobody said that it may be; a restore that has begun is
    not asked again.
    """
    context = prepared.context
    assert context.restoring is not None
    if prepared.past.record is not None and prepared.past.record.restoring is not None:
        return [Foretold(f"a restore of {context.restoring.source} has begun: this goes on with it")]
    now = await live(context.cluster, via, context.absent)
    against = loses(opened.manifest, opened.whole.name, now, len(context.cluster.members))
    if against is not None and not asked.roll_back:
        raise PlanError(f"refused, for the data's sake: {against.why}", against.fix)
    told = preview(opened.manifest, opened.names(), now, datetime.now(UTC), bool(context.restoring.bump), level)
    more = (*versions(context.restoring, context.releases, context.supply.versions), *keys.told(found))
    return [*told, *map(Foretold, more)]


async def _anew(out: Output, asked: Asked) -> int:
    """A new backup, of the cluster as it is now; what was taken before is of another history."""
    try:
        return await take_one(out, asked.file, asked.folder, json=asked.json)
    except QuorateError as error:
        error.message = f"the cluster is restored, and no new backup was taken: {error.message}"
        raise
