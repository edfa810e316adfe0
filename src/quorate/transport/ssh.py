"""SSH: the way to real hosts. One kept connection per host; scripts and secrets travel over stdin only.

asyncssh, and all that is made with it, is imported when the first connection is made: what is wrong in a cluster file
is told without it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from quorate.core import ArtifactError, Blob, TransportError
from quorate.render import bootstrap
from quorate.spec.cluster import Cluster
from quorate.spec.ssh import ResolvedSsh, ssh_of, way
from quorate.transport import sudo
from quorate.transport.password import Prompt

if TYPE_CHECKING:
    import asyncssh

    from quorate.transport.keyring import Keyring
    from quorate.transport.link import Link
    from quorate.transport.output import Output
    from quorate.transport.session import Session

OnLine = Callable[[str], None] | None

SESSIONS = 8
"""Sessions at once on one host: sshd's MaxSessions is 10, and one is kept to end a script that hangs."""

CONNECTS = 64
"""Connections being opened at once, over all hosts."""

CONNECTS_BY_JUMP = 10
"""The same through one jump host: the first number of sshd's MaxStartups 10:30:100."""

UPLOADS = 6
"""Blobs being sent at once, over all hosts: more only share the same line."""

SHELL_WITHIN_S = 60.0
"""Seconds for a shell to start, and for sudo to take or refuse a password (PAM delays refusals)."""


