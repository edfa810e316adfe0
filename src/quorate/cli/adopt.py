"""`quorate adopt`: get a cluster's state folder back from its etcd hosts."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from quorate.backup.archive import IDENTITY, SUFFIX, check, open_set
from quorate.cli.opening import opener
from quorate.cli.output import Output, interactive, print_json
from quorate.cli.trust import print_keys
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


def _ssh_settings(login: Mapping[str, object]) -> Ssh:
    """What was said on the command line, by the rules of the cluster file's `ssh`. Raises UsageError."""
    try:
        return Ssh.model_validate(login)
    except ValidationError as error:
        problem = fault(error.errors(include_url=False)[0], Tree(), Ssh)
        raise UsageError(f"--{problem.where[0]} {login[str(problem.where[0])]!a} {problem.rule}", problem.fix) from None


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
    ssh = _ssh_settings(login)
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
        known_hosts = Path(scratch) / "known_hosts"
        first_host = {host: first_way(host, ssh, known_hosts)}
        for error in (await _pin_new_keys(out, first_host, known_hosts, yes=yes, json=json)).values():
            raise error
        copies, unreachable = await _fetch_copies(first_host, asks=not json)
        for each in unreachable.values():
            raise each
        if host not in copies:
            raise QuorateError(
                f"{host} has no copy of a state folder",
                "name an etcd host of a cluster that was applied with a passphrase or recipients",
            )
        asked = copies[host]
        locked = asked.identity is not None
        opens = await opener(identity, passphrase_from, asks=not json, what=asked.name, locked=locked)
        first_copy = opens.open(asked)
        cluster = cluster_of(first_copy, Path(scratch), into)
        targets = ways(cluster, ssh, known_hosts)
        strangers = await _pin_known_keys(first_copy, out, first_host, targets, known_hosts, yes=yes, json=json)
        others = {each.name: targets[each.name] for each in cluster.members if targets[each.name].address != host}
        copies, unreachable = await _fetch_copies(
            {n: way for n, way in others.items() if n not in strangers}, asks=not json
        )
        newest_copy = newest(first_copy, opens.those(copies.values(), unreachable))
        if newest_copy is not first_copy:
            cluster = cluster_of(newest_copy, Path(scratch), into)
            await _pin_known_keys(
                newest_copy, out, first_host, ways(cluster, ssh, known_hosts), known_hosts, yes=yes, json=json
            )
        file = place(newest_copy, into, pins=known_hosts.read_bytes(), ssh=ssh)
    unreachable |= {name: error for name, error in strangers.items() if name in others}
    missing_files = {field: str(path) for field, path in missing(load_former(file, into))}
    if json:
        answer = {
            "cluster": cluster.name,
            "copy_of": newest_copy.host,
            "sequence": newest_copy.sequence,
            "file": str(file),
        }
        print_json(
            {**answer, "missing": missing_files, "not_asked": {name: str(error) for name, error in unreachable.items()}}
        )
    else:
        _print_adopted(out, file, newest_copy, missing_files, unreachable)
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
    copy = Opened(opened.whole.name, opened.bundle, opened.sequence)
    file = place(copy, into, pins=b"", ssh=ssh)
    missing_files = {field: str(path) for field, path in missing(load_former(file, into))}
    if json:
        answer = {"cluster": copy.bundle.cluster, "copy_of": copy.host, "sequence": copy.sequence, "file": str(file)}
        print_json({**answer, "missing": missing_files, "not_asked": {}})
    else:
        _print_adopted(out, file, copy, missing_files, {}, f"quorate restore -f {file} {backup}")
    return 0


async def _pin_new_keys(
    out: Output, targets: Mapping[str, ResolvedSsh], known_hosts: Path, *, yes: bool, json: bool
) -> dict[str, QuorateError]:
    """Pin the keys of hosts that have no pin, after a yes; those that did not answer, or have another key."""
    keys, lost = await scan(targets, prompt=Prompt(allowed=not json))
    new_keys = [key for key in keys if key.state == "new"]
    if new_keys and not json:
        print_keys(out, new_keys, ())
    if new_keys and not yes:
        if json or not interactive():
            raise QuorateError("keys are pinned only after a yes", "compare the fingerprints, then add --yes")
        if not await out.confirmed(f"Trust {many(len(new_keys), 'key')}?  Only yes goes on."):
            raise QuorateError("not adopted: there was no yes", "nothing was changed")
    pin(known_hosts, new_keys)
    hint = "somebody may sit between, or it was reinstalled; name another etcd host"
    changed = [
        TransportError(f"its host key {key.fingerprint} is not the one in the copy", hint, host=key.host)
        for key in keys
        if key.state == "changed"
    ]
    return {error.host: error for error in (*lost, *changed)}


async def _pin_known_keys(
    copy: Opened,
    out: Output,
    first_host: Mapping[str, ResolvedSsh],
    targets: Mapping[str, ResolvedSsh],
    known_hosts: Path,
    *,
    yes: bool,
    json: bool,
) -> dict[str, QuorateError]:
    """Pin the hosts' keys as the copy has them, and those that it does not have after a yes; who stays strange.

    Raises TransportError when the host that was asked first is not the one that the copy knows.
    """
    pins = copy.bundle.entries.get(KNOWN_HOSTS)
    if pins is not None:
        known_hosts.write_bytes(pins.content)
        # There was a yes for its key before.
        for error in (await _pin_new_keys(out, first_host, known_hosts, yes=True, json=True)).values():
            raise error
    return await _pin_new_keys(out, targets, known_hosts, yes=yes, json=json)


async def _fetch_copies(
    targets: Mapping[str, ResolvedSsh], *, asks: bool
) -> tuple[dict[str, Sealed], dict[str, QuorateError]]:
    """The copies of hosts that have one, and why others could not be asked."""
    via = open_transport(targets, asks=asks)
    copies: dict[str, Sealed] = {}
    unreachable: dict[str, QuorateError] = {}

    async def fetch_from(name: str) -> None:
        try:
            if sealed := await fetch(name, via):
                copies[name] = sealed
        except LocalError:
            raise
        except QuorateError as error:
            unreachable[name] = error

    try:
        await asyncio.gather(*map(fetch_from, targets))
    finally:
        await via.close()
    return copies, unreachable


def _print_adopted(
    out: Output,
    file: Path,
    copy: Opened,
    missing_files: Mapping[str, str],
    unreachable: Mapping[str, QuorateError],
    next_command: str = "",
) -> None:
    name = copy.bundle.cluster
    out.say((f"{name}: ", NAME), ("adopted", f"bold {GOOD}"), f", copy number {copy.sequence} of {copy.host}")
    out.say((f"{'file':<10}", QUIET), str(file))
    out.say((f"{'state':<10}", QUIET), str(file.parent / ".quorate" / name))
    for host, error in unreachable.items():
        reason = str(error).removeprefix(f"{host}: ")
        out.say((f"whether the copy of {host} is newer is not known: {reason}", WARN))
    for field, path in missing_files.items():
        out.say((f"{file.name} names {path} in {field}, which is not on this machine: bring it, or correct it", WARN))
    out.say(
        (f"{'next':<10}", QUIET),
        f"{next_command} takes the cluster back"
        if next_command
        else f"quorate plan -f {file} should have nothing to do",
    )
