"""Backups that etcd hosts took by themselves, in a folder of their own."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.backup.places import Item
from quorate.core import Transport
from quorate.execute import fetch
from quorate.render.sh import heredoc, quote, sh


@dataclass(frozen=True)
class HostPlace:
    """One host's folder. Besides QuorateError it raises the transport's own errors, which are some of it."""

    host: str
    folder: str
    via: Transport

    @property
    def name(self) -> str:
        """Host and folder."""
        return f"{self.host}:{self.folder}"

    async def put(self, path: Path) -> None:
        """Write a small file there, such as a proof; sets come from the hosts themselves."""
        to, part = self._at(path.name), self._at(f".{path.name}.scheduled")
        text, folder = heredoc(path.read_text(encoding="utf-8")), quote(self.folder)
        script = f"set -eu; umask 077; cat >{part} {text}\nsync -- {part}; mv -fT -- {part} {to}; sync -- {folder}"
        await self.via.run(self.host, script)

    async def listing(self) -> Sequence[Item]:
        """The files that are there; none where there is no folder."""
        said = await self.via.run(
            self.host,
            f"[ ! -d {quote(self.folder)} ] || "
            f"find {quote(self.folder)} -maxdepth 1 -type f ! -name '.*' -exec stat -c '%s %n' -- {{}} +",
        )
        lines = (line.partition(" ") for line in said.splitlines())
        return [Item(path.rpartition("/")[2], int(size)) for size, _, path in lines if size.isdecimal()]

    async def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of it, as text on their way."""
        ask = f"tail -c +{at + 1} -- {self._at(name)} | head -c {size} | base64"
        return base64.b64decode(await self.via.run(self.host, ask))

    async def get(self, name: str, to: Path) -> None:
        """Bring it here."""
        await fetch.fetch(self.via, self.host, f"{self.folder}/{name}", to)

    async def remove(self, name: str) -> None:
        """Remove it, if it is there."""
        await self.via.run(self.host, sh("rm", "-f", "--", f"{self.folder}/{name}"))

    def _at(self, name: str) -> str:
        return quote(f"{self.folder}/{name}")
