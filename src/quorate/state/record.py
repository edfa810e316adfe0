"""The record of an operation that has begun and not ended: what every verb must know of it.

```
operation.json    format, kind, id, began, from, to, stages, stage, releases, restoring
```

It never holds the hosts: stages are computed anew from today's file, so hosts may come, go and be replaced in the
middle. It lies in the state folder, and so in its sealed copies on the etcd hosts. How far an operation came is told by
the hosts; the `stage` here is only the last one that began.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from quorate.core import PlanError, QuorateError
from quorate.operation import OPERATIONS, restore
from quorate.spec.restoring import Restoration
from quorate.state.store import Store

FORMAT = 2
"""1 had versions alone as releases; it is read, and written anew as 2."""
NAME = "operation.json"


Releases = Mapping[str, Mapping[str, object]]
"""By part: `version`, and `sha256` of its programs by name."""


@dataclass(frozen=True)
class Record:
    """One operation."""

    kind: str
    id: str
    began: str
    """UTC, to the second."""
    was: str
    """Digest of the file of the last whole apply; empty in a first build."""
    goal: str
    """Digest of the file that it leads to."""
    stages: tuple[str, ...]
    """As they were shown when it began."""
    stage: str = ""
    """The last one that began."""
    releases: Releases = field(default_factory=dict)
    """What it leads to of each part."""
    restoring: Restoration | None = None
    """What a restore restores; the snapshot itself is not kept."""

    def at(self, stage: str) -> "Record":
        """The same, a stage later."""
        return replace(self, stage=stage)

    def told(self, file: str) -> str:
        """What a reader should know before all else; `file` is the digest of today's."""
        stages = f" at stage {self.stage} of {', '.join(self.stages)}" if len(self.stages) > 1 and self.stage else ""
        other = "" if file == self.goal else "; the file is another one since"
        if file == self.was:
            other = "; the file is again the one of before, and leads back"
        verb = "apply" if self.restoring is None else f"restore {self.restoring.source}"
        return f"a {self.kind} began at {self.began} and has not ended{stages}{other}: `quorate {verb}` goes on with it"


def begun(
    kind: str, was: str, goal: str, stages: tuple[str, ...], releases: Releases, restoring: Restoration | None = None
) -> Record:
    """The record of an operation that begins now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if restoring is None:
        return Record(kind, secrets.token_hex(4), now, was, goal, stages, releases=dict(releases))
    kept = restoring.noted()
    return Record(restore.NAME, restoring.id, now, was, goal, stages, releases=dict(releases), restoring=kept)


def read(store: Store) -> Record | None:
    """The operation that has not ended.

    Raises PlanError for one of a newer quorate, which this one can't go on with, QuorateError for a damaged file.
    """
    path = store.path / NAME
    text = store.read(path)
    if text is None:
        return None
    try:
        told = dict(json.loads(text))
        if told["format"] not in (1, FORMAT) or told["kind"] not in OPERATIONS:
            raise PlanError(
                f"{path}: a newer quorate has begun an operation `{told['kind']}` and not ended it",
                "go on with that quorate",
            )
        old = told.pop("format") == 1
        known = {str(part): {"version": each} if old else each for part, each in told.pop("releases").items()}
        releases = {
            part: {"version": str(each["version"]), "sha256": dict(each.get("sha256", {}))}
            for part, each in known.items()
        }
        stages = tuple(map(str, told.pop("stages")))
        restored = told.pop("restoring", None)
        restoring = Restoration(**{**restored, "nodes": tuple(restored["nodes"])}) if restored else None
        words = {name: str(value) for name, value in told.items()}
        return Record(**words, stages=stages, releases=releases, restoring=restoring)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise QuorateError(
            f"{path}: is damaged", "remove it: `quorate plan` shows what of the operation is still to be done"
        ) from None


def write(store: Store, record: Record) -> None:
    """Keep it. Raises QuorateError when it can't be written."""
    content = json.dumps({"format": FORMAT, **asdict(record)}, indent=2) + "\n"
    if store.read(store.path / NAME) != content.encode():
        store.write(store.path / NAME, content.encode())


def end(path: Path) -> None:
    """The operation has come to its end; `path` is the state folder."""
    (path / NAME).unlink(missing_ok=True)
