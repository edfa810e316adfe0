"""A host's own loopback, reached by SSH: the way a drill's probe takes to a node's own balancer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest
from servers import Dialer, Server, free_port

from quorate.core import TransportError
from quorate.transport.local import LocalTransport
from quorate.transport.ssh import SshTransport


@asynccontextmanager
async def echo(port: int = 0) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        yield server.sockets[0].getsockname()[1]


async def said(port: int) -> bytes:
    """What comes back; nothing where the connection ends without a word."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    try:
        writer.write(b"hello\n")
        return await asyncio.wait_for(reader.readline(), 5)
    except OSError:
        return b""
    finally:
        writer.close()


@pytest.fixture(params=["local", "server", "sshd"])
async def door(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[SshTransport | LocalTransport]:
    kinds = {"local": LocalTransport, "server": lambda: SshTransport({"a": server.ssh})}
    transport = (
        kinds[request.param]() if request.param in kinds else SshTransport({"a": request.getfixturevalue("sshd")})
    )
    yield transport
    await transport.close()


async def test_it_leads_to_what_listens_there(door: SshTransport | LocalTransport) -> None:
    async with echo() as there, door.forward("a", there) as here:
        assert await asyncio.gather(*(said(here) for _ in range(20))) == [b"hello\n"] * 20
        assert await door.run("a", "echo in") == "in\n", "beside its scripts"


async def test_who_listens_there_may_come_back(server: Server) -> None:
    door, there = SshTransport({"a": server.ssh}), free_port()
    async with echo(there):
        way = door.forward("a", there)
        here = await way.__aenter__()
        assert await said(here) == b"hello\n"
    assert await said(here) == b""
    async with echo(there):
        assert await said(here) == b"hello\n"
    await way.__aexit__(None, None, None)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", here)) != 0, "it ends with the block"
    await door.close()


async def test_it_is_served_again_after_a_lost_connection(server: Server) -> None:
    door = SshTransport({"a": server.ssh})
    async with echo() as there, door.forward("a", there) as here:
        assert await said(here) == b"hello\n"
        server.connections[-1].abort()
        for _ in range(100):
            await asyncio.sleep(0.1)
            if await said(here) == b"hello\n":
                break
        else:
            pytest.fail("it stays away")
    await door.close()


async def test_where_there_is_no_way_it_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    door = SshTransport({"a": server.ssh})
    with pytest.raises(TransportError, match="nothing listens at"):
        async with door.forward("a", free_port()):
            pass

    def forbid(*_: object) -> bool:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")

    monkeypatch.setattr(Dialer, "connection_requested", forbid)
    async with echo() as there:
        with pytest.raises(TransportError) as caught:
            async with door.forward("a", there):
                pass
    assert (caught.value.host, caught.value.message) == ("a", "sshd lets nobody through to ports of its host")
    assert f"PermitOpen 127.0.0.1:{there}" in caught.value.hint
    await door.close()
    with pytest.raises(TransportError, match="can't be reached from here"):
        async with LocalTransport({"b": ("true",)}).forward("b", 1):
            pass
