"""A small upstream and a folder of binaries, to be spoiled."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_upstream import VERSIONS, Upstream, elf, resum

from quorate.artifact import fetch
from quorate.artifact.binary import REQUIRED
from quorate.spec.cluster import Cluster


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A whole upstream of `VERSIONS`, without waits between attempts."""
    monkeypatch.setattr(fetch.Fetcher.__init__, "__kwdefaults__", {"waits": (0.0, 0.0, 0.0), "connect": 2.0})
    site = Upstream()
    site.fill(VERSIONS)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                site.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def cluster(upstream: Upstream) -> Callable[..., Cluster]:
    """A cluster whose mirrors are the small upstream; arguments are fields of `artifacts`."""

    def make(runtime: str = "containerd", versions: dict[str, str] = VERSIONS, **artifacts: object) -> Cluster:
        parts = (*VERSIONS, "docker")
        given = {"source": "release", "mirrors": dict.fromkeys(parts, upstream.url), **artifacts}
        return Cluster.model_validate(
            {
                "name": "test",
                "versions": versions,
                "hosts": [{"name": "a", "address": "10.0.0.1", "roles": ["worker"]}],
                "runtime": {"kind": runtime},
                "artifacts": given,
            }
        )

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the source `directory`, complete."""
    folder = tmp_path / "carried"
    folder.mkdir()
    for part, names in REQUIRED.items():
        for name in names if part != "docker" else ():
            (folder / name).write_bytes(elf(name))
    resum(folder)
    return folder
