"""`quorate backup`: take one, and bring it to all places."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quorate.artifact.resolve import resolve
from quorate.backup import proof
from quorate.backup.manifest import Manifest
from quorate.backup.places import Place, local_folder
from quorate.backup.proof import LEVELS
from quorate.backup.retention import tidy
from quorate.backup.take import Taken, recipients, take
from quorate.backup.where import kept_short, places
from quorate.cli.connect import connected
from quorate.cli.output import Output, busy, print_json
from quorate.core import ArtifactError, PlanError, QuorateError
from quorate.plan.words import many, size
from quorate.report.console import BAD, GOOD, NAME, QUIET, WARN
from quorate.report.event import Said
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state import journal
from quorate.state.past import Past
from quorate.state.store import Store

ARTIFACTS_WITHIN_S = 30.0
"""Seconds for the question whether the artifact source still has the programs: what is cached needs one."""
NAMED = 10
"""Persistent volumes that are shown one by one."""
FAILED = 1
"""Exit code when a backup is not at all places."""


@dataclass(frozen=True)
class Everywhere:
    """A backup that was taken, and what became of it at its places."""

    taken: Taken
    lost: Mapping[str, str]
    """Places that did not take it, with the reason."""
    gone: Mapping[str, list[str]]
    """Sets that went for it, by place."""
    warnings: Sequence[str]


async def take_one(out: Output, file: Path, to: Path | None, *, json: bool) -> int:
    """Take one, bring it to all places, and tell; the exit code."""
    done = await backed_up(out, file, to, json=json)
    if json:
        told = {"not_at": done.lost, "removed": done.gone, "warnings": done.warnings}
        print_json({**_as_dict(done.taken), **told})
    else:
        _tell(out, done)
    return FAILED if done.lost else 0


def demand_opener(file: Path) -> None:
    """Raise PlanError when nobody could open a backup of the file's cluster."""
    cluster = load(file)
    recipients(cluster, Store.beside(file, cluster.name))


async def backed_up(out: Output, file: Path, to: Path | None, *, json: bool) -> Everywhere:
    """Take one, and bring it to all places. Raises QuorateError where none could be taken."""
    cluster = load(file)
    store = Store.beside(file, cluster.name)
    past = Past(store, file, cluster)
    if not past.former:
        raise PlanError(f"{cluster.name} was never built from this folder", "`quorate apply` builds it")
    recipients(cluster, store)
    # The key of this folder among them may be new.
    store.keep()
    folder = local_folder(cluster, file, to)
    secrets = store.secrets(cluster, datetime.now(UTC), persist=False)
    with journal.run(store, "backup") as run:
        async with connected(cluster, file, asks=not json) as via:
            with busy(None if json else out, "asking the members of etcd") as emit:
                taken = await take(
                    past.there, store, secrets, via, (file, past.text), folder, lambda text: emit(Said(text))
                )
                there = places(cluster, folder)
                lost = await _everywhere(taken, there[1:])
                short = kept_short(cluster, file, (place for place in there if place.name not in lost))
                gone, warnings = await _tidied(short, cluster)
                warnings += await _undelivered(cluster, file, taken.manifest)
        run.end(ok=not lost, name=taken.path.name, failures=lost, removed=gone)
    return Everywhere(taken, lost, gone, warnings)


async def _everywhere(taken: Taken, others: Sequence[Place]) -> dict[str, str]:
    """Bring it to the other places; those that did not take it, with the reason."""
    lost = {}
    for place in others:
        try:
            await place.put(taken.path)
            if taken.proof is not None:
                await place.put(taken.path.with_suffix(proof.SUFFIX))
        except QuorateError as error:
            lost[place.name] = str(error)
    return lost


async def _tidied(there: Iterable[Place], cluster: Cluster) -> tuple[dict[str, list[str]], list[str]]:
    """Let go what need not stay; the sets that went, by place, and where that could not be done."""
    gone, warnings = {}, []
    for place in there:
        try:
            if names := await tidy(place, cluster.name, cluster.backup.keep, datetime.now(UTC)):
                gone[place.name] = names
        except QuorateError as error:
            warnings.append(f"old backups stay at {place.name}: {error}")
    return gone, warnings


async def _undelivered(cluster: Cluster, file: Path, manifest: Manifest) -> list[str]:
    """What the artifact source could not bring to hosts that are restored on the day when they are lost."""
    try:
        async with asyncio.timeout(ARTIFACTS_WITHIN_S):
            supply = await resolve(cluster, lambda _text: None, beside=file.absolute().parent)
    except TimeoutError:
        return [
            f"the artifact source did not say within {ARTIFACTS_WITHIN_S:g} s whether it has the cluster's programs"
        ]
    except ArtifactError as error:
        return [f"the artifact source can't deliver the cluster's programs any more: {error.message}"]
    other = [
        name
        for name, digest in manifest.binaries.items()
        if name in supply.binaries and supply.binaries[name].sha256 != digest
    ]
    return [f"the artifact source brings another {name} than runs on {manifest.host}" for name in other]


def _as_dict(taken: Taken) -> dict[str, object]:
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
        "volumes": list(taken.volumes),
    }


def _tell(out: Output, done: Everywhere) -> None:
    taken, told, etcd = done.taken, done.taken.manifest, done.taken.manifest.etcd
    out.say((f"{told.cluster}: ", NAME), ("backed up", f"bold {GOOD}"), f" from {told.host}, revision {etcd.revision}")
    out.say((f"{'file':<10}", QUIET), str(taken.path), (f"  {size(taken.size)}", QUIET))
    level = taken.proof.level if taken.proof else 0
    keys = f", {many(sum(etcd.keys.values()), 'key')}" if level else ": `quorate backup prove` does it here"
    out.say((f"{'proof':<10}", QUIET), (LEVELS[level], "" if level else WARN), keys)
    more = (f"and {len(taken.volumes) - NAMED} more: --json names them",) if len(taken.volumes) > NAMED else ()
    for number, each in enumerate((*told.not_in_it, *taken.volumes[:NAMED], *more)):
        out.say((f"{'not in it' if not number else '':<10}", QUIET), each)
    if told.degraded:
        out.say((f"etcd was not well: {told.degraded}", WARN))
    for place, names in done.gone.items():
        out.say((f"{'removed':<10}", QUIET), f"{', '.join(names)} at {place} (backup.keep)")
    for place, why in done.lost.items():
        out.say((f"not at {place}: {why}", BAD))
    for each in done.warnings:
        out.say((each, WARN))
