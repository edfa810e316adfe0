"""Sealed copies of the state folder on the etcd hosts, kept up to date by every apply: a lost laptop is no disaster.

```
copy/identity        a private key of age, for the copies alone, made once
copy/identity.age    the same, locked with the passphrase
copy/last            cluster, number and digest of the newest copy
```

On a host, in layout.COPY: `state.age`, sealed for that key and for state.recipients, `identity.age` and `last`. What a
host has in `last` comes with its facts: an apply that changes nothing sends nothing and asks nothing more.
"""

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.component.context import Context
from quorate.core import PlanError, QuorateError, Transport
from quorate.plan.words import line
from quorate.spec.cluster import Cluster
from quorate.spec.facts import HostFacts
from quorate.spec.layout import COPY, STATE
from quorate.state import age
from quorate.state.bundle import LAST, gather
from quorate.state.store import Store

WRITE_WITHIN_S = 30.0
"""Seconds that a host may take to write its copy, of a few hundred kB."""
SHORTEST = 12
"""Characters of a passphrase: it guards every key of the cluster, and who has a host may try for years."""


@dataclass(frozen=True)
class Mark:
    """Which copy one is: the number grows by one with every change."""

    cluster: str
    sequence: int = 0
    digest: str = ""

    @classmethod
    def read(cls, text: str) -> "Mark | None":
        """The mark in a line; None when there is none."""
        words = text.split()
        if len(words) != 3 or not words[1].isdecimal():
            return None
        return cls(words[0], int(words[1]), words[2])

    def __str__(self) -> str:
        return f"{self.cluster} {self.sequence} {self.digest}"


def last(store: Store, cluster: str) -> Mark:
    """The mark of the newest copy that this state folder made or came from."""
    content = store.read(store.path / "copy" / LAST)
    return Mark.read((content or b"").decode(errors="replace")) or Mark(cluster)


def numbered(store: Store, cluster: str, digest: str) -> Mark:
    """The mark for a content. It is noted here before anybody else has it."""
    mark = last(store, cluster)
    if mark.digest != digest:
        mark = Mark(cluster, mark.sequence + 1, digest)
        store.write(store.path / "copy" / LAST, f"{mark}\n".encode())
    return mark


def identity(store: Store) -> str:
    """The private key for the copies and for backups, made when there is none; `store.keep` writes it."""
    made = store.once(store.path / "copy/identity", lambda: age.make_identity().encode() + b"\n")
    return made.decode().strip()


def backup_recipients(store: Store, cluster: Cluster) -> tuple[str, ...]:
    """Whom backups are sealed for: the key of the copies, and who may open them without the passphrase.

    None where nobody but this folder could open them.
    """
    given = cluster.backup.recipients or cluster.state.recipients
    return (age.public(identity(store)), *given) if given or locked(store) is not None else ()


def locked(store: Store) -> bytes | None:
    """The private key, locked with the passphrase; None where no passphrase was set."""
    return store.read(store.path / "copy/identity.age")


def set_passphrase(store: Store, passphrase: str) -> None:
    """Lock the private key with a new passphrase. The next apply brings it to the hosts."""
    if len(passphrase) < SHORTEST:
        raise QuorateError(f"the passphrase is shorter than {SHORTEST} characters", "take some words that you can keep")
    key = identity(store)
    store.keep()
    store.write(store.path / "copy/identity.age", age.lock(key.encode(), passphrase))


def opened(store: Store, cluster: Cluster) -> bool:
    """Whether anybody could open a copy."""
    return bool(cluster.state.recipients) or locked(store) is not None


def notes(store: Store, cluster: Cluster) -> tuple[str, ...]:
    """What the operator should know before an apply."""
    if not cluster.state.copies or opened(store, cluster):
        return ()
    return (
        f"the state folder is on this machine alone: `quorate passphrase`, or state.recipients in the file, lets "
        f"apply keep sealed copies of it on {', '.join(host.name for host in cluster.members)}",
    )


def _others(store: Store, cluster: Cluster, facts: Mapping[str, HostFacts]) -> Iterator[tuple[str, Mark]]:
    """Copies on hosts that are as new as this state folder, or newer, and not of it."""
    mine = last(store, cluster.name)
    for name, fact in sorted(facts.items()):
        found = Mark.read(fact.copy)
        if found and found.cluster == cluster.name and found.digest != mine.digest and found.sequence >= mine.sequence:
            yield name, found


def check(store: Store, cluster: Cluster, facts: Mapping[str, HostFacts]) -> None:
    """Refuse to go on with a state folder that is lost, or older than what a host has a copy of."""
    mine = last(store, cluster.name)
    for name, found in _others(store, cluster, facts):
        address = next((host.ip for host in cluster.hosts if host.name == name), name)
        here = f"number {mine.sequence}" if mine.sequence else "of an unknown number"
        raise PlanError(
            f"{name} has a copy of the state folder, number {found.sequence}, that did not come from this one, "
            f"{here}: the cluster was changed from elsewhere, or {store.path} was lost or put back",
            f"get the copy with `quorate adopt {address} --into FOLDER` and go on there; "
            f"one that is of no use goes with `rm -r {COPY}` on {name}",
        )


