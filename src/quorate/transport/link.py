"""One host's kept connection, shared by a bounded number of sessions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncssh

from quorate.core import TransportError
from quorate.transport.session import Session

Opener = Callable[[], Awaitable[asyncssh.SSHClientConnection]]


class Slots:
    """At most `limit` at once; the limit shrinks when the host allows less."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._room = asyncio.Condition()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one slot."""
        async with self._room:
            await self._room.wait_for(lambda: self.used < self.limit)
            self.used += 1
        try:
            yield
        finally:
            self.used -= 1
            await asyncio.shield(self._wake())

    async def _wake(self) -> None:
        async with self._room:
            self._room.notify_all()


class Link:
    """Opens the connection when first needed, and again when it was lost.

    A refusal that would not change by trying again (login, host key, sudo) is kept and raised each time, so
    that no account is locked by repetition.
    """

    def __init__(self, host: str, opener: Opener, sessions: int) -> None:
        self.host = host
        self.slots = Slots(sessions)
        self.refused: TransportError | None = None
        self._opener = opener
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening: asyncio.Task[asyncssh.SSHClientConnection] | None = None

    async def connection(self) -> asyncssh.SSHClientConnection:
        """The live connection. Raises TransportError."""
        if self.refused is not None:
            raise self.refused
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> asyncssh.SSHClientConnection:
        try:
            self._connection = await self._opener()
            return self._connection
        except TransportError as error:
            if isinstance(error.__cause__, asyncssh.PermissionDenied | asyncssh.HostKeyNotVerifiable):
                self.refused = error
            raise
        finally:
            self._opening = None

    async def session(self, command: str, session: Session) -> None:
        """Start a command in a new session of the connection; hold a slot meanwhile.

        A connection that turns out to be dead is opened again: nothing of the script was sent yet. A host that
        refuses a session is asked for fewer at once.
        """
        for last in (False, True):
            connection = await self.connection()
            try:
                await connection.create_session(
                    lambda: session,
                    command,
                    encoding=None,
                    request_pty=False,
                    window=4 * 2**20,
                    max_pktsize=2**17,
                )
                return
            except (asyncssh.Error, OSError) as error:
                if not connection.is_closed() and isinstance(error, asyncssh.ChannelOpenError):
                    raise
                if last:
                    raise TransportError("connection lost", "", host=self.host) from error
                connection.abort()

    async def close(self) -> None:
        """Close the connection, and give up opening one."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
            try:
                async with asyncio.timeout(3):
                    await self._connection.wait_closed()
            except TimeoutError:
                self._connection.abort()
