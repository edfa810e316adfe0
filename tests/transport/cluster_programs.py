"""Programs of the cluster as the source `modules` builds them: out of the cache, or built once."""

import asyncio
from pathlib import Path

from programs import HOME

from quorate.artifact import modules
from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.golang import compiler
from quorate.artifact.modules import Workshop
from quorate.artifact.root import default_cache
from quorate.spec.versions import table

NEWEST = table("1.37")


def built(part: str, version: str) -> Path:
    """The folder with a part's programs."""
    folder = HOME / f"{part}-{version}"
    if not folder.exists():
        shop = Workshop(Cache(default_cache() / "artifacts"), "amd64", None, print, compiler.find("amd64"))
        entry = asyncio.run(modules.built(shop, part, version))
        half = folder.with_name(f".{folder.name}")
        half.mkdir(parents=True, exist_ok=True)
        for name, blob in entry.blobs.items():
            with (half / name).open("wb") as file:
                file.writelines(unpacked(blob))
            (half / name).chmod(0o755)
        half.rename(folder)
    return folder