class SshTransport:
    """The hosts by name, and how each is reached.

    All runs share the connections; a lost connection is opened again by the next run. `prompt` is asked for
    passwords and passphrases, each once.
    """

    def __init__(
        self, targets: Mapping[str, ResolvedSsh], *, prompt: Prompt | None = None, sessions: int = SESSIONS
    ) -> None:
        self._targets = dict(targets)
        self._prompt = prompt or Prompt()
        self._sessions = sessions
        self._links: dict[str, Link] = {}
        self._jumps: dict[ResolvedSsh, tuple[Link, asyncio.Semaphore]] = {}
        self._connects = asyncio.Semaphore(CONNECTS)
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._keyring: Keyring | None = None
        self._access: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, cluster: Cluster, *, prompt: Prompt | None = None) -> "SshTransport":
        """The connections to all hosts of a cluster."""
        return cls({host.name: ssh_of(cluster, host) for host in cluster.hosts}, prompt=prompt)

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: OnLine = None,
        timeout: float | None = None,
    ) -> str:
        """Run a script as root; see `core.Transport`.

        The shell has umask 077, LC_ALL=C, HOME=/root, a full PATH and `/` as its folder; stdin is the blob's
        gzip file or at its end. `timeout` counts from the start of the script; then its process group is
        ended and `CommandFailed` has code 124. Bytes of stdout that are not UTF-8 are surrogate escapes.
        Raises ArtifactError when the blob can't be read, ValueError for a NUL in the script, and LocalError, before
        any host is asked, for what is wrong on this machine.
        """
        return (await self._run(host, script, blob, on_line, timeout)).stdout()

    async def read(self, host: str, script: str) -> bytes:
        """See `core.ReadsBytes`."""
        return (await self._run(host, script)).content()

    async def _run(
        self,
        host: str,
        script: str,
        blob: Blob | None = None,
        on_line: OnLine = None,
        timeout: float | None = None,
    ) -> "Output":
        await self._demand_access()
        ssh = self._targets[host]
        link = self._link(host)
        data = bootstrap.body(script)
        password = await sudo.password(ssh, self._prompt)
        command = bootstrap.command(len(data), sudo=ssh.user != "root", password=password is not None)
        if blob is not None and not blob.path.is_file():
            raise ArtifactError(f"{blob.path} is gone", "Run again: it is made anew.")
        async with self._uploads if blob is not None else nullcontext():
            while True:
                async with link.slots.one():
                    session = await self._start(link, ssh, command, password, on_line)
                    if session is not None:
                        return await self._converse(link, ssh, session, data, blob, timeout)

    @asynccontextmanager
    async def forward(self, host: str, port: int) -> AsyncIterator[int]:
        """A port here that leads to one of a host's loopback; see `core.Transport`.

        By a connection of its own, so that scripts are not in its way.
        """
        from quorate.transport.forward import forwarded

        await self._demand_access()
        link = self._new_link(host)
        try:
            async with forwarded(link, port) as here:
                yield here
        finally:
            await link.close()

    async def close(self) -> None:
        """Close every connection, those to jump hosts last."""
        await asyncio.gather(*(link.close() for link in self._links.values()))
        await asyncio.gather(*(link.close() for link, _ in self._jumps.values()))
        if self._keyring is not None:
            await self._keyring.close()
        self._keyring = self._access = None
        self._links.clear()
        self._jumps.clear()

    async def _start(
        self, link: "Link", ssh: ResolvedSsh, command: str, password: str | None, on_line: OnLine = None
    ) -> "Session | None":
        """A session that runs the command, past sudo; None when the host wants fewer at once: wait for a slot."""
        from quorate.transport.session import Session

        session = Session(on_line)
        try:
            async with nullcontext() if password is None else link.unlocking():
                if not await link.session(command, session):
                    return None
                if password is not None:
                    await self._unlock(link, ssh, session, password)
        except BaseException:
            session.close()
            raise
        return session

    async def _converse(
        self, link: "Link", ssh: ResolvedSsh, session: "Session", data: bytes, blob: Blob | None, timeout: float | None
    ) -> "Output":
        try:
            await self._talk(link, session, data, blob, timeout)
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(link, session))
            raise
        finally:
            session.close()
        return self._result(link, ssh, session)

    async def _talk(
        self, link: "Link", session: "Session", data: bytes, blob: Blob | None, timeout: float | None
    ) -> None:
        feeding = asyncio.create_task(session.feed(data, blob))
        try:
            if not await session.begun(SHELL_WITHIN_S):
                fix = "Is the host overloaded, or a login script waiting for something?"
                raise TransportError(f"no shell within {SHELL_WITHIN_S:g} s", fix, host=link.host)
            async with asyncio.timeout(timeout):
                await session.ended()
        except TimeoutError as error:
            await self._stop(link, session)
            raise session.output.timed_out(link.host, timeout or 0) from error
        finally:
            feeding.cancel()
        if blob is not None and session.failure is not None:
            reason = session.failure.strerror or "unreadable"
            raise ArtifactError(f"{blob.path}: {reason}", "Run again: it is made anew.") from session.failure

    def _result(self, link: "Link", ssh: ResolvedSsh, session: "Session") -> "Output":
        output = session.output
        if output.broken is not None:
            raise output.broken
        if session.code is None:
            hint = "The script may have been run in part, or still run; quorate looks before it goes on."
            raise TransportError("connection lost while a script ran", hint, host=link.host)
        if output.pid is None:
            message, hint = sudo.why(ssh, output.noise, output.stderr())
            refused = TransportError(message, hint, host=link.host)
            if not link.proven:
                link.refused = refused
            raise refused
        link.proven = True
        if session.code != 0:
            raise output.failed(link.host, session.code)
        return output

    async def _unlock(self, link: "Link", ssh: ResolvedSsh, session: "Session", password: str) -> None:
        """Give sudo its password, once; a refused one is never tried again on this host."""
        try:
            async with asyncio.timeout(SHELL_WITHIN_S):
                accepted = await session.answer(password)
        except TimeoutError as error:
            raise TransportError("sudo does not answer", "Try sudo there by hand.", host=link.host) from error
        if not accepted:
            link.refused = TransportError(*sudo.wrong(ssh), host=link.host)
            raise link.refused
        if session.output.pid is None:
            await session.ended()
            self._result(link, ssh, session)
        link.unlocked = True

    async def _stop(self, link: "Link", session: "Session") -> None:
        """End the script's process group, as far as the host lets us, within 10 s."""
        if session.output.pid is None or session.over or session.code is not None:
            return
        try:
            async with asyncio.timeout(10):
                with link.slots.beside():
                    if not await self._kill(link, session.output.pid):
                        spare = self._new_link(link.host)
                        try:
                            await self._kill(spare, session.output.pid)
                        finally:
                            await spare.close()
        except (TimeoutError, TransportError, OSError):
            return

    async def _kill(self, link: "Link", pid: int) -> bool:
        """Whether there was a session to end it in."""
        ssh = self._targets[link.host]
        data = bootstrap.body(bootstrap.kill(pid))
        password = await sudo.password(ssh, self._prompt)
        command = bootstrap.command(len(data), sudo=ssh.user != "root", password=password is not None)
        session = await self._start(link, ssh, command, password)
        if session is not None:
            await self._converse(link, ssh, session, data, None, 5)
        return session is not None

    async def _demand_access(self) -> None:
        """Have all that the hosts are offered; what is wrong here is said once, and of no host."""
        if self._access is None:
            self._access = asyncio.create_task(self._keys().check(self._targets.values()))
        await asyncio.shield(self._access)

    def _keys(self) -> "Keyring":
        from quorate.transport.keyring import Keyring

        if self._keyring is None:
            self._keyring = Keyring(self._prompt)
        return self._keyring

    def _new_link(self, host: str) -> "Link":
        from quorate.transport.link import Link

        return Link(host, lambda: self._open(host, self._targets[host]), self._sessions)

    def _link(self, host: str) -> "Link":
        if host not in self._links:
            self._links[host] = self._new_link(host)
        return self._links[host]

    def _jump(self, ssh: ResolvedSsh) -> "tuple[Link, asyncio.Semaphore]":
        from quorate.transport.link import Link

        if ssh not in self._jumps:
            name = f"jump host {ssh.address}"
            link = Link(name, lambda: self._open(name, ssh), self._sessions)
            self._jumps[ssh] = (link, asyncio.Semaphore(CONNECTS_BY_JUMP))
        return self._jumps[ssh]

    async def _open(self, host: str, ssh: ResolvedSsh) -> "asyncssh.SSHClientConnection":
        from quorate.transport.connect import connect

        login = await self._keys().login(ssh)
        if ssh.jump is None:
            async with self._connects:
                return await connect(host, ssh, login)
        link, gate = self._jump(way(ssh, ssh.jump))
        tunnel = await link.connection()
        async with gate:
            return await connect(host, ssh, login, tunnel)
