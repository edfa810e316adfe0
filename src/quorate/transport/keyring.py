"""Private keys and login passwords: loaded once in a run, asked for when they must be."""

import asyncio
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh

from quorate.core import LocalError
from quorate.spec.ssh import ResolvedSsh, way
from quorate.transport import known, sudo
from quorate.transport.password import Prompt, stored


@dataclass(frozen=True)
class Login:
    """What a host is offered as proof of who we are."""

    keys: Sequence[asyncssh.SSHKey | asyncssh.SSHKeyPair] | None
    """Keys to offer; () stands for agent and default keys, None for no key at all."""
    password: str | None

    def __repr__(self) -> str:
        return "Login(...)"


class Keyring:
    """Loads each private key once in a run, with its passphrase from the terminal if it needs one."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._loaded: dict[Path, Sequence[asyncssh.SSHKey | asyncssh.SSHKeyPair]] = {}
        self._lock = asyncio.Lock()
        self._agents: list[asyncssh.SSHAgentClient] = []

    async def close(self) -> None:
        """Let go of the agent; keys that it holds are of no more use then."""
        while self._agents:
            agent = self._agents.pop()
            agent.close()
            await agent.wait_closed()

    async def check(self, targets: Collection[ResolvedSsh]) -> None:
        """Get all that they and their jump hosts are offered, before any is asked.

        Raises LocalError that says each mistake once.
        """
        wrong: dict[str, LocalError] = {}
        # Hosts share their logins, and a wrong passphrase takes its time to be found wrong.
        jumps = (way(ssh, ssh.jump) for ssh in targets if ssh.jump is not None)
        for ssh in dict.fromkeys(replace(ssh, address="", port=0, jump=None) for ssh in (*targets, *jumps)):
            try:
                known.read(ssh.known_hosts)
                await self.login(ssh)
                await sudo.password(ssh, self._prompt)
            except LocalError as error:
                wrong[error.message] = error
        if len(wrong) == 1:
            raise next(iter(wrong.values()))
        if wrong:
            lines = "\n".join(f"  {message}" for message in wrong)
            hints = dict.fromkeys(error.hint for error in wrong.values())
            raise LocalError(f"{len(wrong)} mistakes on this machine; no host was asked\n{lines}", " ".join(hints))

    async def login(self, ssh: ResolvedSsh) -> Login:
        """What to offer. Raises LocalError for a key or password that can't be had."""
        password = None
        if ssh.password_file is not None:
            password = stored(ssh.password_file, f"{ssh.section}.password_file")
        elif ssh.ask_password:
            at = "" if ssh.section == "ssh" else f" ({ssh.section})"
            password = await self._prompt.ask(f"SSH password of {ssh.user}{at}")
        if ssh.key is None:
            return Login(None if password is not None else (), password)
        async with self._lock:
            if ssh.key not in self._loaded:
                self._loaded[ssh.key] = await self._load(ssh.key.expanduser(), f"{ssh.section}.key")
        return Login(self._loaded[ssh.key], password)

    async def _load(self, path: Path, field: str) -> Sequence[asyncssh.SSHKey | asyncssh.SSHKeyPair]:
        no_key = f"Set {field} to a private key file."
        try:
            return [asyncssh.read_private_key(path)]
        except OSError as error:
            raise LocalError(f"{field}: {path}: {error.strerror}", no_key) from error
        except asyncssh.KeyEncryptionError:
            pass
        except asyncssh.KeyImportError as error:
            if "assphrase" not in str(error):
                raise LocalError(f"{field}: {path}: {error}", no_key) from error
        if held := await self._agent(path):
            return held
        passphrase = await self._prompt.ask(f"Passphrase of {path}")
        try:
            return [await asyncio.to_thread(asyncssh.read_private_key, path, passphrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            if "requires bcrypt" in str(error):
                hint = f"Install bcrypt beside quorate, or give the key to the agent: ssh-add {path}"
                raise LocalError(f"{field}: {path}: its passphrase needs the bcrypt package", hint) from error
            raise LocalError(
                f"{field}: {path}: wrong passphrase", f"Try again, or give the key to the agent: ssh-add {path}"
            ) from error

    async def _agent(self, path: Path) -> Sequence[asyncssh.SSHKeyPair]:
        """The agent's half of an encrypted key, found by its `.pub` file."""
        public = path.with_name(f"{path.name}.pub")
        if not os.environ.get("SSH_AUTH_SOCK") or not public.exists():
            return []
        try:
            wanted = asyncssh.read_public_key(public).public_data
            agent = await asyncssh.connect_agent()
            self._agents.append(agent)
            return [pair for pair in await agent.get_keys() if pair.public_data == wanted]
        except (OSError, ValueError):
            return []
