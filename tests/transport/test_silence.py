"""Hosts that say nothing any more, without a word of farewell: noticed in time, and quiet scripts are left alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import asyncssh
import pytest
from servers import Server

from quorate.core import TransportError
from quorate.spec.ssh import ResolvedSsh
from quorate.transport import connect
from quorate.transport.known import label
from quorate.transport.link import Link
from quorate.transport.ssh import SshTransport

REAL = connect.KEEPALIVE
BEAT = 0.3
"""Seconds between signs of life in these tests."""


class Cable:
    """A line to a server that can be frozen: nothing comes through, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks |= {
            asyncio.ensure_future(self._carry(reader, back)),
            asyncio.ensure_future(self._carry(there, writer)),
        }

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        await self._flows.wait()
        sink.close()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def cable(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cable]:
    monkeypatch.setattr(connect, "KEEPALIVE", BEAT)
    made = Cable(server.port)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def door(server: Server, cable: Cable) -> AsyncIterator[SshTransport]:
    made = SshTransport({"a": through(server.ssh, cable)})
    yield made
    cable.thaw()
    await made.close()


def through(ssh: ResolvedSsh, cable: Cable) -> ResolvedSsh:
    assert ssh.known_hosts is not None
    pin = ssh.known_hosts.read_text().split(" ", 1)[1]
    ssh.known_hosts.write_text(f"{label('127.0.0.1', cable.port)} {pin}")
    return replace(ssh, port=cable.port, connect_timeout=3)


async def begun(door: SshTransport, script: str) -> "asyncio.Task[str]":
    said = asyncio.Event()
    running = asyncio.create_task(door.run("a", f"echo begun; {script}", on_line=lambda _line: said.set()))
    async with asyncio.timeout(5):
        await said.wait()
    return running


async def test_a_frozen_host_is_noticed_and_looked_for_again(door: SshTransport, cable: Cable) -> None:
    running = await begun(door, "sleep 30")
    cable.freeze()
    began = time.monotonic()
    with pytest.raises(TransportError, match="connection lost while a script ran") as caught:
        await running
    seconds = time.monotonic() - began
    assert caught.value.host == "a"
    # With the real interval: 20 s after the last word, and one in which it froze.
    assert 3 * BEAT <= seconds <= 5 * BEAT + 2
    with pytest.raises(TransportError, match="no answer"):
        await door.run("a", "echo there")
    cable.thaw()
    assert await door.run("a", "echo there") == "there\n"


async def test_a_script_that_says_nothing_for_long_is_left_alone(door: SshTransport) -> None:
    assert await (await begun(door, f"sleep {10 * BEAT}; echo done")) == "begun\ndone\n"


async def test_a_host_that_hangs_for_a_moment_is_not_given_up(door: SshTransport, cable: Cable) -> None:
    """The real interval lets 10 s pass, as a machine that is moved or swaps may need."""
    assert 3 * REAL > 10
    running = await begun(door, f"sleep {4 * BEAT}; echo done")
    cable.freeze()
    await asyncio.sleep(2 * BEAT)
    cable.thaw()
    assert await running == "begun\ndone\n"


async def test_a_session_on_a_host_that_just_froze_does_not_wait_for_ever(door: SshTransport, cable: Cable) -> None:
    await door.run("a", ":")
    cable.freeze()
    began = time.monotonic()
    with pytest.raises(TransportError):
        await door.run("a", "echo there")
    assert time.monotonic() - began < 5 * BEAT + 6


@pytest.mark.parametrize(("proven", "kept"), [(False, True), (True, False)])
async def test_a_host_that_boots_may_refuse_a_login_for_a_while(proven: bool, kept: bool) -> None:
    """pam_nologin refuses everybody but root until the boot is done; a wrong key is never tried twice."""
    tries = 0

    async def refuse() -> asyncssh.SSHClientConnection:
        nonlocal tries
        tries += 1
        raise TransportError("ops was refused", host="a") from asyncssh.PermissionDenied("no")

    link = Link("a", refuse, 8)
    link.proven = proven
    for _ in range(2):
        with pytest.raises(TransportError, match="refused"):
            await link.connection()
    assert (tries == 1) is kept


async def test_a_shell_that_ends_before_it_speaks_is_a_lost_host_when_it_worked_before(server: Server) -> None:
    """As when the host goes down just then; else it is a login that will never work."""
    door = SshTransport({"a": server.ssh})
    await door.run("a", ":")
    server.goes_down = True
    with pytest.raises(TransportError):
        await door.run("a", ":")
    server.goes_down = False
    assert await door.run("a", "echo there") == "there\n"
    await door.close()
