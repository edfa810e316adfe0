"""Secrets of a backup are in no argument, no environment, and no file that others can read: on hosts and here."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import secret_forms
from cluster_programs import of_line
from etcd_real import member
from secret_forms import Secrets
from state_folders import SECRET, cheap
from test_backup_taken import Site, fill
from test_backup_timer import KEY, Host, members
from tracing import Started

from quorate.backup import prove
from quorate.spec.ssh import ResolvedSsh
from quorate.spec.supply import Supply
from quorate.transport.local import LocalTransport

__all__ = ["cheap", "members"]


def of_store(site: Site) -> dict[str, tuple[bytes, ...]]:
    """The secrets of a state folder, and what opens it."""
    return secret_forms.of_state(site.store.path) | {"passphrase": secret_forms.plain(SECRET.encode())}


@pytest.fixture(params=[0o022], ids=["022"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o077], ids=["022", "077"], indirect=True)
@pytest.mark.usefixtures("cheap")
def test_one_that_is_taken_and_proved_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    programs = with_stand_ins(of_line("etcd", "3.7"), tmp_path)
    with member(programs, tmp_path / "member") as etcd:
        fill(etcd)
        site = Site(etcd, home, monkeypatch)
        started, here = Started(tmp_path / "trace"), Started(tmp_path / "here")
        site.via = LocalTransport(dict.fromkeys(("m1", "m2", "m3"), started.prefix))
        taken = site.take()
    monkeypatch.setattr(prove, "_unpack", lambda *_: None)
    monkeypatch.setattr(prove, "LocalTransport", lambda: LocalTransport({"here": here.prefix}))
    with prove.private(home / "backups") as scratch:
        assert scratch.stat().st_mode & 0o077 == 0
        (scratch / "bin").symlink_to(programs)
        asyncio.run(prove.prove(site.open(taken.path), site.cluster, Supply(), scratch))
        assert here.open_to_others(home, umask) == []
        for name in ("sa.key", "encryption.yaml", "snapshot.db", "token", "kubeconfig"):
            assert (scratch / name).stat().st_mode & 0o077 == 0
        token = (scratch / "token").read_bytes().partition(b",")[0]
    known = of_store(site) | {"token": secret_forms.plain(token)}
    assert len(known) > 10
    assert {"sh", "etcd", "etcdctl", "sha256sum", "tar"} <= started.programs()
    assert {"sh", "etcd", "kube-apiserver", "kubectl"} <= here.programs()
    assert (started.told(known), here.told(known)) == ([], [])
    assert started.open_to_others(home, umask) == []
    assert not site.hosts.exists()
    mine = [home / "backups", *(home / "backups").rglob("*")]
    assert taken.path in mine
    assert [path for path in mine if path.stat().st_mode & 0o077] == []


def with_stand_ins(etcd: Path, folder: Path) -> Path:
    """A folder of programs: etcd's, and for an API server and kubectl what answers at once that a Secret is there."""
    made = folder / "bin"
    made.mkdir()
    for program in etcd.iterdir():
        (made / program.name).symlink_to(program)
    kubectl = 'case "$*" in *api-resources*) echo secrets ;; *" get secrets "*) echo secret/s ;; esac'
    for name, text in {"kube-apiserver": "exec sleep 300", "kubectl": kubectl}.items():
        (made / name).write_text(f"#!/bin/sh\n{text}\n")
        (made / name).chmod(0o755)
    return made


class Bucket(BaseHTTPRequestHandler):
    """A store that takes all, and has nothing."""

    def _answers(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET = do_DELETE = _answers

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_one_that_a_host_takes_and_brings_away(
    members: list[Host], sshd: ResolvedSsh, bucket: str, tmp_path: Path, umask: int
) -> None:
    host, login = members[0], "a/secret+with=signs"
    assert sshd.key
    assert sshd.known_hosts
    ssh = {"host": "127.0.0.1", "port": sshd.port, "path": str(tmp_path / "there")}
    s3 = {"endpoint": bucket, "bucket": "backups", "login_file": "/nowhere"}
    subprocess.run(["rm", "-rf", host.folder], check=True)
    host.prepare(places=[{"ssh": {**ssh, "key": "/nowhere", "known_hosts": "/nowhere"}}, {"s3": s3}])
    brought = {"key-0": sshd.key.read_bytes(), "known-hosts-0": sshd.known_hosts.read_bytes()}
    for name, content in {**brought, "login-1": f"KEY1:{login}\n".encode()}.items():
        (host.root / "etc" / name).touch(0o600)
        (host.root / "etc" / name).write_bytes(content)
    host.folder.chmod(0o700)
    for name in ("etc", "copy"):
        (host.root / name).chmod(0o700)
    host.ctl("del --prefix quorate/")
    host.ctl("put /registry/secrets/default/s swordfish")
    started = Started(tmp_path / "trace")
    argv = [*started.prefix, "/bin/sh", f"{host.root}/etc/scheduled"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "there").glob("*.backup"))) == 1
    known: Secrets = {
        "key of the SSH place": secret_forms.pem(brought["key-0"]),
        "login of the store": secret_forms.plain(login.encode()),
        # What requests are signed with begins so, and is as good as the login.
        "signing key": secret_forms.plain(f"AWS4{login}".encode()),
        "key of backups": secret_forms.plain(KEY.encode()),
        "Secret": secret_forms.plain(b"swordfish"),
    }
    assert {"sh", "age", "etcd", "etcdctl", "curl", "sftp", "ssh", "sha256sum"} <= started.programs()
    assert started.told(known) == []
    assert secret_forms.within((done.stdout + done.stderr).encode(), known) == []
    assert started.open_to_others(host.root, umask) == []
    assert [path for path in host.folder.iterdir() if path.stat().st_mode & 0o077] == []


def test_the_search_finds_what_is_told(tmp_path: Path) -> None:
    started = Started(tmp_path / "trace")
    (tmp_path / "open").mkdir()
    script = f"cd {tmp_path}; env WORD=swordfish true; : >open/file; mkdir -m 700 $PWD/shut; : >shut/file"
    subprocess.run([*started.prefix, "/bin/sh", "-c", script], check=True)
    assert started.told({"a": (b"swordfish",), "b": (b"other",)}) == ["a"]
    assert started.open_to_others(tmp_path, 0o022) == [f"{tmp_path}/open/file"]
