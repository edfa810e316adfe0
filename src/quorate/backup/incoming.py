"""A file of a host that is sealed while it comes: its plain bytes are on no disk of this machine."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

from quorate.core import QuorateError, Transport, TransportError
from quorate.execute import fetch
from quorate.state import age

TRIES = 5
"""How often a piece is asked for when the connection is lost."""
PAUSE_S = 2.0


class Incoming:
    """One file on its way: `bring` fetches it, while another thread seals it with `seal_into`."""

    def __init__(self, path: str, sha256: str = "") -> None:
        self.path = path
        self._wanted = sha256
        self._failed: BaseException | None = None
        self._writing: asyncio.Future[None] | None = None
        self._out, self._in = os.pipe()
        self._taken = False

    async def bring(self, via: Transport, host: str, told: Callable[[int, int], None]) -> None:
        """Fetch it. Raises TransportError when the host stays away, QuorateError when it is another file by then."""
        try:
            there = await fetch.look(via, host, self.path, self._wanted)
            await self._bring(via, host, there, told)
        except BrokenPipeError:
            # Who seals has ended, and says why.
            return
        except BaseException as error:
            self._failed = error
            raise
        finally:
            await self._written()
            os.close(self._in)

    async def _bring(self, via: Transport, host: str, there: fetch.Fetched, told: Callable[[int, int], None]) -> None:
        digest, done, tries = hashlib.sha256(), 0, 0
        while done < there.size:
            before = done
            try:
                async for piece in fetch.pieces(via, host, self.path, done, there.size):
                    digest.update(piece)
                    # While one is sealed the next one comes.
                    await self._taken_over()
                    self._writing = asyncio.ensure_future(asyncio.to_thread(_write, self._in, piece))
                    done += len(piece)
                    told(done, there.size)
            except TransportError:
                tries = 1 if done > before else tries + 1
                if tries >= TRIES:
                    raise
                await asyncio.sleep(PAUSE_S)
                continue
            if done < there.size:
                break
        await self._taken_over()
        found = digest.hexdigest()
        if found != there.sha256:
            raise QuorateError(f"{host}: {self.path} became another file while it was fetched", "run it again")

    async def _taken_over(self) -> None:
        """Wait until the piece that came last is with who seals it. Raises BrokenPipeError when nobody does."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def _written(self) -> None:
        """Wait for the thread that writes, also when nobody wants it any more: the number of a file is used again."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            self._writing.exception()

    def seal_into(self, out: BinaryIO, recipients: Sequence[str]) -> None:
        """Seal what comes, until it has ended. Raises what ended it before."""
        self._taken = True
        with os.fdopen(self._out, "rb") as plain:
            age.seal_stream(plain, out, recipients)
        if self._failed is not None:
            raise QuorateError(f"{self.path} did not come whole") from self._failed

    def give_up(self, error: BaseException) -> None:
        """It will not come: who seals it ends."""
        self._failed = error
        os.close(self._in)

    def drop(self) -> None:
        """Nobody will seal it: who fetches it ends."""
        if not self._taken:
            self._taken = True
            os.close(self._out)


def _write(handle: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(handle, view) :]
