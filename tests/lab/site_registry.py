"""A registry of the site's own: Debian's docker-registry on this machine, beside a lab's hosts.

It has a certificate of an authority that nobody knows, and lets nobody in without a login.

```
with serving(address, folder) as registry:
    push(registry, archive, "project/hello", "1")
    with told(deployed, registry):
        ...  # workers ask it for images of registry.k8s.io
```
"""

import base64
import contextlib
import gzip
import json
import os
import secrets
import socket
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import httpx2
import programs
from deployed import Deployed

from quorate.artifact import oci
from quorate.pki.issue import issue_ca, issue_leaf, new_key
from quorate.pki.profiles import Wanted

PROJECT = "project"
"""The folder of the registry that stands in for another registry."""
MIRRORED = "registry.k8s.io"


@dataclass(frozen=True)
class Registry:
    """One that serves."""

    folder: Path
    server: str
    """Address and port."""
    login: str
    """`USER:PASSWORD`."""

    @property
    def authority(self) -> Path:
        """The PEM of who signed its certificate."""
        return self.folder / "ca.pem"

    @property
    def login_file(self) -> Path:
        """What the cluster file names."""
        return self.folder / "login"

    def write_login(self, login: str) -> None:
        """Write the file, readable for its owner alone."""
        self.login_file.touch(mode=0o600)
        self.login_file.write_text(f"{login}\n")

    def asked(self, words: str) -> list[str]:
        """What it was asked, by lines of its log that hold the words."""
        return [line for line in (self.folder / "log").read_text().splitlines() if words in line]


@contextlib.contextmanager
def serving(address: str, folder: Path) -> Iterator[Registry]:
    """The program, listening on an address of this machine while the block runs."""
    with socket.socket() as free:
        free.bind((address, 0))
        server = f"{address}:{free.getsockname()[1]}"
    registry = Registry(folder, server, f"robot$pull:{secrets.token_hex(12)}")
    registry.write_login(registry.login)
    _certificates(registry, address)
    user, _, password = registry.login.partition(":")
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{user}:{hashed}\n")
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": server, "tls": {"certificate": str(folder / "crt"), "key": str(folder / "key")}},
        "auth": {"htpasswd": {"realm": "site", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))  # which is YAML
    path, more = programs.find("docker-registry")
    with (folder / "log").open("wb") as log:
        argv = [path, "serve", str(folder / "config.yml")]
        process = subprocess.Popen(argv, env={**os.environ, **more}, stdout=log, stderr=log)
    try:
        _answers(registry)
        yield registry
    finally:
        process.terminate()
        process.wait()


def _certificates(registry: Registry, address: str) -> None:
    now = datetime.now(UTC)
    ca_key, key = new_key("ecdsa-p256"), new_key("ecdsa-p256")
    ca = issue_ca("site", "site", ca_key, now=now, days=2, serial=1)
    wanted = Wanted("registry", None, "ca", "registry", server=True, sans=(address,))
    registry.authority.write_bytes(ca)
    (registry.folder / "crt").write_bytes(issue_leaf(wanted, key, ca, ca_key, now=now, days=2, serial=2))
    (registry.folder / "key").write_bytes(key)


def client(registry: Registry, login: str = "") -> httpx2.Client:
    """For its HTTP API; with a login, or as nobody."""
    user, _, password = login.partition(":")
    verify = ssl.create_default_context(cafile=str(registry.authority))
    return httpx2.Client(
        base_url=f"https://{registry.server}/v2/", verify=verify, auth=(user, password) if login else None
    )


def _answers(registry: Registry) -> None:
    """Wait until it answers, and lets in who has the login, and nobody else."""
    end = time.monotonic() + 10
    with client(registry, registry.login) as known, client(registry) as nobody:
        while True:
            with contextlib.suppress(httpx2.ConnectError):
                assert known.get("").status_code == 200
                assert nobody.get("").status_code == 401
                return
            assert time.monotonic() < end, (registry.folder / "log").read_text()
            time.sleep(0.1)


def image(packed: Path, folder: Path) -> Path:
    """The archive of an image with a layer that no host has, on top of another's (gzipped, as a supply has it)."""
    base, path = folder / "base.tar", folder / "image.tar"
    base.write_bytes(gzip.decompress(packed.read_bytes()))
    with tarfile.open(base) as tar:
        platform = _json(tar, "index.json")["manifests"][0]["platform"]
    own = [oci.Item("hello", secrets.token_bytes(100_000))]
    layers = [*oci.layers_of(base), own]
    oci.write(oci.Image(platform["architecture"], layers, command=["/pause"]), ["quorate.local/hello:1"], path)
    return path


def push(registry: Registry, archive: Path, repository: str, tag: str) -> None:
    """Put an image of ours there, as other tools do: its blobs, then its manifest."""
    with tarfile.open(archive) as tar, client(registry, registry.login) as api:
        about = _json(tar, "index.json")["manifests"][0]
        manifest = _blob(tar, about["digest"])
        told = json.loads(manifest)
        for each in (told["config"], *told["layers"]):
            place = api.post(f"{repository}/blobs/uploads/").raise_for_status().headers["location"]
            content, kind = _blob(tar, each["digest"]), {"content-type": "application/octet-stream"}
            whole = httpx2.URL(place).copy_merge_params({"digest": each["digest"]})
            api.put(whole, content=content, headers=kind).raise_for_status()
        kind = {"content-type": about["mediaType"]}
        api.put(f"{repository}/manifests/{tag}", content=manifest, headers=kind).raise_for_status()


def _blob(tar: tarfile.TarFile, digest: str) -> bytes:
    file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
    assert file is not None
    return file.read()


def _json(tar: tarfile.TarFile, name: str) -> dict[str, object]:
    file = tar.extractfile(name)
    assert file is not None
    found: dict[str, object] = json.load(file)
    return found


@contextlib.contextmanager
def told(deployed: Deployed, registry: Registry) -> Iterator[None]:
    """A cluster file that names the registry as a mirror and by itself; as it was after the block."""
    fields = {
        "registry_mirrors": {MIRRORED: [f"https://{registry.server}/v2/{PROJECT}"]},
        "registry_access": {
            registry.server: {"ca_file": str(registry.authority), "login_file": str(registry.login_file)}
        },
    }
    text = deployed.file.read_text()
    more = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in fields.items())
    deployed.file.write_text(text.replace("\nruntime:\n", f"\nruntime:\n{more}"))
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
