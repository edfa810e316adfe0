"""One script in one SSH session: what goes in, what comes out, and when it is over."""

import asyncio
from collections.abc import Callable

import asyncssh

from quorate.core import Blob
from quorate.transport.output import Output

CHUNK = 256 * 1024
"""Bytes of a blob that are read and handed on at once."""

HIGH_WATER = 2 * 1024 * 1024
"""Bytes waiting in a channel at which the reader of the blob pauses: sshd's own window."""

SILENCE = 1.0
"""Seconds of silence after the exit code that end a session, though a child still holds its stdout."""


class Session(asyncssh.SSHClientSession[bytes]):
    """The client side of one exec channel."""

    def __init__(self, on_line: Callable[[str], None] | None = None) -> None:
        self.output = Output(on_line)
        self.code: int | None = None
        self.failure: OSError | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._exited = asyncio.Event()
        self._over = asyncio.Event()
        self._heard = False

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan
        chan.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Collect stdout and stderr."""
        self._heard = True
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self.output.err(data)
        else:
            self.output.out(data)
        self._changed.set()

    def eof_received(self) -> bool:
        """Keep the channel open for the exit code."""
        return True

    def exit_status_received(self, status: int) -> None:
        """The script ended."""
        self.code = status
        self._exited.set()
        self._writable.set()
        self._changed.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The script was killed; counted as shells do."""
        numbers = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11}
        self.exit_status_received(128 + {**numbers, "PIPE": 13, "ALRM": 14, "TERM": 15}.get(signal, 0))

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, for whatever reason."""
        self._over.set()
        self._exited.set()
        self._changed.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable.set()

    @property
    def over(self) -> bool:
        """Whether the channel is closed."""
        return self._over.is_set()

    async def answer(self, password: str) -> bool:
        """Wait until the bootstrap speaks, give sudo its password when it asks; False if it asks again.

        True says nothing of success: a session may also be over. Nothing but the password is sent meanwhile,
        so that a script's line is never taken for a password.
        """
        given = False
        while self.output.pid is None and not self._exited.is_set():
            if self.output.prompts > 1:
                self.close()
                return False
            if self.output.prompts and not given:
                given = True
                self._write(password.encode() + b"\n")
            self._changed.clear()
            await self._changed.wait()
        return True

    async def feed(self, script: bytes, blob: Blob | None) -> None:
        """Send the script, then the blob's gzip file, then end of file; stops when the script is over.

        A blob that can't be read ends the session; the reason is in `failure`.
        """
        self._write(script)
        if blob is not None:
            try:
                await self._pour(blob)
            except OSError as error:
                self.failure = error
                self.close()
        if self._channel is not None and not self._exited.is_set():
            self._channel.write_eof()

    async def _pour(self, blob: Blob) -> None:
        for each in blob.files:
            with each.path.open("rb", buffering=0) as file:
                while (chunk := file.read(CHUNK)) and not self._exited.is_set():
                    self._write(chunk)
                    await self._writable.wait()

    async def begun(self, patience: float) -> bool:
        """Wait until the bootstrap spoke or all is over; False when neither came within `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while self.output.pid is None and not self._exited.is_set():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def ended(self) -> None:
        """Wait for the end: channel closed, or exit code and then silence."""
        await self._exited.wait()
        while not self.over:
            self._heard = False
            try:
                async with asyncio.timeout(SILENCE):
                    await self._over.wait()
            except TimeoutError:
                if not self._heard:
                    self.close()
                    break
        self.output.end()

    def close(self) -> None:
        """Give the channel up; what waits to be sent is dropped."""
        if self._channel is not None:
            self._channel.abort()

    def _write(self, data: bytes) -> None:
        if self._channel is not None and not self._exited.is_set():
            try:
                self._channel.write(data)
            except OSError:
                self._writable.set()
