"""`quorate backup prove`: restore one where nobody sees it, and read all of it with its keys."""

from collections.abc import Sequence
from pathlib import Path

from quorate import atomic
from quorate.artifact.resolve import resolve
from quorate.backup.archive import IDENTITY, SUFFIX, OpenedSet, check, open_set
from quorate.backup.catalog import Found, catalog, named
from quorate.backup.places import FolderPlace, Place, local_folder
from quorate.backup.proof import LEVELS, Proof
from quorate.backup.proof import SUFFIX as PROOF_SUFFIX
from quorate.backup.prove import cluster_of, private, prove
from quorate.backup.where import on_hosts, places
from quorate.cli.connect import connected
from quorate.cli.opening import opener
from quorate.cli.output import Output, busy, print_json
from quorate.plan.words import many
from quorate.report.console import GOOD, NAME, QUIET
from quorate.report.event import Said
from quorate.spec.load import load
from quorate.state.store import Store


async def prove_one(
    out: Output,
    name: str,
    file: Path,
    to: Path | None,
    level: int,
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    json: bool,
) -> int:
    """Prove a backup, and note that beside it. Raises VerifyFailed when it could not be restored."""
    cluster = load(file)
    folder = local_folder(cluster, file, to)
    async with connected(cluster, file, asks=not json) as via:
        there = (*places(cluster, folder), *on_hosts(cluster, via))
        found, _ = await catalog(there, cluster.name)
        chosen = named(found, name)
        with private(folder) as scratch, busy(None if json else out, f"reading {chosen.name}") as emit:
            path = await brought(chosen, there, scratch)
            locked = IDENTITY in check(path).members
            store = Store.beside(file, cluster.name)
            opens = await opener(identity, passphrase_from, asks=not json, what=chosen.name, locked=locked, store=store)
            opened = open_set(path, opens)
            then = cluster_of(opened, scratch, cluster, file.absolute().parent)
            supply = await resolve(then, lambda text: emit(Said(text)), beside=file.absolute().parent)
            proof = await prove(opened, then, supply, scratch, level=level, say=lambda text: emit(Said(text)))
            await _noted(chosen, there, proof, scratch)
    if json:
        print_json({"name": chosen.name, "level": proof.level, "at": proof.at, "evidence": dict(proof.evidence)})
    else:
        _proved(out, opened, proof)
    return 0


async def brought(chosen: Found, there: Sequence[Place], scratch: Path) -> Path:
    """The set on this machine: where it lies, or brought there."""
    place = next(each for each in there if each.name == chosen.places[0])
    if isinstance(place, FolderPlace):
        return place.folder / f"{chosen.name}{SUFFIX}"
    to = scratch / f"{chosen.name}{SUFFIX}"
    await place.get(to.name, to)
    return to


async def _noted(chosen: Found, there: Sequence[Place], proof: Proof, scratch: Path) -> None:
    """Write the proof beside the set, at each of its places; a higher level that is noted stays."""
    if chosen.proof is not None and chosen.proof.set == proof.set and chosen.proof.level > proof.level:
        return
    note = scratch / f"{chosen.name}{PROOF_SUFFIX}"
    atomic.write(note, proof.to_json())
    for place in there:
        if place.name in chosen.places:
            await place.put(note)


def _proved(out: Output, opened: OpenedSet, proof: Proof) -> None:
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
