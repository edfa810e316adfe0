"""The names of all objects in a backup or in etcd, by kind: what comes back and what vanishes is told from them.

They lie in the set, sealed, for names may be secrets of their own. To read them from the snapshot instead would need
etcd's programs and a throw-away of it on the machine of whoever restores; the host that proves a snapshot has just
listed all keys anyway.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from quorate.backup import volumes
from quorate.core import QuorateError
from quorate.render import throwaway

CALLED = {
    "minions": "nodes",
    "controllers": "replicationcontrollers",
    "ingress": "ingresses",
    "services/specs": "services",
    "services/endpoints": "endpoints",
}
"""Kinds whose place in etcd has another name than their resource."""
PASSING = frozenset(("events", "leases", "masterleases", "peerserverleases"))
"""Kinds that nobody misses: they are written anew all the time."""
PODS = "pods"


@dataclass(frozen=True)
class Names:
    """Names by kind: `namespace/name`, or the name alone where there is no namespace."""

    kinds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    """What each persistent volume is; empty where that is not known."""

    @property
    def told_volumes(self) -> tuple[str, ...]:
        """Persistent volumes, each with what it is: `pv1 (nfs 10.0.0.9:/srv, of shop/data)`."""
        return tuple(f"{name} ({what})" if what else name for name, what in self.volumes.items())

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Names":
        """From keys of etcd, and lines `volume KEY VALUE` with both in base64. Raises ValueError for one that is
        neither.
        """
        kinds: dict[str, set[str]] = {}
        known: dict[str, str] = {}
        for line in lines:
            if line.startswith("volume "):
                _, key, value = line.split(" ")
                name, what = volumes.decoded(key, value)
                known[name] = what
            else:
                kind, name = split(line)
                kinds.setdefault(kind, set()).add(name)
        every = {name: known.get(name, "") for name in sorted(kinds.get("persistentvolumes", ()))}
        return cls({kind: frozenset(names) for kind, names in kinds.items()}, every)

    @classmethod
    def read(cls, packed: bytes, what: str) -> "Names":
        """From a packed list. Raises QuorateError that names `what`."""
        try:
            if not packed:
                raise EOFError
            return cls.of(gzip.decompress(packed).decode().splitlines())
        except (OSError, EOFError, zlib.error, ValueError):
            raise QuorateError(f"{what}: is no list of names", "take another backup") from None


def split(key: str) -> tuple[str, str]:
    """Kind and name of the object of a key. Raises ValueError for a key that is none of Kubernetes'."""
    first, _, rest = key.removeprefix(throwaway.OBJECTS).partition("/")
    if not key.startswith(throwaway.OBJECTS):
        raise ValueError(f"{key!a} is no key of an object")
    second, _, name = rest.partition("/")
    if (both := f"{first}/{second}") in CALLED:
        return CALLED[both], name
    if "." in first and name:
        return f"{second}.{first}", name
    return CALLED.get(first, first), rest


@dataclass(frozen=True)
class Difference:
    """A kind of which some are only in one of two."""

    kind: str
    back: tuple[str, ...]
    """Only then: they come back."""
    gone: tuple[str, ...]
    """Only now: they vanish."""


def compared(then: Names, now: Names) -> Iterator[Difference]:
    """Where the two differ, kinds with the most first."""
    found = []
    for kind in {*then.kinds, *now.kinds} - PASSING:
        was, is_now = then.kinds.get(kind, frozenset()), now.kinds.get(kind, frozenset())
        if was != is_now:
            found.append(Difference(kind, tuple(sorted(was - is_now)), tuple(sorted(is_now - was))))
    yield from sorted(found, key=lambda each: (-len(each.back) - len(each.gone), each.kind))
