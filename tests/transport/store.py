"""A real store that speaks S3: SeaweedFS, on loopback, plain and by TLS."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from programs import HOME
from servers import free_port
from waiting import within

ID, SECRET = "KEY1", "a/secret+with=signs"
BUCKET = "backups"
IDENTITIES = f"""{{"identities": [{{"name": "x", "credentials": [{{"accessKey": "{ID}", "secretKey": "{SECRET}"}}],
  "actions": ["Admin", "Read", "Write", "List"]}}]}}"""


@dataclass(frozen=True)
class Store:
    """Where it answers."""

    plain: str
    tls: str
    ca: Path


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """The server, with a bucket."""
    (folder / "identities.json").write_text(IDENTITIES)
    (folder / "data").mkdir()
    _certificates(folder)
    names = ("master.port", "volume.port", "filer.port", "s3.port", "s3.port.https")
    ports = {name: free_port() for name in names}
    given: dict[str, object] = {
        **ports,
        **{f"{name.partition('.')[0]}.port.grpc": free_port() for name in names[:4]},
        "ip": "127.0.0.1",
        "dir": folder / "data",
        "s3.config": folder / "identities.json",
        "s3.cert.file": folder / "store.crt",
        "s3.key.file": folder / "store.key",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "volume.max": 100,
        "volume.preStopSeconds": 0,
        "master.volumeSizeLimitMB": 64,
    }
    argv = [str(HOME / "seaweedfs/weed"), "server", "-s3", *(f"-{name}={value}" for name, value in given.items())]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder)
    store = Store(
        f"http://127.0.0.1:{ports['s3.port']}", f"https://127.0.0.1:{ports['s3.port.https']}", folder / "ca.crt"
    )
    try:
        assert within(60, lambda: _answers(store.plain)), (folder / "log").read_text()[-2000:]
        yield store
    finally:
        process.terminate()
        process.wait()


def _certificates(folder: Path) -> None:
    """An authority of the site's own, and what it signed."""
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    script = f"""
    {new} -x509 -days 2 -subj /CN=site -keyout ca.key -out ca.crt
    {new} -subj /CN=store -keyout store.key -out store.csr
    printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >store.ext
    openssl x509 -req -days 2 -in store.csr -out store.crt -extfile store.ext -CA ca.crt -CAkey ca.key -CAcreateserial
    """
    subprocess.run(["/bin/sh", "-ec", script], cwd=folder, check=True, capture_output=True)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 403
    except httpx2.HTTPError:
        return False
