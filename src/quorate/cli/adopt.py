"""`quorate adopt`: get a cluster's state folder back from its etcd hosts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quorate.cli.opening import IdentityFile, PassphraseFrom
from quorate.cli.words import Json, Yes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quorate.cli.output import Output
    from quorate.core import QuorateError, Transport
    from quorate.spec.cluster import Ssh
    from quorate.spec.ssh import ResolvedSsh
    from quorate.state.opener import Opened, Sealed

Address = Annotated[str, Parameter(help="Address or name of one of the cluster's etcd hosts; or a backup's file.")]
Into = Annotated[Path, Parameter(name="--into", help="The folder for the cluster file and the state folder.")]
User = Annotated[str | None, Parameter(name="--user", help="Login user (default root). Another user needs sudo.")]
Port = Annotated[int | None, Parameter(name="--port", help="sshd's port (default 22).")]
Key = Annotated[
    Path | None, Parameter(name="--key", help="Private SSH key; without it the agent and the default keys are tried.")
]
Login = Annotated[bool, Parameter(name="--ask-password", help="Ask for the login password.", show_default=False)]
Sudo = Annotated[bool, Parameter(name="--ask-sudo-password", help="Ask for the sudo password.", show_default=False)]


SUFFIX = ".backup"
"""What a backup's file ends with; here so that its code is read only when it is needed."""


