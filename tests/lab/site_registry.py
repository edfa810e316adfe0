"""A registry of the site's own beside a lab's hosts: who is told of it, and pods that want its images."""

import base64
import contextlib
import gzip
import json
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import own_registry
from deployed import Deployed
from own_registry import Registry

from quorate.artifact import oci


def image(packed: Path, folder: Path) -> Path:
    """The archive of an image with a layer that no host has, on top of another's (gzipped, as a supply has it)."""
    base, path = folder / "base.tar", folder / "image.tar"
    base.write_bytes(gzip.decompress(packed.read_bytes()))
    with tarfile.open(base) as tar:
        platform = json.loads(_read(tar, "index.json"))["manifests"][0]["platform"]
    own = [oci.Item("hello", secrets.token_bytes(100_000))]
    layers = [*oci.layers_of(base), own]
    oci.write(
        oci.Image(platform["architecture"], layers, command=["/pause"]), [f"{own_registry.MIRRORED}/hello:1"], path
    )
    return path


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


@contextlib.contextmanager
def told(deployed: Deployed, registry: Registry) -> Iterator[None]:
    """A cluster file that names the registry as a mirror and by itself; as it was after the block."""
    text = deployed.file.read_text()
    deployed.file.write_text(own_registry.told(text, registry))
    try:
        yield
    finally:
        deployed.file.write_text(text)


def pods(deployed: Deployed, name: str, *images: str) -> str:
    """A pod on every worker with a container of each image, which is asked for anew; all as text for kubectl."""
    containers = [
        {"name": f"c{number}", "image": each, "imagePullPolicy": "Always"} for number, each in enumerate(images)
    ]
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "containers": containers}
    return "\n".join(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-{host.node}", "labels": {"app": name}},
                "spec": {"nodeName": host.node, **spec},
            }
        )
        for host in deployed.cluster.workers
    )


def forms(registry: Registry) -> tuple[bytes, ...]:
    """How its login would be found where it should not be."""
    password = registry.login.partition(":")[2].encode()
    return password, base64.b64encode(registry.login.encode()), password.hex().encode()
