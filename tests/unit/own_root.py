"""A root of its own for sh: real coreutils, and nothing of this machine is touched."""

import os
from collections.abc import Sequence
from pathlib import Path

from quorate.core import State
from quorate.execute import batch
from quorate.execute.observe import look
from quorate.plan.step import difference
from quorate.resource.resource import Resource
from quorate.transport.local import LocalTransport

OURS = ("etc/test", "var/lib/quorate", "run/quorate")


class Root:
    """A folder that stands for a host: its `/etc/test` and the folders of quorate are seen in the real places."""

    def __init__(self, folder: Path, seen: Sequence[str] = OURS) -> None:
        self.etc = folder / "etc/test"
        self.state = folder / "var/lib/quorate"
        binds = ""
        for path in seen:
            (folder / path).mkdir(parents=True)
            binds += f"mkdir -p /{path}; mount --bind '{folder}/{path}' /{path}; "
        # The parents get a throw-away layer, so that not even an empty folder is left on this machine.
        layers = "for d in /etc /var/lib /run; do mount -t tmpfs -o mode=755 tmpfs $d; done; "
        keep = f"cp -a /etc/passwd /etc/group /etc/nsswitch.conf '{folder}/'; "
        back = f"cp -a '{folder}'/passwd '{folder}'/group '{folder}'/nsswitch.conf /etc/; "
        inside = f'{keep}{layers}{back}{binds}exec "$@"'
        self.via = LocalTransport({"h": ("unshare", "--mount", "--", "/bin/sh", "-ec", inside, "sh")})

    async def state_of(self, resource: Resource) -> State:
        states, lost = await look([resource], self.via)
        assert not lost
        return states[resource.key] or {}

    async def converge(self, resource: Resource) -> None:
        actual = await self.state_of(resource)
        for action in resource.converge(actual):
            await self.via.run("h", batch.upload(action), blob=action.blob)

    async def remove(self, resource: Resource) -> None:
        for action in resource.remove():
            await self.via.run("h", batch.upload(action))

    async def settles(self, resource: Resource) -> None:
        """Once converged there is no difference, and converging again changes nothing."""
        await self.converge(resource)
        assert difference(resource.desired, await self.state_of(resource)) == {}
        before = self.tree()
        await self.converge(resource)
        assert difference(resource.desired, await self.state_of(resource)) == {}
        assert self.tree() == before

    async def sees(self, resource: Resource, *fields: str) -> None:
        """Exactly these fields are seen to differ, and are mended."""
        assert set(difference(resource.desired, await self.state_of(resource))) == set(fields)
        await self.settles(resource)

    def tree(self) -> dict[str, tuple[str, str]]:
        found = {}
        for path in sorted(self.etc.rglob("*")):
            content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
            found[str(path.relative_to(self.etc))] = (content, oct(path.lstat().st_mode))
        return found
