"""Programs of the cluster as the source `modules` builds them: out of the cache, or built now, as their locks say."""

import asyncio
import os
import shutil
from pathlib import Path

from programs import HOME

from quorate.artifact import modules
from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.golang import compiler
from quorate.artifact.golang.locks import SHIPPED
from quorate.artifact.modules import Workshop
from quorate.artifact.root import default_cache
from quorate.spec.versions import parts, table

NEWEST = table("1.37")


def of_line(part: str, line: str) -> Path:
    """The folder with a part's programs, of the newest version of a line, as `3.5`, of which a lock is shipped."""
    names = (lock.name.removeprefix(f"{part}-") for lock in SHIPPED.glob(f"{part}-{line}.*"))
    return built(part, max(names, key=parts))


def built(part: str, version: str) -> Path:
    """The folder with a part's programs."""
    folder = HOME / f"{part}-{version}"
    if not folder.exists():
        shop = Workshop(Cache(default_cache() / "artifacts"), "amd64", None, print, compiler.find("amd64"))
        entry = asyncio.run(modules.built(shop, part, version))
        half = folder.with_name(f".{folder.name}-{os.getpid()}")
        half.mkdir(parents=True)
        for name, blob in entry.blobs.items():
            with (half / name).open("wb") as file:
                file.writelines(unpacked(blob))
            (half / name).chmod(0o755)
        try:
            half.rename(folder)
        except OSError:
            # Other tests were faster.
            shutil.rmtree(half)
    return folder