def given_up(store: Store, cluster: Cluster, facts: Mapping[str, HostFacts]) -> Iterator[str]:
    """What a restore, which goes back on purpose, gives up with its begin: newer copies."""
    for name, found in _others(store, cluster, facts):
        yield (
            f"{name} has a copy of a newer state folder, number {found.sequence}, which is replaced by this one: "
            "`quorate adopt` keeps it in another folder, if it may be of use"
        )


def write(mark: Mark, sealed: bytes, identity_locked: bytes | None) -> str:
    """sh that puts a copy on a host, each file whole or not at all; the mark comes last."""
    files = {"state.age": sealed, "identity.age": identity_locked, "last": f"{mark}\n".encode()}
    parts = [
        f"set -eu; umask 077; mkdir -p {COPY}; chmod 0700 {COPY}\n"
        # So that a host that leaves is known to have something of ours.
        f": >>{STATE}/made\n"
        f'put() {{ base64 -d >"{COPY}/$1.new" && sync -- "{COPY}/$1.new" && mv -fT -- "{COPY}/$1.new" "{COPY}/$1" || '
        f'{{ rm -f -- "{COPY}/$1.new"; exit 1; }}; }}\n'
    ]
    for name, content in files.items():
        if content is None:
            parts.append(f"rm -f -- {COPY}/{name}\n")
        else:
            parts.append(f"put {name} <<'EOF'\n{base64.encodebytes(content).decode()}EOF\n")
    return "".join(parts)


class Copies:
    """The copies of one cluster during one apply."""

    def __init__(self, store: Store, context: Context, file: Path, text: str, via: Transport) -> None:
        self._store, self._cluster, self._file, self._text, self._via = store, context.cluster, file, text, via
        there = {host.name for host in self._cluster.hosts} - context.absent
        held = {name: Mark.read(fact.copy) for name, fact in context.facts.hosts.items()}
        self._held = {name: mark for name, mark in held.items() if mark and name in there}
        self._wanted = [host.name for host in self._cluster.members if host.name in there]
        self._restores = context.restoring is not None
        self.warnings: list[str] = []

    async def begin(self) -> None:
        """Copy what the steps are about to need, before the first of them. A restore's copy is newer than any other."""
        highest = max((mark.sequence for mark in self._held.values() if mark.cluster == self._cluster.name), default=0)
        if self._restores and last(self._store, self._cluster.name).sequence < highest:
            mark = Mark(self._cluster.name, highest, "none")
            self._store.write(self._store.path / "copy" / LAST, f"{mark}\n".encode())
        await self._warned(anew=False)

    async def end(self, *, changed: bool) -> None:
        """Copy what has changed; `changed`: at least the journal. Copies that are not wanted any more go."""
        await self._warned(anew=changed)
        wanted = self._wanted if self._cluster.state.copies else ()
        spare = [name for name, mark in self._held.items() if mark.cluster == self._cluster.name and name not in wanted]
        await self._run(spare, f"rm -rf -- {COPY}", "could not be removed")

    async def _warned(self, *, anew: bool) -> None:
        """What goes wrong with copies is no reason to stop, or not to go on."""
        try:
            await self._renew(anew=anew)
        except QuorateError as error:
            warning = f"no copy of the state folder was made: {error}"
            self.warnings = [*(each for each in self.warnings if each != warning), warning]

    async def _renew(self, *, anew: bool) -> None:
        if not self._cluster.state.copies or not opened(self._store, self._cluster):
            return
        recipients = (age.public(identity(self._store)), *self._cluster.state.recipients)
        self._store.keep()
        bundle = gather(self._store.path, self._cluster, self._file, self._text)
        mark = numbered(self._store, self._cluster.name, bundle.digest)
        due = [name for name in self._wanted if anew or self._held.get(name) != mark]
        if due:
            sealed = age.seal(bundle.pack(mark.sequence), recipients)
            done = await self._run(due, write(mark, sealed, locked(self._store)), "could not be written")
            self._held.update(dict.fromkeys(done, mark))

    async def _run(self, hosts: Sequence[str], script: str, failed: str) -> Iterable[str]:
        """Run it side by side; the hosts where it worked. What did not work is a warning."""

        async def one(host: str) -> str:
            try:
                await self._via.run(host, script, timeout=WRITE_WITHIN_S)
            except QuorateError as error:
                why = line(str(error), 300).removeprefix(f"{host}: ")
                warning = f"{host}: the copy of the state folder {failed}: {why}"
                self.warnings = [*(each for each in self.warnings if not each.startswith(f"{host}: ")), warning]
                return ""
            self.warnings = [each for each in self.warnings if not each.startswith(f"{host}: ")]
            return host

        return [host for host in await asyncio.gather(*map(one, hosts)) if host]
