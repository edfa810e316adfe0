"""What the programs of each version know: flags, feature gates, configuration fields, API versions of configuration.

Data: the JSON files beside this, each read when it is first asked for. A file has a table for each program or kind: by
version the full list of the first one, then what came or changed (+) and went (-). `origin` says where each version's
list is from, `read` which release was read where it is from the programs themselves; `make versions` writes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from quorate.spec.minor import parts


@dataclass(frozen=True)
class Table:
    """What one program or kind knows, by version (Kubernetes', etcd's or containerd's minor), the oldest first."""

    changes: Mapping[str, Any]
    read: Mapping[str, str]
    """The release that was read, by version; the others' lists are what is documented."""

    def at(self, version: str) -> dict[str, str] | None:
        """Names, with the type or stage if they have one; None for a version that the table does not have."""
        minor = _minor(version)
        if minor not in self.changes:
            return None
        now: dict[str, str] = {}
        for each, change in self.changes.items():
            came = change.get("+", {})
            now.update(came if isinstance(came, dict) else dict.fromkeys(came, ""))
            for name in change.get("-", ()):
                del now[name]
            if each == minor:
                break
        return now

    @property
    def ever(self) -> frozenset[str]:
        """Every name that some version has."""
        return frozenset(name for change in self.changes.values() for name in change.get("+", ()))

    def exact(self, version: str) -> bool:
        """Whether a version's list was read off its programs, so that what is not in it does not exist."""
        return _minor(version) in self.read

    def gone(self, name: str, version: str) -> str | None:
        """The version in which a name went for the last time, up to the given one."""
        until = parts(_minor(version))
        went = [each for each, change in self.changes.items() if name in change.get("-", ()) and parts(each) <= until]
        return went[-1] if went else None

    def comes(self, name: str, version: str) -> str | None:
        """The first version after the given one that has a name."""
        after = parts(_minor(version))
        return next(
            (each for each, change in self.changes.items() if name in change["+"] and parts(each) > after), None
        )


@cache
def table(subject: str, name: str) -> Table:
    """The table of a program or kind. `subject` is the file: `flags`, `gates`, `fields` or `apis`.

    Raises KeyError when there is no such table.
    """
    data = _file(subject)
    return Table(data[name], data["read"].get(name if name in ("etcd", "containerd") else "kubernetes", {}))


def flags(program: str) -> Table:
    """Flags of kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet (by Kubernetes' minor) or
    etcd (by its own), without dashes.
    """
    return table("flags", program)


def gates(program: str) -> Table:
    """Feature gates of `kubernetes` or `etcd`, with stage and default, such as `beta on` or `ga on locked`."""
    return table("gates", program)


def fields(kind: str) -> Table:
    """Types by `Kind.field`, of a kind and of all that it holds."""
    return table("fields", kind)


def _minor(version: str) -> str:
    return ".".join(str(part) for part in parts(version)[:2])


@cache
def _file(subject: str) -> Any:
    return json.loads(Path(__file__).with_name(f"{subject}.json").read_text(encoding="utf-8"))
