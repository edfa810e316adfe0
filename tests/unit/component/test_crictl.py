"""crictl on workers: there where the source brings it, and told where containerd listens."""

from pathlib import Path

from verify_door import cluster

from quorate.component import runtime
from quorate.component.context import Context
from quorate.core import Blob
from quorate.resource.file import Binary, File
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

NAMES = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")


def paths(*names: str) -> dict[str, str]:
    """Content by path of all files on the first worker; of a binary nothing."""
    c = Cluster.model_validate(cluster().model_dump() | {"versions": {"kubernetes": "1.37.2"}})
    supply = Supply(binaries={name: Blob(Path("/nonexistent"), name, 0) for name in (*NAMES, *names)})
    context = Context(c, Facts(), supply, Secrets({}, {}), table("1.37.2"))
    resources = list(runtime.resources(context, c.workers[0]))
    return {
        resource.path: getattr(resource, "content", "") for resource in resources if isinstance(resource, Binary | File)
    }


def test_with_its_configuration() -> None:
    found = paths("crictl")
    assert "/opt/kubernetes/bin/crictl" in found
    assert "unix:///run/containerd/containerd.sock" in found["/etc/crictl.yaml"]


def test_not_where_nobody_brings_it() -> None:
    assert not [path for path in paths() if "crictl" in path]
