"""Opens one SSH connection, strictly: pinned host keys only, one try per method, a word for each failure."""

import asyncio
import errno
import socket
from collections.abc import Sequence

import asyncssh

from quorate.core import TransportError
from quorate.spec.ssh import ResolvedSsh
from quorate.transport import known
from quorate.transport.keyring import Login

CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
"""Fastest first, with authentication in one pass; CBC and older are not offered."""

KEEPALIVE = 5.0
"""Seconds between signs of life; three missing ones mean that the host is lost."""


class Client(asyncssh.SSHClient):
    """Notes the host key that was shown, never accepts one; gives the password away once."""

    def __init__(self, password: str | None) -> None:
        self.seen: asyncssh.SSHKey | None = None
        self.tried = 0
        self._password = password

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse: asked only for a key that is not pinned."""
        self.seen = key
        return False

    def password_auth_requested(self) -> str | None:
        """The password, once."""
        password, self._password = self._password, None
        return password

    def kbdint_auth_requested(self) -> str | None:
        """Take part if there is a password left."""
        return None if self._password is None else ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """Answer one hidden question with the password; a second factor can't be answered."""
        if not prompts:
            return []
        if len(prompts) > 1 or prompts[0][1]:
            return None
        password = self.password_auth_requested()
        return None if password is None else [password]


async def connect(
    host: str,
    ssh: ResolvedSsh,
    login: Login,
    tunnel: asyncssh.SSHClientConnection | None = None,
    trusted: asyncssh.SSHKnownHosts | None = None,
) -> asyncssh.SSHClientConnection:
    """Connect and log in; `trusted` stands in for the pinned keys.

    Raises TransportError with what failed and what to do about it.
    """
    keys = known.read(ssh.known_hosts) if trusted is None else trusted
    client = Client(login.password)
    try:
        async with asyncio.timeout(ssh.connect_timeout):
            return await asyncssh.connect(
                ssh.address,
                ssh.port,
                config=None,
                tunnel=tunnel,
                username=ssh.user,
                known_hosts=keys,
                client_factory=lambda: client,
                client_keys=login.keys,
                agent_path=() if login.keys == () else "",
                preferred_auth="publickey,password,keyboard-interactive",
                gss_host=None,
                encryption_algs=CIPHERS,
                compression_algs=["none"],
                keepalive_interval=KEEPALIVE,
                keepalive_count_max=3,
                login_timeout=ssh.connect_timeout,
            )
    except (OSError, asyncssh.Error, ValueError) as error:
        message, hint = explain(error, ssh, login, client, known.pinned(keys, ssh.address, ssh.port))
        raise TransportError(message, hint, host=host) from error


def explain(
    error: Exception, ssh: ResolvedSsh, login: Login, client: Client, pins: Sequence[asyncssh.SSHKey]
) -> tuple[str, str]:
    """What went wrong, and the fix."""
    place = f"{ssh.address} port {ssh.port}"
    match error:
        case TimeoutError():
            return f"no answer from {place} within {ssh.connect_timeout:g} s", (
                "Is the host up, the address right, no firewall between? ssh.connect_timeout is the patience."
            )
        case ConnectionRefusedError():
            return f"{place} refuses connections", f"Is sshd running there? Is {ssh.section}.port right?"
        case socket.gaierror():
            return (
                f"{ssh.address} is not a known name",
                "Check the address, or DNS on this machine.",
            )
        case asyncssh.HostKeyNotVerifiable():
            return _key_refused(place, ssh, client, pins)
        case asyncssh.PermissionDenied():
            return f"{ssh.user} was refused at {place}", _offered(ssh, login)
        case asyncssh.KeyExchangeFailed() if pins:
            kinds = ", ".join(key.get_algorithm() for key in pins)
            return f"{place} no longer shows a host key of the pinned kind ({kinds})", _verify(ssh)
        case asyncssh.KeyExchangeFailed():
            return f"no common algorithm with {place}: {error}", "Update sshd there."
        case asyncssh.ChannelOpenError():
            return f"the jump host can't reach {place}: {error.reason}", (
                "Is the host up? Does the jump host's sshd allow TCP forwarding?"
            )
        case asyncssh.ConnectionLost() | ConnectionResetError() | BrokenPipeError():
            return f"{place} closed the connection before login", (
                "sshd is overloaded (MaxStartups), blocks this address, or it is no sshd."
            )
        case asyncssh.DisconnectError():
            return f"{place} ended the connection: {error.reason}", (
                f"With `Too many authentication failures` set {ssh.section}.key, so that only one key is tried."
            )
        case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
            return f"no route to {place}", "Is the host up, and this machine in a network that reaches it?"
        case OSError():
            return f"can't connect to {place}: {error.strerror or error}", "Check address, port and network."
        case _:
            return f"can't log in to {place}: {error}", "Check the ssh settings."


def _key_refused(place: str, ssh: ResolvedSsh, client: Client, pins: Sequence[asyncssh.SSHKey]) -> tuple[str, str]:
    seen = client.seen.get_fingerprint() if client.seen else "a certificate"
    if not pins:
        return f"host key of {place} is not known ({seen})", (
            f"Compare the fingerprint, then run `quorate trust` (pins in {ssh.known_hosts})."
        )
    old = ", ".join(key.get_fingerprint() for key in pins)
    return f"HOST KEY CHANGED: {place} shows {seen}, pinned is {old} in {ssh.known_hosts}", _verify(ssh)


def _verify(ssh: ResolvedSsh) -> str:
    return (
        "Somebody may sit between, or the host was reinstalled. If you know why, run "
        f"`quorate trust --replace` (pins in {ssh.known_hosts})."
    )


def _offered(ssh: ResolvedSsh, login: Login) -> str:
    tried = []
    if login.keys is not None:
        tried.append(f"key {ssh.key}" if ssh.key else "the agent's and default keys")
    if login.password is not None:
        tried.append("the password")
    of = ssh.section
    return f"Tried {' and '.join(tried)}, once. Check {of}.user, {of}.key or {of}.password_file."
