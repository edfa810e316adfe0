"""Single objects out of a backup: read through a throw-away API server, written so that they can be created anew."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.backup import prove
from quorate.backup.archive import OpenedSet
from quorate.core import CommandFailed, UsageError, VerifyFailed
from quorate.render import throwaway, yaml
from quorate.render.sh import quote, sh
from quorate.spec.cluster import Cluster
from quorate.spec.supply import Supply
from quorate.spec.versions import restorers
from quorate.transport.local import LocalTransport

SELECTION = re.compile(
    r"(?P<namespace>([a-z0-9][a-z0-9.-]*)?):(?P<kind>[a-z][a-z0-9.-]*)(/(?P<name>[A-Za-z0-9][A-Za-z0-9:._@-]*))?"
)
OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "ownerReferences")
"""What of an object's metadata is that of the one that is gone. Owners are known by their uid: the garbage collector
would take an object away whose owner it does not find."""


@dataclass(frozen=True)
class Selection:
    """Objects of a kind: one, or all of a namespace, or all that are in none."""

    namespace: str
    kind: str
    name: str = ""

    @classmethod
    def read(cls, text: str) -> "Selection":
        """`NAMESPACE:KIND/NAME`; without a name all of the kind, without a namespace those of the cluster. Raises
        UsageError.
        """
        found = SELECTION.fullmatch(text)
        if found is None:
            raise UsageError(
                f"{text!a} names no objects", "write NAMESPACE:KIND/NAME, as shop:deployments.apps/web or :nodes"
            )
        return cls(found["namespace"], found["kind"], found["name"] or "")

    @property
    def words(self) -> tuple[str, ...]:
        """As kubectl takes it."""
        where = ("--namespace", self.namespace) if self.namespace else ()
        return (self.kind, *((self.name,) if self.name else ()), *where)


async def objects(
    found: OpenedSet,
    cluster: Cluster,
    supply: Supply,
    scratch: Path,
    wanted: Sequence[Selection],
    say: Callable[[str], None] = lambda _text: None,
) -> list[dict[str, Any]]:
    """The objects, in a private folder with room for three times the snapshot; nothing of the cluster is asked.

    Raises VerifyFailed when the backup can't be restored or has none of that name, ArtifactError when the source does
    not deliver the programs.
    """
    say("unpacking")
    await prove.lay_out(found, supply, scratch, 2)
    say("reading it through a throw-away API server")
    try:
        await LocalTransport().run("here", script(found, cluster, scratch, wanted))
    except CommandFailed as error:
        said = error.stderr.strip().splitlines()
        raise VerifyFailed(
            f"{found.whole.name}: {said[-1] if said else error}", "kinds and names are those of `kubectl get`"
        ) from None
    read = [json.loads((scratch / f"objects-{number}.json").read_text()) for number in range(len(wanted))]
    return [plain(each) for one in read for each in one.get("items", [one])]


def script(found: OpenedSet, cluster: Cluster, scratch: Path, wanted: Sequence[Selection]) -> str:
    """sh that reads them into files of the folder."""
    programs, told = str(scratch / "bin"), found.manifest
    wait = 60 + told.etcd.size // 10_000_000
    reads = "".join(
        f"q_ctl get {sh(*each.words)} -o json >objects-{number}.json 2>get.log || "
        f"q_fail {quote(' '.join(each.words))}': '\"$(tail -n 1 get.log)\"\n"
        for number, each in enumerate(wanted)
    )
    return (
        throwaway.functions(programs, restorers(told.etcd.version), cluster.etcd.quota_bytes)
        + throwaway.api_server(programs, prove.api_flags(cluster), str(cluster.network.service_cidr))
        + throwaway.moved(str(scratch), api=True)
        + f"q_serve {wait}\nq_api {wait + 120}\n{reads}"
    )


def plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what was true of the one that is gone."""
    meta = {name: value for name, value in found["metadata"].items() if name not in OWN}
    return {name: value for name, value in {**found, "metadata": meta}.items() if name != "status"}


def text(found: Iterable[Mapping[str, Any]]) -> str:
    """As a file for `kubectl create -f`."""
    return "---\n".join(yaml.dump(dict(each)) for each in found)
