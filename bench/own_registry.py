"""A registry of the site's own: Debian's docker-registry on this machine, beside a lab's hosts.

It has a certificate of an authority that nobody knows, and lets nobody in without a login.

```
with serving(program, address, folder) as registry:
    push(registry, archive)
    file.write_text(told(file.read_text(), registry))  # workers ask it for images of registry.k8s.io
```
"""

import contextlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bcrypt
import httpx2

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
def serving(program: tuple[str, Mapping[str, str]], address: str, folder: Path) -> Iterator[Registry]:
    """The program (its path, and what it needs in its environment), on an address of this machine, for the block."""
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
    path, more = program
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


def push(registry: Registry, archive: Path) -> None:
    """Put images of ours there, as other tools do: blobs, then manifests. They go below `PROJECT` instead of their own
    registry.
    """
    there: dict[str, str] = {}
    with tarfile.open(archive) as tar, client(registry, registry.login) as api:
        for about in _json(tar, "index.json")["manifests"]:
            name = about["annotations"]["io.containerd.image.name"]
            path, _, tag = name.partition("/")[2].rpartition(":")
            repository, manifest = f"{PROJECT}/{path}", _blob(tar, about["digest"])
            told = json.loads(manifest)
            for each in (told["config"], *told["layers"]):
                _put(api, repository, each["digest"], tar, there)
            kind = {"content-type": about["mediaType"]}
            api.put(f"{repository}/manifests/{tag}", content=manifest, headers=kind).raise_for_status()


def _put(api: httpx2.Client, repository: str, digest: str, tar: tarfile.TarFile, there: dict[str, str]) -> None:
    """Put a blob; one that another repository has (by digest in `there`) is linked."""
    known = {"mount": digest, "from": there[digest]} if digest in there else {}
    answer = api.post(f"{repository}/blobs/uploads/", params=known).raise_for_status()
    if answer.status_code != 201:
        whole = httpx2.URL(answer.headers["location"]).copy_merge_params({"digest": digest})
        kind = {"content-type": "application/octet-stream"}
        api.put(whole, content=_blob(tar, digest), headers=kind).raise_for_status()
    there[digest] = repository


def _blob(tar: tarfile.TarFile, digest: str) -> bytes:
    file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
    assert file is not None
    return file.read()


def _json(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(name)
    assert file is not None
    found: dict[str, Any] = json.load(file)
    return found


def fields(registry: Registry) -> dict[str, object]:
    """What the section `runtime` of a cluster file says of it: a mirror, and by itself."""
    return {
        "registry_mirrors": {MIRRORED: [f"https://{registry.server}/v2/{PROJECT}"]},
        "registry_access": {
            registry.server: {"ca_file": str(registry.authority), "login_file": str(registry.login_file)}
        },
    }


def told(text: str, registry: Registry) -> str:
    """A cluster file's text with that in it."""
    more = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in fields(registry).items())
    return text.replace("\nruntime:\n", f"\nruntime:\n{more}")