def adopt(
    host: Address,
    /,
    *,
    into: Into = Path(),
    user: User = None,
    port: Port = None,
    key: Key = None,
    ask_password: Login = False,
    ask_sudo_password: Sudo = False,
    identity: IdentityFile = None,
    passphrase_from: PassphraseFrom = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Get a cluster's state folder back, on a machine that has nothing but SSH access and the passphrase.

    The copy on the named host is opened; when another etcd host has a newer one, that is taken. Host keys that are
    not pinned in the copy are shown and pinned after a yes. What is in the folder already is never overwritten.
    From a backup's file comes the state folder of its time, and no host is asked: for `quorate restore` there.
    """
    from quorate.cli.output import Output, run

    asked = {"ask_password": ask_password or None, "ask_sudo_password": ask_sudo_password or None}
    flags = {"user": user, "port": port, "key": key and str(key.expanduser().absolute()), **asked}
    ssh = _ssh({name: value for name, value in flags.items() if value is not None})
    if host.endswith(SUFFIX):
        return run(_adopt_backup(Output(), Path(host), into.absolute(), ssh, identity, passphrase_from, json=json))
    return run(_adopt(Output(), host, into.absolute(), ssh, identity, passphrase_from, yes=yes, json=json))


def _ssh(flags: "Mapping[str, object]") -> "Ssh":
    """What was said on the command line, by the rules of the cluster file's `ssh`. Raises UsageError."""
    from pydantic import ValidationError

    from quorate.core import UsageError
    from quorate.spec.cluster import Ssh
    from quorate.spec.explain import fault
    from quorate.spec.tree import Tree

    try:
        return Ssh.model_validate(flags)
    except ValidationError as error:
        found = fault(error.errors(include_url=False)[0], Tree(), Ssh)
        raise UsageError(f"--{found.where[0]} {flags[str(found.where[0])]!a} {found.rule}", found.fix) from None


def open_door(targets: "Mapping[str, ResolvedSsh]", *, asks: bool) -> "Transport":
    """The way to the hosts; tests put another one here."""
    from quorate.transport.password import Prompt
    from quorate.transport.ssh import SshTransport

    return SshTransport(targets, prompt=Prompt(allowed=asks))


async def _adopt(
    out: "Output",
    host: str,
    into: Path,
    ssh: "Ssh",
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    yes: bool,
    json: bool,
) -> int:
    import tempfile

    from quorate.cli.opening import opener
    from quorate.cli.output import dump
    from quorate.core import QuorateError
    from quorate.procedure.adopt import cluster_of, first_way, missing, newest, ways
    from quorate.procedure.restore import place
    from quorate.spec.load import load_former

    with tempfile.TemporaryDirectory(prefix="quorate-adopt-") as scratch:
        known = Path(scratch) / "known_hosts"
        door = {host: first_way(host, ssh, known)}
        for error in (await _pin(out, door, known, yes=yes, json=json)).values():
            raise error
        sealed, lost = await _fetch(door, asks=not json)
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
        strange = await _pins_of(first, out, door, targets, known, yes=yes, json=json)
        others = {each.name: targets[each.name] for each in cluster.members if targets[each.name].address != host}
        sealed, lost = await _fetch({n: way for n, way in others.items() if n not in strange}, asks=not json)
        found = newest(first, opens.those(sealed.values(), lost))
        if found is not first:
            cluster = cluster_of(found, Path(scratch), into)
            await _pins_of(found, out, door, ways(cluster, ssh, known), known, yes=yes, json=json)
        file = place(found, into, pins=known.read_bytes(), ssh=ssh)
    lost |= {name: error for name, error in strange.items() if name in others}
    gone = {field: str(path) for field, path in missing(load_former(file, into))}
    if json:
        told = {"cluster": cluster.name, "copy_of": found.host, "sequence": found.sequence, "file": str(file)}
        dump({**told, "missing": gone, "not_asked": {name: str(error) for name, error in lost.items()}})
    else:
        _tell(out, file, found, gone, lost)
    return 0


async def _adopt_backup(
    out: "Output",
    backup: Path,
    into: Path,
    ssh: "Ssh",
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    json: bool,
) -> int:
    """The state folder that is in a backup."""
    from quorate.backup.archive import IDENTITY, check, open_set
    from quorate.cli.opening import opener
    from quorate.cli.output import dump
    from quorate.procedure.adopt import missing
    from quorate.procedure.restore import place
    from quorate.spec.load import load_former
    from quorate.state.opener import Opened

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
    out: "Output", targets: "Mapping[str, ResolvedSsh]", known: Path, *, yes: bool, json: bool
) -> "dict[str, QuorateError]":
    """Pin the keys of hosts that have no pin, after a yes; those that did not answer, or have another key."""
    from quorate.cli.output import interactive
    from quorate.cli.trust import show
    from quorate.core import QuorateError, TransportError
    from quorate.plan.words import many
    from quorate.transport.password import Prompt
    from quorate.transport.trust import pin, scan

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
    first: "Opened",
    out: "Output",
    door: "Mapping[str, ResolvedSsh]",
    targets: "Mapping[str, ResolvedSsh]",
    known: Path,
    *,
    yes: bool,
    json: bool,
) -> "dict[str, QuorateError]":
    """Pin the hosts' keys as the copy has them, and those that it does not have after a yes; who stays strange.

    Raises TransportError when the host that was asked first is not the one that the copy knows.
    """
    from quorate.state.bundle import KNOWN_HOSTS

    pins = first.bundle.entries.get(KNOWN_HOSTS)
    if pins is not None:
        known.write_bytes(pins.content)
        # There was a yes for its key before.
        for error in (await _pin(out, door, known, yes=True, json=True)).values():
            raise error
    return await _pin(out, targets, known, yes=yes, json=json)


async def _fetch(
    targets: "Mapping[str, ResolvedSsh]", *, asks: bool
) -> "tuple[dict[str, Sealed], dict[str, QuorateError]]":
    """The copies of hosts that have one, and why others could not be asked."""
    import asyncio

    from quorate.core import LocalError, QuorateError
    from quorate.procedure.adopt import fetch

    via = open_door(targets, asks=asks)
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
    out: "Output",
    file: Path,
    found: "Opened",
    gone: "Mapping[str, str]",
    lost: "Mapping[str, QuorateError]",
    then: str = "",
) -> None:
    from quorate.report.console import GOOD, NAME, QUIET, WARN

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
