"""Whether two builds give the same bytes: `bench/twice.py 1.37.2` builds a second time and compares.

The first build is what lies in quorate's cache (`quorate build`). The second has nothing in common with it but locks
and toolchain: another folder, an empty module cache, an empty cache of compiled packages. Digests go to
bench/results/twice-VERSION.json. It takes as long as a first build.
"""

import asyncio
import json
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from stand import RESULTS, tell

from quorate.artifact import modules
from quorate.artifact.cache import Cache
from quorate.artifact.root import default_cache
from quorate.spec.supply import Supply


async def built(version: str, cache: Path) -> Supply:
    """All that `quorate build` makes of a version, in a cache."""
    return await modules.make(modules.all_of(version), Cache(cache), tell, "amd64", None)


def digests(supply: Supply) -> dict[str, str]:
    """SHA-256 by program and image."""
    blobs = {**supply.binaries, **supply.images}
    return {name: blob.sha256 for name, blob in sorted(blobs.items())}


def main() -> None:
    """Build, compare, keep; exit code 1 when one differs."""
    version = sys.argv[1]
    first = digests(asyncio.run(built(version, default_cache() / "artifacts")))
    with tempfile.TemporaryDirectory(prefix="quorate-twice-") as folder:
        os.environ |= {"GOCACHE": f"{folder}/packages", "GOMODCACHE": f"{folder}/modules"}
        second = digests(asyncio.run(built(version, Path(folder) / "cache")))
    differ = sorted(name for name in first if second.get(name) != first[name])
    result = {"kubernetes": version, "date": date.today().isoformat(), "differ": differ, "sha256": first}
    (RESULTS / f"twice-{version}.json").write_text(json.dumps(result, indent=1) + "\n")
    tell(f"{len(first)} programs and images, {len(differ)} differ: {', '.join(differ) or 'none'}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
