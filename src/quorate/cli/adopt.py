"""`quorate adopt`: get a cluster's state folder back from its etcd hosts."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from quorate.backup.archive import IDENTITY, SUFFIX, check, open_set
from quorate.cli.opening import opener
from quorate.cli.output import Output, dump, interactive
from quorate.cli.trust import show
from quorate.core import LocalError, QuorateError, Transport, TransportError, UsageError
from quorate.plan.words import many
from quorate.procedure.adopt import cluster_of, fetch, first_way, missing, newest, ways
from quorate.procedure.restore import place
from quorate.report.console import GOOD, NAME, QUIET, WARN
from quorate.spec.cluster import Ssh
from quorate.spec.explain import fault
from quorate.spec.load import load_former
from quorate.spec.ssh import ResolvedSsh
from quorate.spec.tree import Tree
from quorate.state.bundle import KNOWN_HOSTS
from quorate.state.opener import Opened, Sealed
from quorate.transport.password import Prompt
from quorate.transport.ssh import SshTransport
from quorate.transport.trust import pin, scan


def _ssh(flags: Mapping[str, object]) -> Ssh:
    """What was said on the command line, by the rules of the cluster file's `ssh`. Raises UsageError."""
    try:
        return Ssh.model_validate(flags)
    except ValidationError as error:
        found = fault(error.errors(include_url=False)[0], Tree(), Ssh)
        raise UsageError(f"--{found.where[0]} {flags[str(found.where[0])]!a} {found.rule}", found.fix) from None


def open_transport(targets: Mapping[str, ResolvedSsh], *, asks: bool) -> Transport:
    """The way to the hosts; tests put another one here."""
    return SshTransport(targets, prompt=Prompt(allowed=asks))


async def adopt_folder(
    out: Output,
    source: str,
    into: Path,
    login: Mapping[str, object],
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    yes: bool,
    json: bool,
) -> int:
    """Get the state folder from `source`: a backup's file, or a host, or another host that has a newer copy.

    `login` is what was said of the way to the hosts.
    """
    ssh = _ssh(login)
    if source.endswith(SUFFIX):
        return await _of_backup(out, Path(source), into, ssh, identity, passphrase_from, json=json)
    return await _of_host(out, source, into, ssh, identity, passphrase_from, yes=yes, json=json)


async def _of_host(
    out: Output,
    host: str,
    into: Path,
    ssh: Ssh,
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    yes: bool,
    json: bool,
) -> int:
    """The state folder of the newest copy on the etcd hosts."""
    with tempfile.TemporaryDirectory(prefix="quorate-adopt-") as scratch:
        known = Path(scratch) / "known_hosts"
        ways_in = {host: first_way(host, ssh, known)}
        for error in (await _pin(out, ways_in, known, yes=yes, json=json)).values():
            raise error
        sealed, lost = await _fetch(ways_in, asks=not json)
        for each in lost.values():
            raise each
        if host not in sealed:
            raise QuorateError(
                f"{host} has no copy of a state folder",
                "name an etcd host of a cluster that was applied with a passphrase or recipients",
            )
        copy = sealed[host]
        locked = copy.identity is not None
        opens = await opener(identity, passphrase_from, asks=not json, what=copy.name, locked=locked)
        first = opens.open(copy)
        cluster = cluster_of(first, Path(scratch), into)
        targets = ways(cluster, ssh, known)
        strange = await _pins_of(first, out, ways_in, targets, known, yes=yes, json=json)
        others = {each.name: targets[each.name] for each in cluster.members if targets[each.name].address != host}
        sealed, lost = await _fetch({n: way for n, way in others.items() if n not in strange}, asks=not json)
        found = newest(first, opens.those(sealed.values(), lost))
        if found is not first:
            cluster = cluster_of(found, Path(scratch), into)
            await _pins_of(found, out, ways_in, ways(cluster, ssh, known), known, yes=yes, json=json)
        file = place(found, into, pins=known.read_bytes(), ssh=ssh)
    lost |= {name: error for name, error in strange.items() if name in others}
    gone = {field: str(path) for field, path in missing(load_former(file, into))}
    if json:
        told = {"cluster": cluster.name, "copy_of": found.host, "sequence": found.sequence, "file": str(file)}
        dump({**told, "missing": gone, "not_asked": {name: str(error) for name, error in lost.items()}})
    else:
        _tell(out, file, found, gone, lost)
    return 0


