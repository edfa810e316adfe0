"""Makes locks that are shipped: `python -m quorate.artifact.golang.ship kubernetes 1.37.2 etcd 3.7.3 ...`."""

import asyncio
import sys
from collections.abc import Sequence

from quorate.artifact.golang import families, locks


async def main(words: Sequence[str]) -> None:
    """One lock after the other, for parts and versions in turn."""
    for part, version in zip(words[::2], words[1::2], strict=True):
        lock = await locks.make(families.family(part, version), version, locks.SHIPPED)
        print(lock.folder.name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
