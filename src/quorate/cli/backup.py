"""`quorate backup`: take one, list them, prove one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from quorate.cli.opening import IdentityFile, PassphraseFrom
from quorate.cli.words import DEFAULT, File, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.backup.archive import OpenedSet
    from quorate.backup.catalog import Found
    from quorate.backup.manifest import Manifest
    from quorate.backup.places import Place
    from quorate.backup.proof import Proof
    from quorate.backup.take import Taken
    from quorate.cli.output import Output
    from quorate.spec.cluster import Cluster
    from quorate.spec.sections import Keep

To = Annotated[
    Path | None, Parameter(name="--to", help="The folder on this machine, instead of the cluster file's own.")
]
Name = Annotated[str, Parameter(help="Name of the backup, as listed (default: the newest).")]
Level = Annotated[
    Literal[1, 2],
    Parameter(name="--level", help="1: restore it and count; 2: read all of it through an API server, too."),
]
PATIENCE = 30.0
"""Seconds for the question whether the artifact source still has the programs: what is cached needs one."""
FAILED = 1
"""Exit code when a backup is not at all places."""


def backup(*, file: File = DEFAULT, to: To = None, json: Json = False) -> int:
    """Take a backup of etcd's data with all keys that read it, sealed, and bring it to this machine and all places.

    A member's host takes the snapshot and restores it in a throw-away etcd before anything is sent; nothing of the
    cluster is changed. It is there whole or not at all. It needs a passphrase (`quorate passphrase`) or recipients.
    Exit code 1 when a place could not take it.
    """
    from quorate.cli.output import Output, run

    return run(_backup(Output(), file, to, json=json))


async def _backup(out: "Output", file: Path, to: Path | None, *, json: bool) -> int:
    from datetime import UTC, datetime

    from quorate.backup.places import local_folder
    from quorate.backup.take import recipients, take
    from quorate.backup.where import places
    from quorate.cli.look import busy, door
    from quorate.cli.output import dump
    from quorate.core import PlanError
    from quorate.report.event import Said
    from quorate.spec.load import load
    from quorate.state import journal
    from quorate.state.past import Past
    from quorate.state.store import Store

    cluster = load(file)
    store = Store.beside(file, cluster.name)
    past = Past(store, file, cluster)
    if not past.former:
        raise PlanError(f"{cluster.name} was never built from this folder", "`quorate apply` builds it")
    recipients(cluster, store)
    folder = local_folder(cluster, file, to)
    secrets = store.secrets(cluster, datetime.now(UTC), persist=False)
    with journal.run(store, "backup") as run:
        async with door(cluster, file, asks=not json) as via:
            with busy(None if json else out, "asking the members of etcd") as emit:
                taken = await take(
                    past.there, store, secrets, via, (file, past.text), folder, lambda text: emit(Said(text))
                )
                lost = await _everywhere(taken, places(cluster, folder)[1:], cluster.backup.keep)
                warnings = await _undelivered(cluster, file, taken.manifest)
        run.end(ok=not lost, name=taken.path.name, failures=lost)
    if json:
        dump({**_as_dict(taken), "not_at": lost, "warnings": warnings})
    else:
        _tell(out, taken, lost, warnings)
    return FAILED if lost else 0


async def _everywhere(taken: "Taken", others: "Sequence[Place]", keep: "Keep") -> dict[str, str]:
    """Bring it to the other places, where others need not stay then; those that did not take it, with the reason."""
    from datetime import UTC, datetime

    from quorate.backup import proof
    from quorate.backup.retention import tidy
    from quorate.core import QuorateError

    lost = {}
    for place in others:
        try:
            await place.put(taken.path)
            if taken.proof is not None:
                await place.put(taken.path.with_suffix(proof.SUFFIX))
            await tidy(place, taken.manifest.cluster, keep, datetime.now(UTC))
        except QuorateError as error:
            lost[place.name] = str(error)
    return lost


async def _undelivered(cluster: "Cluster", file: Path, manifest: "Manifest") -> list[str]:
    """What the artifact source could not bring to hosts that are restored on the day when they are lost."""
    import asyncio

    from quorate.artifact.resolve import resolve
    from quorate.core import ArtifactError

    try:
        async with asyncio.timeout(PATIENCE):
            supply = await resolve(cluster, lambda _text: None, beside=file.absolute().parent)
    except TimeoutError:
        return [f"the artifact source did not say within {PATIENCE:g} s whether it has the cluster's programs"]
    except ArtifactError as error:
        return [f"the artifact source can't deliver the cluster's programs any more: {error.message}"]
    other = [
        name
        for name, digest in manifest.binaries.items()
        if name in supply.binaries and supply.binaries[name].sha256 != digest
    ]
    return [f"the artifact source brings another {name} than runs on {manifest.host}" for name in other]


def _as_dict(taken: "Taken") -> dict[str, object]:
    told = taken.manifest
    return {
        "cluster": told.cluster,
        "path": str(taken.path),
        "digest": taken.digest,
        "bytes": taken.size,
        "host": told.host,
        "revision": told.etcd.revision,
        "level": taken.proof.level if taken.proof else 0,
        "degraded": told.degraded,
        "not_in_it": list(told.not_in_it),
    }


def _tell(out: "Output", taken: "Taken", lost: dict[str, str], warnings: list[str]) -> None:
    from quorate.backup.proof import LEVELS
    from quorate.plan.words import many, size
    from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN

    told, etcd = taken.manifest, taken.manifest.etcd
    out.say((f"{told.cluster}: ", NAME), ("backed up", f"bold {GOOD}"), f" from {told.host}, revision {etcd.revision}")
    out.say((f"{'file':<10}", QUIET), str(taken.path), (f"  {size(taken.size)}", QUIET))
    level = taken.proof.level if taken.proof else 0
    keys = f", {many(sum(etcd.keys.values()), 'key')}" if level else ": `quorate backup prove` does it here"
    out.say((f"{'proof':<10}", QUIET), (LEVELS[level], "" if level else WARN), keys)
    for number, each in enumerate(told.not_in_it):
        out.say((f"{'not in it' if not number else '':<10}", QUIET), each)
    if told.degraded:
        out.say((f"etcd was not well: {told.degraded}", WARN))
    for place, why in lost.items():
        out.say((f"not at {place}: {why}", BAD))
    for each in warnings:
        out.say((each, WARN))


def listing(*, file: File = DEFAULT, to: To = None, json: Json = False) -> int:
    """List the backups, the newest first: when, from where, how large, how far proved. Etcd hosts that take backups by
    themselves are asked as well.
    """
    from quorate.cli.output import Output, run

    return run(_listing(Output(), file, to, json=json))


async def _listing(out: "Output", file: Path, to: Path | None, *, json: bool) -> int:
    from quorate.backup.catalog import catalog
    from quorate.backup.places import local_folder
    from quorate.backup.where import on_hosts, places
    from quorate.cli.look import door
    from quorate.cli.output import dump
    from quorate.report.console import BAD
    from quorate.spec.load import load

    cluster = load(file)
    async with door(cluster, file, asks=not json) as via:
        there = (*places(cluster, local_folder(cluster, file, to)), *on_hosts(cluster, via))
        found, lost = await catalog(there, cluster.name)
    if json:
        dump({"cluster": cluster.name, "backups": [each.as_dict() for each in found], "not_asked": lost})
    else:
        if found:
            _table(out, found)
        else:
            out.say(f"There is no backup of {cluster.name}. `quorate backup` takes one.")
        for place, why in lost.items():
            out.say((f"{place}: {why}", BAD))
    return FAILED if lost else 0


def _table(out: "Output", found: "Sequence[Found]") -> None:
    from rich.table import Table
    from rich.text import Text

    from quorate.backup.proof import LEVELS
    from quorate.plan.words import line, size
    from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("name", no_wrap=True)
    for title in ("taken (UTC)", "size", "revision", "proof", "where"):
        table.add_column(title, overflow="fold", justify="right" if title in ("size", "revision") else "left")
    for each in found:
        proof = Text(LEVELS.get(each.level, str(each.level)), GOOD if each.level else WARN)
        if each.fault:
            proof = Text(line(each.fault), BAD)
        elif each.manifest and each.manifest.degraded:
            proof.append(f"; {line(each.manifest.degraded)}", WARN)
        table.add_row(
            Text(line(each.name), NAME),
            Text(f"{each.taken:%Y-%m-%d %H:%M}", QUIET),
            size(each.size),
            str(each.manifest.etcd.revision) if each.manifest else "",
            proof,
            Text(", ".join(map(line, each.places)), QUIET),
        )
    out.console.print(table)


def prove(
    name: Name = "",
    /,
    *,
    file: File = DEFAULT,
    to: To = None,
    level: Level = 2,
    identity: IdentityFile = None,
    passphrase_from: PassphraseFrom = None,
    json: Json = False,
) -> int:
    """Prove a backup on this machine: restore it into a throw-away etcd, count, and read it through an API server.

    Every resource is listed with the saved keys, so every Secret was decrypted. Nothing of the cluster is asked. What
    was proved is written beside the backup, wherever it lies. Exit code 8 when it could not be restored.
    """
    from quorate.cli.output import Output, run

    return run(_prove(Output(), name, file, to, level, identity, passphrase_from, json=json))


async def _prove(
    out: "Output",
    name: str,
    file: Path,
    to: Path | None,
    level: int,
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    json: bool,
) -> int:
    from quorate.artifact.resolve import resolve
    from quorate.backup.archive import IDENTITY, check, open_set
    from quorate.backup.catalog import catalog, named
    from quorate.backup.places import local_folder
    from quorate.backup.prove import cluster_of, private, prove
    from quorate.backup.where import on_hosts, places
    from quorate.cli.look import busy, door
    from quorate.cli.opening import opener
    from quorate.cli.output import dump
    from quorate.report.event import Said
    from quorate.spec.load import load
    from quorate.state.store import Store

    cluster = load(file)
    folder = local_folder(cluster, file, to)
    async with door(cluster, file, asks=not json) as via:
        there = (*places(cluster, folder), *on_hosts(cluster, via))
        found, _ = await catalog(there, cluster.name)
        chosen = named(found, name)
        with private(folder) as scratch, busy(None if json else out, f"reading {chosen.name}") as emit:
            path = await _brought(chosen, there, scratch)
            locked = IDENTITY in check(path).members
            store = Store.beside(file, cluster.name)
            opens = await opener(identity, passphrase_from, asks=not json, what=chosen.name, locked=locked, store=store)
            opened = open_set(path, opens)
            then = cluster_of(opened, scratch, cluster, file.absolute().parent)
            supply = await resolve(then, lambda text: emit(Said(text)), beside=file.absolute().parent)
            proof = await prove(opened, then, supply, scratch, level=level, say=lambda text: emit(Said(text)))
            await _noted(chosen, there, proof, scratch)
    if json:
        dump({"name": chosen.name, "level": proof.level, "at": proof.at, "evidence": dict(proof.evidence)})
    else:
        _proved(out, opened, proof)
    return 0


async def _brought(chosen: "Found", there: "Sequence[Place]", scratch: Path) -> Path:
    """The set on this machine: where it lies, or brought there."""
    from quorate.backup.archive import SUFFIX
    from quorate.backup.places import FolderPlace

    place = next(each for each in there if each.name == chosen.places[0])
    if isinstance(place, FolderPlace):
        return place.folder / f"{chosen.name}{SUFFIX}"
    to = scratch / f"{chosen.name}{SUFFIX}"
    await place.get(to.name, to)
    return to


async def _noted(chosen: "Found", there: "Sequence[Place]", proof: "Proof", scratch: Path) -> None:
    """Write the proof beside the set, at each of its places; a higher level that is noted stays."""
    from quorate import atomic
    from quorate.backup.proof import SUFFIX

    if chosen.proof is not None and chosen.proof.set == proof.set and chosen.proof.level > proof.level:
        return
    note = scratch / f"{chosen.name}{SUFFIX}"
    atomic.write(note, proof.to_json())
    for place in there:
        if place.name in chosen.places:
            await place.put(note)


def _proved(out: "Output", opened: "OpenedSet", proof: "Proof") -> None:
    from quorate.backup.proof import LEVELS
    from quorate.plan.words import many
    from quorate.report.console import GOOD, NAME, QUIET

    seen = proof.evidence
    out.say((f"{opened.whole.name}: ", NAME), ("proved", f"bold {GOOD}"), f", {LEVELS[proof.level]}")
    out.say((f"{'seen':<10}", QUIET), f"revision {seen['revision']}, {many(seen['keys'], 'key')}")
    if "objects" in seen:
        out.say(
            (f"{'':<10}", QUIET),
            f"{many(seen['objects'], 'object')} of {many(seen['resources'], 'kind')}, "
            f"{many(seen['secrets'], 'Secret')} decrypted",
        )
    if seen.get("not_read"):
        out.say((f"{'not read':<10}", QUIET), f"{many(seen['not_read'], 'kind')} that a webhook converts")
