"""This machine as a host: the same bootstrap and the same semantics, for tests of resources and for chroots."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from quorate.core import ArtifactError, Blob, TransportError
from quorate.render import bootstrap
from quorate.transport.output import Output

CHUNK = 256 * 1024
"""Bytes that are moved at once."""

SILENCE = 1.0
"""Seconds to read on after the end, when a child of the script still holds its stdout."""


class LocalTransport:
    """Runs scripts with /bin/sh here, each host behind its own prefix command.

    `prefixes`: by host, such as `("chroot", "/srv/m1")` or `("ip", "netns", "exec", "m1")`; a host without one
    is this machine. Needs the rights that the prefix and the scripts need.
    """

    def __init__(self, prefixes: Mapping[str, Sequence[str]] | None = None) -> None:
        self._prefixes = dict(prefixes or {})

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run a script; see `core.Transport` and `SshTransport.run`."""
        return (await self._run(host, script, blob, on_line, timeout)).stdout()

    async def read(self, host: str, script: str) -> bytes:
        """See `core.ReadsBytes`."""
        return (await self._run(host, script)).content()

    async def _run(
        self,
        host: str,
        script: str,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> Output:
        data = bootstrap.body(script)
        output = Output(on_line)
        argv = (*self._prefixes.get(host, ()), "/bin/sh", "-c", bootstrap.boot(len(data)))
        try:
            child = await _started(argv)
        except OSError as error:
            raise TransportError(f"can't start {argv[0]}: {error.strerror}", host=host) from error
        try:
            async with asyncio.timeout(timeout):
                await _talk(child, data, blob, output)
        except TimeoutError as error:
            raise output.timed_out(host, timeout or 0) from error
        except OSError as error:
            raise ArtifactError(f"{blob.path if blob else argv[0]}: {error.strerror}") from error
        finally:
            await child.end()
        if output.broken is not None:
            raise output.broken
        if output.pid is None:
            said = output.stderr().strip() or "no word from /bin/sh"
            raise TransportError(f"the script did not start: {said}", "Is the prefix command right?", host=host)
        code = child.process.returncode or 0
        if code != 0:
            raise output.failed(host, code if code > 0 else 128 - code)
        return output

    @asynccontextmanager
    async def forward(self, host: str, port: int) -> AsyncIterator[int]:
        """The port itself, where the host is this machine; see `core.Transport`."""
        if host in self._prefixes:
            raise TransportError("its loopback can't be reached from here", host=host)
        yield port

    async def close(self) -> None:
        """Nothing is kept open."""


class _Watched(asyncio.subprocess.SubprocessStreamProtocol):
    """Knows when the process ends; asyncio's own `wait` also waits for whoever inherited the pipes."""

    def __init__(self) -> None:
        super().__init__(CHUNK, asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        """The process ended."""
        self.exited.set()
        super().process_exited()


@dataclass(frozen=True)
class Child:
    """A process that leads its own group, its pipes, and the event of its end."""

    process: asyncio.subprocess.Process
    exited: asyncio.Event
    transport: asyncio.SubprocessTransport

    async def end(self) -> None:
        """Kill its group if it still runs, and close the pipes, though others may hold them."""
        if not self.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.exited.wait()
        self.transport.close()


async def _started(argv: Sequence[str]) -> Child:
    """The same as `spawn`; who is cancelled meanwhile leaves no process behind."""
    starting = asyncio.ensure_future(spawn(argv))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).end()
        raise


async def spawn(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
    """Start a process with pipes, as leader of its own group. Raises OSError."""
    loop = asyncio.get_running_loop()
    pipe = asyncio.subprocess.PIPE
    transport, protocol = await loop.subprocess_exec(
        _Watched, *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=env
    )
    return Child(asyncio.subprocess.Process(transport, protocol, loop), protocol.exited, transport)


async def _talk(child: Child, data: bytes, blob: Blob | None, output: Output) -> None:
    assert child.process.stdout is not None
    assert child.process.stderr is not None
    drains = [
        asyncio.create_task(_drain(child.process.stdout, output.out)),
        asyncio.create_task(_drain(child.process.stderr, output.err)),
    ]
    feeding = asyncio.create_task(_feed(child.process, data, blob))
    try:
        await child.exited.wait()
        await asyncio.wait(drains, timeout=SILENCE)
        if feeding.done():
            feeding.result()
    finally:
        for task in (*drains, feeding):
            task.cancel()
        await asyncio.gather(*drains, feeding, return_exceptions=True)
        output.end()


async def _drain(stream: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    while data := await stream.read(CHUNK):
        take(data)


async def _feed(process: asyncio.subprocess.Process, data: bytes, blob: Blob | None) -> None:
    """Send script and blob. A script that does not read its stdin to the end is in its right."""
    stdin = process.stdin
    assert stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(data)
            await stdin.drain()
            for each in blob.files if blob is not None else ():
                with each.path.open("rb", buffering=0) as file:
                    while chunk := file.read(CHUNK):
                        stdin.write(chunk)
                        await stdin.drain()
    finally:
        stdin.close()