async def _of_backup(
    out: Output,
    backup: Path,
    into: Path,
    ssh: Ssh,
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    json: bool,
) -> int:
    """The state folder that is in a backup."""
    locked = IDENTITY in check(backup).members
    opened = open_set(backup, await opener(identity, passphrase_from, asks=not json, what=backup.name, locked=locked))
    found = Opened(opened.whole.name, opened.bundle, opened.sequence)
    file = place(found, into, pins=b"", ssh=ssh)
    gone = {field: str(path) for field, path in missing(load_former(file, into))}
    if json:
        told = {"cluster": found.bundle.cluster, "copy_of": found.host, "sequence": found.sequence, "file": str(file)}
        dump({**told, "missing": gone, "not_asked": {}})
    else:
        _tell(out, file, found, gone, {}, f"quorate restore -f {file} {backup}")
    return 0


async def _pin(
    out: Output, targets: Mapping[str, ResolvedSsh], known: Path, *, yes: bool, json: bool
) -> dict[str, QuorateError]:
    """Pin the keys of hosts that have no pin, after a yes; those that did not answer, or have another key."""
    keys, lost = await scan(targets, prompt=Prompt(allowed=not json))
    fresh = [key for key in keys if key.state == "new"]
    if fresh and not json:
        show(out, fresh, ())
    if fresh and not yes:
        if json or not interactive():
            raise QuorateError("keys are pinned only after a yes", "compare the fingerprints, then add --yes")
        if not await out.agreed(f"Trust {many(len(fresh), 'key')}?  Only yes goes on."):
            raise QuorateError("not adopted: there was no yes", "nothing was changed")
    pin(known, fresh)
    hint = "somebody may sit between, or it was reinstalled; name another etcd host"
    changed = [
        TransportError(f"its host key {key.fingerprint} is not the one in the copy", hint, host=key.host)
        for key in keys
        if key.state == "changed"
    ]
    return {error.host: error for error in (*lost, *changed)}


async def _pins_of(
    first: Opened,
    out: Output,
    ways_in: Mapping[str, ResolvedSsh],
    targets: Mapping[str, ResolvedSsh],
    known: Path,
    *,
    yes: bool,
    json: bool,
) -> dict[str, QuorateError]:
    """Pin the hosts' keys as the copy has them, and those that it does not have after a yes; who stays strange.

    Raises TransportError when the host that was asked first is not the one that the copy knows.
    """
    pins = first.bundle.entries.get(KNOWN_HOSTS)
    if pins is not None:
        known.write_bytes(pins.content)
        # There was a yes for its key before.
        for error in (await _pin(out, ways_in, known, yes=True, json=True)).values():
            raise error
    return await _pin(out, targets, known, yes=yes, json=json)


async def _fetch(
    targets: Mapping[str, ResolvedSsh], *, asks: bool
) -> tuple[dict[str, Sealed], dict[str, QuorateError]]:
    """The copies of hosts that have one, and why others could not be asked."""
    via = open_transport(targets, asks=asks)
    found: dict[str, Sealed] = {}
    lost: dict[str, QuorateError] = {}

    async def one(name: str) -> None:
        try:
            if sealed := await fetch(name, via):
                found[name] = sealed
        except LocalError:
            raise
        except QuorateError as error:
            lost[name] = error

    try:
        await asyncio.gather(*map(one, targets))
    finally:
        await via.close()
    return found, lost


def _tell(
    out: Output,
    file: Path,
    found: Opened,
    gone: Mapping[str, str],
    lost: Mapping[str, QuorateError],
    then: str = "",
) -> None:
    name = found.bundle.cluster
    out.say((f"{name}: ", NAME), ("adopted", f"bold {GOOD}"), f", copy number {found.sequence} of {found.host}")
    out.say((f"{'file':<10}", QUIET), str(file))
    out.say((f"{'state':<10}", QUIET), str(file.parent / ".quorate" / name))
    for host, why in lost.items():
        told = str(why).removeprefix(f"{host}: ")
        out.say((f"whether the copy of {host} is newer is not known: {told}", WARN))
    for field, path in gone.items():
        out.say((f"{file.name} names {path} in {field}, which is not on this machine: bring it, or correct it", WARN))
    said = (f"{then} takes the cluster back",) if then else (f"quorate plan -f {file}", " should have nothing to do")
    out.say((f"{'next':<10}", QUIET), *said)
