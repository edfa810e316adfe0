"""What happened to a cluster before, from the state folder: files that were applied, and which machine each host is.

```
last-applied.yaml      the file of the last apply that did everything
begun/<digest>.yaml    files of applies since then that did not end; what they began still has to go or be finished
behind/<host>          digests of files that a host may have something of, which was away when others were done
former/<digest>.yaml   those files
machines.json          the machine-id of each host
releases.json          version and digests of each part, as of the last apply that did everything
without                hosts that are left out of the cluster since they are dead, though the file names them
endpoints              every address and name that was the API's: certificates go on naming them
destroying             a destroy has begun, and not ended
```
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from quorate.core import QuorateError
from quorate.operation import change
from quorate.spec.cluster import Cluster
from quorate.spec.fewer_hosts import cluster_without, text_without
from quorate.spec.load import load_former
from quorate.spec.restoring import Restoration
from quorate.spec.secrets import ETCD_TOKEN
from quorate.spec.supply import Supply
from quorate.state import record
from quorate.state.record import Record
from quorate.state.store import Store


def fingerprint(content: bytes) -> str:
    """By which a file is known again."""
    return hashlib.sha256(content).hexdigest()[:16]


class Past:
    """The past of one cluster, as far as its state folder knows. Reading it raises SpecError for a damaged file."""

    def __init__(self, store: Store, file: Path, now: Cluster) -> None:
        self._store, self._file, self._now = store, file, now
        self._last = store.path / "last-applied.yaml"
        self._begun = store.path / "begun"
        self._behind, self._kept = store.path / "behind", store.path / "former"
        self._machines = store.path / "machines.json"
        self._releases = store.path / "releases.json"
        self._destroying = store.path / "destroying"
        self._out = store.path / "without"

    @cached_property
    def established(self) -> Cluster | None:
        """The cluster of the last whole apply; None before the first."""
        return self._load(self._last) if self._store.read(self._last) is not None else None

    @cached_property
    def former(self) -> tuple[Cluster, ...]:
        """Every cluster that hosts may have something of, oldest first."""
        begun = sorted(self._begun.glob("*.yaml"), key=lambda path: path.stat().st_mtime_ns)
        return (*([self.established] if self.established else []), *(self._load(path) for path in begun))

    @cached_property
    def behind(self) -> Mapping[str, tuple[Cluster, ...]]:
        """The clusters that hosts may have something of which were away when an apply came to its end, by host."""
        return {
            path.name: tuple(self._load(self._kept / f"{digest}.yaml") for digest in self._digests(path.name))
            for path in sorted(self._behind.glob("*"))
        }

    def _digests(self, host: str) -> list[str]:
        return (self._store.read(self._behind / host) or b"").decode("ascii", errors="replace").split()

    def _load(self, path: Path) -> Cluster:
        # Most often nothing has changed since, and reading YAML takes its time.
        if self._store.read(path) == self._file.read_bytes():
            return self._now
        return load_former(path, self._file.absolute().parent)

    def machines(self) -> Mapping[str, str]:
        """The machine-id by host. Raises QuorateError for a damaged file."""
        path = self._machines
        text = self._store.read(path)
        try:
            known = json.loads(text) if text is not None else {}
            return {str(host): str(id) for host, id in known.items()}
        except (ValueError, AttributeError, RecursionError):
            raise QuorateError(
                f"{path}: is damaged", "remove it: the next apply notes the machines as it finds them"
            ) from None

    def releases(self) -> Mapping[str, str]:
        """The version of each part as last applied; nothing where no apply noted it. Raises QuorateError."""
        text = self._store.read(self._releases)
        try:
            known = json.loads(text) if text is not None else {}
            return {str(part): str(release["version"]) for part, release in known.items()}
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            raise QuorateError(
                f"{self._releases}: is damaged",
                "put it back from a backup (`quorate adopt` in another folder), or remove it if the versions that the "
                "file asks for are those that run",
            ) from None

    @property
    def out(self) -> frozenset[str]:
        """Hosts of the file that are left out of the cluster since they were dead, until they answer again."""
        named = (self._store.read(self._out) or b"").decode("ascii", errors="replace").split()
        return frozenset(named) & {host.name for host in self._now.hosts}

    @property
    def there(self) -> Cluster:
        """The file's cluster less those that are left out."""
        return cluster_without(self._now, self.out)

    @property
    def text(self) -> str:
        """The file less those that are left out: what an apply of it would make of the hosts."""
        return text_without(self._file.read_text(encoding="utf-8"), self.out)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every virtual IP, address or name by which clients were ever told to find the API, oldest first."""
        path = self._store.path / "endpoints"
        try:
            return tuple((self._store.read(path) or b"").decode("ascii").split())
        except UnicodeDecodeError:
            fix = "put it back from a backup, or write the endpoint's addresses into it, one a line"
            raise QuorateError(f"{path}: is damaged", fix) from None

    @property
    def record(self) -> Record | None:
        """The operation that has begun and not ended; see `record.read`."""
        return record.read(self._store)

    def begin(
        self,
        text: str,
        machines: Mapping[str, str],
        stages: tuple[str, ...] = (),
        supply: Supply | None = None,
        *,
        kind: str = change.NAME,
        out: Collection[str] = (),
        restoring: Restoration | None = None,
    ) -> None:
        """Note that an apply of a file begins, its endpoint, and the machines that are met for the first time.

        `stages` are those that have something to do; with none, no operation begins. `out` are the hosts that are left
        out, and that the text does not name. A restore is noted with the token of its etcd.
        """
        if frozenset(out) != self.out:
            self._store.write(self._out, "".join(f"{host}\n" for host in sorted(out)).encode())
        given, known = self._now.endpoint, self.endpoints
        fronts = [str(each) for each in (given.vip or given.address, given.name) if each]
        if not set(fronts) <= set(known):
            lines = "".join(f"{each}\n" for each in dict.fromkeys((*known, *fronts)))
            self._store.write(self._store.path / "endpoints", lines.encode())
        goal = fingerprint(text.encode())
        if self._store.read(self._last) != text.encode():
            self._store.write(self._begun / f"{goal}.yaml", text.encode())
        self._note({**machines, **self.machines()})
        under_way = self.record
        if restoring is not None:
            token = self._store.path / "random" / ETCD_TOKEN
            if self._store.read(token) != restoring.id.encode():
                self._store.write(token, restoring.id.encode())
            goes_on = under_way is not None and under_way.id == restoring.id
        else:
            goes_on = under_way is not None and under_way.goal == goal
        if stages and goes_on and restoring is not None and under_way is not None:
            record.write(self._store, replace(under_way, restoring=restoring.noted()))
        elif stages and not goes_on:
            was = self._store.read(self._last)
            before = fingerprint(was) if was is not None else ""
            to = _releases(supply or Supply())
            record.write(self._store, record.begun(kind, before, goal, stages, to, restoring))

    def reach(self, stage: str) -> None:
        """Note that a stage of the operation begins."""
        if known := self.record:
            record.write(self._store, known.at(stage))

    def finish(
        self,
        text: str,
        machines: Mapping[str, str],
        supply: Supply,
        *,
        left: Collection[str] = (),
        away: Collection[str] = (),
    ) -> None:
        """Note that everything was done: only this file counts from now on, these machines, and what was supplied.

        The keys of hosts that `left` are laid aside: who gets such a machine must not come back with them. For hosts
        that were `away`, and only for them, the files before count on: what they have of them goes when they return.
        """
        self._leave_behind(text.encode(), set(machines), away)
        self._store.write(self._last, text.encode())
        self._store.retire(left)
        for path in self._begun.glob("*.yaml"):
            path.unlink()
        record.end(self._store.path)
        known = self.machines()
        self._note({**{host: known[host] for host in away if host in known}, **machines})
        content = (json.dumps(_releases(supply), indent=2) + "\n").encode()
        if supply.versions and content != self._store.read(self._releases):
            self._store.write(self._releases, content)

    def _leave_behind(self, text: bytes, here: Collection[str], away: Collection[str]) -> None:
        """Keep the files of before for hosts that are away, and forget those that were kept for who is here."""
        olds = {}
        for path in (self._last, *sorted(self._begun.glob("*.yaml"), key=lambda path: path.stat().st_mtime_ns)):
            content = self._store.read(path)
            if content is not None and content != text:
                olds[fingerprint(content)] = content
        kept = {host: dict.fromkeys((*self._digests(host), *olds)) for host in away}
        for host, digests in kept.items():
            for digest in digests.keys() & olds.keys():
                self._store.write(self._kept / f"{digest}.yaml", olds[digest])
            if digests:
                self._store.write(self._behind / host, "".join(f"{each}\n" for each in digests).encode())
        for path in self._behind.glob("*"):
            if path.name in here or path.name not in kept:
                path.unlink()
        used = {f"{digest}.yaml" for digests in kept.values() for digest in digests}
        for path in self._kept.glob("*.yaml"):
            if path.name not in used:
                path.unlink()

    @property
    def destroying(self) -> bool:
        """Whether a destroy has begun and not ended: hosts may have anything."""
        return self._store.read(self._destroying) is not None

    def leave(self) -> None:
        """Note that the cluster is being taken away."""
        self._store.write(self._destroying, b"")

    def forget(self) -> None:
        """Note that no host has anything of it any more: an apply builds a new cluster, with the keys of this one."""
        folders = (self._begun.glob("*.yaml"), self._behind.glob("*"), self._kept.glob("*.yaml"))
        record.end(self._store.path)
        files = (self._last, self._machines, self._releases, self._destroying, self._out)
        for path in (*files, *(path for folder in folders for path in folder)):
            path.unlink(missing_ok=True)

    def _note(self, machines: Mapping[str, str]) -> None:
        if dict(machines) != self.machines():
            text = json.dumps(dict(sorted(machines.items())), indent=2) + "\n"
            self._store.write(self._machines, text.encode())


def _releases(supply: Supply) -> dict[str, dict[str, object]]:
    """Version of each part, and the digests of its programs."""
    return {
        part: {
            "version": version,
            "sha256": {
                name: supply.binaries[name].sha256
                for name in sorted(supply.parts.get(part, ()))
                if name in supply.binaries
            },
        }
        for part, version in sorted(supply.versions.items())
    }
