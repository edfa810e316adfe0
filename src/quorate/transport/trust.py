"""Host keys: look at them, compare them with the pinned ones, pin them when told to."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import asyncssh

from quorate.core import TransportError
from quorate.spec.ssh import ResolvedSsh, way
from quorate.transport import known
from quorate.transport.connect import Client, connect, explain
from quorate.transport.keyring import Keyring, Login
from quorate.transport.password import Prompt
from quorate.transport.ssh import CONNECTS

ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Kinds of host keys to ask for, as OpenSSH prefers them."""


@dataclass(frozen=True)
class SeenKey:
    """The host key that a host showed, and how it compares with what is pinned."""

    host: str
    """Name in the cluster; a jump host's is `jump host ADDRESS`."""
    address: str
    port: int
    algorithm: str
    fingerprint: str
    """As ssh-keygen prints it: `SHA256:...`."""
    line: str
    """Its line for known_hosts."""
    state: Literal["new", "same", "changed"]
    pinned: tuple[str, ...] = ()
    """Fingerprints of the pinned keys."""


async def scan(
    targets: Mapping[str, ResolvedSsh], *, prompt: Prompt | None = None
) -> tuple[list[SeenKey], list[TransportError]]:
    """The host keys of all hosts and of the jump hosts before them, and the hosts that could not be asked.

    Nothing is logged into, except jump hosts; one that is not pinned yet is shown keys, but no password.
    """
    room = asyncio.Semaphore(CONNECTS)
    keyring = Keyring(prompt or Prompt())
    ways = {way(ssh, ssh.jump) for ssh in targets.values() if ssh.jump is not None}
    jumps = dict(zip(ways, await asyncio.gather(*(_jump(ssh, keyring) for ssh in ways)), strict=True))

    async def one(host: str, ssh: ResolvedSsh) -> SeenKey | TransportError:
        tunnel: asyncssh.SSHClientConnection | None = None
        if ssh.jump is not None:
            _, through = jumps[way(ssh, ssh.jump)]
            if isinstance(through, TransportError):
                return TransportError(f"not asked: {through}", through.hint, host=host)
            tunnel = through
        async with room:
            return await _look(host, ssh, tunnel)

    try:
        found = [seen for seen, _ in jumps.values()]
        found += await asyncio.gather(*(one(host, ssh) for host, ssh in targets.items()))
    finally:
        for _, tunnel in jumps.values():
            if isinstance(tunnel, asyncssh.SSHClientConnection):
                tunnel.close()
        await keyring.close()
    keys = [seen for seen in found if isinstance(seen, SeenKey)]
    return keys, [seen for seen in found if isinstance(seen, TransportError)]


def pin(path: Path, keys: Iterable[SeenKey], *, replace_changed: bool = False) -> list[SeenKey]:
    """Write keys to the file (mode 0600, whole or not at all); those that were written are returned.

    A changed key takes the place of the pinned one only with `replace_changed`; else TransportError.
    """
    wanted = [key for key in keys if key.state != "same"]
    changed = [key for key in wanted if key.state == "changed"]
    if changed and not replace_changed:
        names = ", ".join(f"{key.host} ({key.fingerprint})" for key in changed)
        hint = f"If you know why (a host was reinstalled), run `quorate trust --replace`. File: {path}"
        raise TransportError(f"HOST KEY CHANGED: {names}", hint)
    if wanted:
        names_to_replace = [known.label(key.address, key.port) for key in changed]
        known.write(path, names_to_replace, dict.fromkeys(key.line for key in wanted))
    return wanted


async def _jump(
    ssh: ResolvedSsh, keyring: Keyring
) -> tuple[SeenKey | TransportError, asyncssh.SSHClientConnection | TransportError]:
    """A jump host's key, and a connection that trusts exactly this key unless another is pinned."""
    name = f"jump host {ssh.address}"
    seen = await _look(name, ssh, None)
    if isinstance(seen, TransportError):
        return seen, seen
    if seen.state == "changed":
        return seen, TransportError("its host key has changed", host=name)
    try:
        login = await keyring.login(ssh)
        if seen.state == "new":
            login = Login(login.keys, None)
        trusted = asyncssh.import_known_hosts(seen.line)
        return seen, await connect(name, ssh, login, trusted=trusted)
    except TransportError as error:
        return seen, replace(error, host=name)


async def _look(host: str, ssh: ResolvedSsh, tunnel: asyncssh.SSHClientConnection | None) -> SeenKey | TransportError:
    """The key that a host shows; one of the pinned kind is asked for first."""
    pins = known.pinned(known.read(ssh.known_hosts), ssh.address, ssh.port)
    try:
        async with asyncio.timeout(ssh.connect_timeout):
            key = await asyncssh.get_server_host_key(
                ssh.address,
                ssh.port,
                tunnel=tunnel or (),
                server_host_key_algs=_preferred(pins),
                config=None,
            )
    except (OSError, asyncssh.Error, ValueError) as error:
        message, hint = explain(error, ssh, Login(None, None), Client(None), ())
        return TransportError(message, hint, host=host)
    if key is None:
        return TransportError("shows no host key", "Does its sshd use GSSAPI only?", host=host)
    kind, data = key.export_public_key().decode().split()[:2]
    line = f"{known.label(ssh.address, ssh.port)} {kind} {data}"
    same = any(key.public_data == pin.public_data for pin in pins)
    return SeenKey(
        host=host,
        address=ssh.address,
        port=ssh.port,
        algorithm=key.get_algorithm(),
        fingerprint=key.get_fingerprint(),
        line=line,
        state="same" if same else "changed" if pins else "new",
        pinned=tuple(pin.get_fingerprint() for pin in pins),
    )


def _preferred(pins: Sequence[asyncssh.SSHKey]) -> list[str]:
    kinds = {key.get_algorithm() for key in pins}

    def rank(algorithm: str) -> bool:
        return not (algorithm in kinds or (algorithm.startswith("rsa-") and "ssh-rsa" in kinds))

    return sorted(ALGORITHMS, key=rank)
