"""What a backup says of itself, in clear and without secrets: `manifest.json`, the first of its members."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from quorate.core import QuorateError

FORMAT = 1
FIX = "take another backup: `quorate backup list` shows them"


@dataclass(frozen=True)
class EtcdMember:
    """A member of etcd when the backup was taken."""

    name: str
    id: int
    peer_urls: tuple[str, ...]


@dataclass(frozen=True)
class EtcdData:
    """The snapshot, and the etcd that it comes from."""

    version: str
    cluster_version: str
    storage_version: str
    """Empty before etcd 3.6, which brought it."""
    cluster_id: int
    members: tuple[EtcdMember, ...]
    """None where there was no quorum that would have told."""
    revision: int
    compact_revision: int
    hash: int
    """etcd's hash of all keys and values at that revision; equal for the same `compact_revision` alone."""
    keys: Mapping[str, int]
    """How many keys begin with each prefix, such as `/registry/pods`."""
    size: int
    """Bytes of the snapshot."""
    sha256: str
    """Of the snapshot as it was taken, before it was sealed."""


@dataclass(frozen=True)
class StateMark:
    """Which copy of the state folder is in it."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class ProvedMark:
    """What was proved before it was sealed."""

    level: int
    at: str


@dataclass(frozen=True)
class Manifest:
    """A backup: whose, when, from where, and what is in it."""

    cluster: str
    taken_at: str
    """When the snapshot was taken, UTC, as `2026-01-31T02:30:00Z`."""
    host: str
    """Whose member of etcd was asked."""
    degraded: str
    """What was not well with etcd then; empty when nothing was."""
    etcd: EtcdData
    kubernetes: str
    versions: Mapping[str, str]
    """Version of each part of the cluster."""
    binaries: Mapping[str, str]
    """SHA-256 of the programs on that host."""
    encryption_keys: tuple[str, ...]
    """Names of the keys with which Secrets lie in etcd."""
    ca: Mapping[str, str]
    """SHA-256 fingerprint of each authority's certificate."""
    state: StateMark
    not_in_it: tuple[str, ...]
    """What the cluster has and the backup has not."""
    proved: ProvedMark | None = None
    format: int = field(default=FORMAT, kw_only=True)

    @property
    def time(self) -> datetime:
        """When it was taken."""
        return datetime.fromisoformat(self.taken_at.replace("Z", "+00:00")).astimezone(UTC)

    def to_json(self) -> bytes:
        """As it lies in the set."""
        told = asdict(self)
        return (json.dumps({"format": told.pop("format"), **told}, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, what: str) -> "Manifest":
        """Read one. Raises QuorateError that names `what` and the field that is wrong."""
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            raise QuorateError(f"{what}: manifest.json is no JSON", FIX) from None
        top = Fields(told, what, "manifest.json")
        if (number := top.number("format")) != FORMAT:
            raise QuorateError(f"{what}: manifest.json has format {number}, not {FORMAT}", "use a newer quorate")
        return cls(
            cluster=top.text("cluster"),
            taken_at=top.time("taken_at"),
            host=top.text("host"),
            degraded=top.text("degraded"),
            etcd=_etcd(top.inner("etcd")),
            kubernetes=top.text("kubernetes"),
            versions=top.texts("versions"),
            binaries=top.texts("binaries"),
            encryption_keys=top.lines("encryption_keys"),
            ca=top.texts("ca"),
            state=_state(top.inner("state")),
            not_in_it=top.lines("not_in_it"),
            proved=None if top.told.get("proved") is None else _proved(top.inner("proved")),
        )


def _etcd(part: "Fields") -> EtcdData:
    return EtcdData(
        version=part.text("version"),
        cluster_version=part.text("cluster_version"),
        storage_version=part.text("storage_version"),
        cluster_id=part.number("cluster_id"),
        members=tuple(
            EtcdMember(each.text("name"), each.number("id"), each.lines("peer_urls"))
            for each in part.several("members")
        ),
        revision=part.number("revision"),
        compact_revision=part.number("compact_revision"),
        hash=part.number("hash"),
        keys=part.numbers("keys"),
        size=part.number("size"),
        sha256=part.text("sha256"),
    )


def _state(part: "Fields") -> StateMark:
    return StateMark(part.number("sequence"), part.text("digest"))


def _proved(part: "Fields") -> ProvedMark:
    return ProvedMark(part.number("level"), part.time("at"))


class Fields:
    """An object of JSON whose fields are asked for by type; what is wrong is told with its name."""

    def __init__(self, told: object, what: str, where: str) -> None:
        self._what, self._where = what, where
        if not isinstance(told, dict):
            raise self._wrong(where, "an object")
        self.told: dict[str, Any] = told

    def text(self, name: str) -> str:
        """A text of one line."""
        found: str = self._of(name, "a text of one line", lambda value: isinstance(value, str) and value.isprintable())
        return found

    def time(self, name: str) -> str:
        """A time in ISO 8601 with its zone."""
        found: str = self._of(name, "a time such as 2026-01-31T02:30:00Z", _is_time)
        return found

    def number(self, name: str) -> int:
        """A whole number, not negative."""
        found: int = self._of(name, "a whole number", _is_number)
        return found

    def inner(self, name: str) -> "Fields":
        """An object in it."""
        return Fields(self.told.get(name), self._what, f"{self._where}: {name}")

    def several(self, name: str) -> tuple["Fields", ...]:
        """A list of objects."""
        found: list[object] = self._of(name, "a list", lambda value: isinstance(value, list))
        return tuple(Fields(each, self._what, f"{self._where}: {name}[{n}]") for n, each in enumerate(found))

    def lines(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._of(name, "a list of texts", lambda value: isinstance(value, list) and _are(value, str)))

    def texts(self, name: str) -> dict[str, str]:
        """Texts by name."""
        found: dict[str, str] = self._of(
            name, "texts by name", lambda value: isinstance(value, dict) and _are(value.values(), str)
        )
        return found

    def numbers(self, name: str) -> dict[str, int]:
        """Numbers by name."""
        found: dict[str, int] = self._of(
            name, "numbers by name", lambda v: isinstance(v, dict) and all(map(_is_number, v.values()))
        )
        return found

    def _of(self, name: str, wanted: str, fits: Callable[[Any], bool]) -> Any:
        value = self.told.get(name)
        if not fits(value):
            raise self._wrong(f"{self._where}: {name}", wanted)
        return value

    def _wrong(self, field: str, wanted: str) -> QuorateError:
        return QuorateError(f"{self._what}: {field} is not {wanted}", FIX)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are(values: Any, kind: type) -> bool:
    return all(isinstance(each, kind) for each in values)


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        return False
