"""A port of this machine that leads to one of a host's own loopback, by an SSH connection for it alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncssh

from quorate.core import TransportError
from quorate.spec.cluster import LOOPBACK
from quorate.transport.link import Link

RECONNECT_S = 0.2
"""Seconds until a lost connection is opened anew."""


@asynccontextmanager
async def forwarded(link: Link, port: int) -> AsyncIterator[int]:
    """The number of that port, as long as the block runs; it is served again after a lost connection.

    Raises TransportError, also where nobody listens there, or sshd lets nobody through.
    """
    connection = await link.connection()
    await _try(link, connection, port)
    listener = await connection.forward_local_port(LOOPBACK, 0, LOOPBACK, port)
    here = listener.get_port()
    keeping = asyncio.create_task(_keep(link, connection, here, port))
    try:
        yield here
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _try(link: Link, connection: asyncssh.SSHClientConnection, port: int) -> None:
    try:
        _, writer = await connection.open_connection(LOOPBACK, port)
    except asyncssh.ChannelOpenError as error:
        if error.code == asyncssh.OPEN_CONNECT_FAILED:
            raise TransportError(f"nothing listens at {LOOPBACK}:{port}", host=link.host) from error
        hint = f"allow it there: AllowTcpForwarding local, PermitOpen {LOOPBACK}:{port}"
        raise TransportError("sshd lets nobody through to ports of its host", hint, host=link.host) from error
    writer.close()


async def _keep(link: Link, connection: asyncssh.SSHClientConnection, here: int, port: int) -> None:
    """Serve it again, whenever the connection is lost, which takes the port along."""
    while True:
        await connection.wait_closed()
        await asyncio.sleep(RECONNECT_S)
        with suppress(TransportError, asyncssh.Error, OSError):
            opened = await link.connection()
            await opened.forward_local_port(LOOPBACK, here, LOOPBACK, port)
            connection = opened
