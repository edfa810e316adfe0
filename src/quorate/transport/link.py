"""One host's kept connection, shared by a bounded number of sessions."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncssh

from quorate.core import TransportError
from quorate.transport.session import Session

Opener = Callable[[], Awaitable[asyncssh.SSHClientConnection]]

WINDOW = 4 * 2**20
"""Bytes a host may send ahead of us."""

PACKET = 2**17
"""Bytes in one packet from a host; sshd itself sends at most 32 KiB."""

RELEASE = 0.3
"""Seconds in which sshd usually has taken notice that the session before is over; until then it refuses."""

NEVER = 3.0
"""Seconds after which a host that refuses even a single session is believed to forbid them."""


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

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Hold one more than the limit."""
        self.used += 1
        try:
            yield
        finally:
            self.used -= 1

    async def _wake(self) -> None:
        async with self._room:
            self._room.notify_all()


class Link:
    """Opens the connection when first needed, and again when it was lost.

    A refusal that would not change by trying again (login, host key, sudo) is kept and raised each time, so
    that no account is locked by repetition. Where login and sudo worked before in this run it is not: a host that
    boots refuses users for a while (pam_nologin), and one that goes down ends shells before they speak.
    """

    def __init__(self, host: str, opener: Opener, sessions: int) -> None:
        self.host = host
        self.slots = Slots(sessions)
        self.refused: TransportError | None = None
        self.proven = False
        """Whether a script has run there before."""
        self.unlocked = False
        """Whether sudo there has taken the password."""
        self._unlocking = asyncio.Lock()
        self._opener = opener
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening: asyncio.Task[asyncssh.SSHClientConnection] | None = None

    @asynccontextmanager
    async def unlocking(self) -> AsyncIterator[None]:
        """Alone until sudo has taken the password: a wrong one is tried once, however many scripts wait."""
        if self.unlocked:
            yield
            return
        async with self._unlocking:
            if not self.unlocked:
                yield
                return
        yield

    async def connection(self) -> asyncssh.SSHClientConnection:
        """The live connection. Raises TransportError."""
        if (refused := self.refused) is not None:
            raise TransportError(refused.message, refused.hint, host=refused.host) from refused
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> asyncssh.SSHClientConnection:
        try:
            self._connection = connection = await self._opener()
        except TransportError as error:
            denied = isinstance(error.__cause__, asyncssh.PermissionDenied) and not self.proven
            if denied or isinstance(error.__cause__, asyncssh.HostKeyNotVerifiable):
                self.refused = error
            raise
        else:
            return connection
        finally:
            self._opening = None

    async def session(self, command: str, session: Session) -> bool:
        """Start a command in a new session of the connection; False when the host wants fewer at once.

        A connection that turns out to be dead is opened again: nothing of the script was sent yet.
        """
        lost = 0
        began = time.monotonic()
        while lost < 2:
            connection = await self.connection()
            try:
                await connection.create_session(
                    lambda: session,
                    command,
                    encoding=None,
                    request_pty=False,
                    window=WINDOW,
                    max_pktsize=PACKET,
                )
            except (asyncssh.Error, OSError) as error:
                await asyncio.sleep(0.05)  # a dying connection needs a turn of the loop to know it
                if connection.is_closed():
                    lost += 1
                elif not isinstance(error, asyncssh.ChannelOpenError):
                    raise TransportError(f"no session: {error}", host=self.host) from error
                elif self.slots.used > 1 and time.monotonic() - began > RELEASE:
                    self.slots.limit = min(self.slots.limit, self.slots.used - 1)
                    return False
                elif time.monotonic() - began > NEVER:
                    hint = "Does sshd there forbid sessions (MaxSessions 0, ForceCommand, a restricted key)?"
                    raise TransportError(f"no session: {error.reason}", hint, host=self.host) from error
            else:
                return True
        raise TransportError("connection lost, twice", "Is the host restarting?", host=self.host)

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
