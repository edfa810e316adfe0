"""Where backups are brought to: what a host does by sh and what an operator does agree, at a real sshd and S3 store."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from store import BUCKET, ID, SECRET, Store, seaweedfs

from quorate.backup import retention
from quorate.backup.places import Place
from quorate.backup.s3_place import S3Place
from quorate.backup.ssh_place import SshPlace
from quorate.core import QuorateError
from quorate.render import backup_places
from quorate.render import retention as on_host
from quorate.spec import sections
from quorate.spec.layout import BACKUP
from quorate.spec.ssh import ResolvedSsh

LARGE = os.urandom(12 * 2**20 + 77)
"""More than one part of an upload."""
OLD = [f"prod-202001{day:02}T000000Z-0000000{day}" for day in range(1, 5)]
KEEP = sections.Keep(count=1, days=2)


@dataclass(frozen=True)
class Ends:
    """A place as a host and as an operator reach it."""

    host: Path
    """A folder with what an apply brings: the place's number is 0."""
    spec: sections.Place
    operator: Place

    def sh(self, script: str) -> "subprocess.CompletedProcess[str]":
        """A script on the host, with its functions."""
        text = backup_places.functions([self.spec]) + on_host.functions("prod", KEEP)
        whole = f"set -eu\nwork={self.host}\n{text.replace(BACKUP, str(self.host))}\n{script}"
        return subprocess.run(["/bin/sh", "-c", whole], capture_output=True, text=True, check=False)

    def says(self, script: str) -> list[str]:
        """The lines of its answer."""
        done = self.sh(script)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with seaweedfs(tmp_path_factory.mktemp("store")) as it:
        yield it


def by_sftp(folder: Path, sshd: ResolvedSsh) -> Ends:
    assert sshd.key
    assert sshd.known_hosts
    (folder / "key-0").write_bytes(sshd.key.read_bytes())
    (folder / "key-0").chmod(0o600)
    (folder / "known-hosts-0").write_bytes(sshd.known_hosts.read_bytes())
    given = {"host": "127.0.0.1", "port": sshd.port, "path": str(folder / "there")}
    where = sections.SshPlace.model_validate(
        {**given, "key": folder / "key-0", "known_hosts": folder / "known-hosts-0"}
    )
    return Ends(folder, sections.Place(ssh=where), SshPlace(where, "backup.places[0].ssh"))


def by_s3(folder: Path, endpoint: str, ca: Path | None, prefix: str, secret: str = SECRET) -> Ends:
    (folder / "login-0").write_text(f"{ID}:{secret}\n")
    (folder / "login-0").chmod(0o600)
    if ca:
        (folder / "ca-0").write_bytes(ca.read_bytes())
    given = {"endpoint": endpoint, "bucket": BUCKET, "prefix": prefix, "ca_file": ca}
    where = sections.S3Place.model_validate({**given, "login_file": folder / "login-0"})
    return Ends(folder, sections.Place(s3=where), S3Place(where, "backup.places[0].s3"))


@pytest.fixture(params=["sftp", "s3", "s3 by TLS"])
def ends(request: pytest.FixtureRequest, tmp_path: Path, sshd: ResolvedSsh, store: Store) -> Ends:
    if request.param == "sftp":
        return by_sftp(tmp_path, sshd)
    tls = request.param != "s3"
    found = by_s3(tmp_path, store.tls if tls else store.plain, store.ca if tls else None, f"of/{tmp_path.name.lower()}")
    # Whoever was here first has made it.
    found.sh("s3_0 PUT '' '' ''")
    return found


async def test_both_see_what_the_other_has_brought(ends: Ends, tmp_path: Path) -> None:
    name = f"{OLD[0]}.backup"
    (tmp_path / name).write_bytes(LARGE)
    assert await ends.operator.listing() == []
    ends.says(f"put_0 {tmp_path}/{name} {name}")
    assert ends.says("list_0 | grep -v '^[.]'") == [name]
    assert [(item.name, item.size) for item in await ends.operator.listing()] == [(name, len(LARGE))]
    assert await ends.operator.read(name, 0, 1000) == LARGE[:1000]
    assert await ends.operator.read(name, len(LARGE) - 300, 1000) == LARGE[-300:]
    await ends.operator.get(name, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == LARGE
    other = tmp_path / f"{OLD[1]}.backup"
    other.write_bytes(LARGE[::-1])
    await ends.operator.put(other)
    assert sorted(ends.says("list_0 | grep -v '^[.]'")) == [name, other.name]
    # What is there already is replaced, as a proof of a higher level is.
    other.write_bytes(b"anew")
    await ends.operator.put(other)
    ends.says(f"put_0 {tmp_path}/{name} {other.name}")
    assert await ends.operator.read(other.name, 0, 100) == LARGE[:100]
    await ends.operator.remove(name)
    ends.says(f"drop_0 {other.name}")
    assert await ends.operator.listing() == []


async def test_both_judge_alike_what_need_not_stay(ends: Ends, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    young = [f"prod-{now:%Y%m%dT%H%M%SZ}-0000000{n}" for n in (8, 9)]
    others = ["prod-2-20200101T000000Z-00000001", "notes"]
    files = [f"{name}.backup" for name in (*OLD, *young, *others)] + [f"{OLD[2]}.proof.json", f"{OLD[0]}.proof.json"]
    for name in files:
        path = tmp_path / name
        path.write_text("x")
        await ends.operator.put(path)
    mine = [OLD[3], OLD[1], OLD[0]]
    assert ends.says("list_0 | spare") == mine
    assert retention.spare(files, "prod", KEEP, now) == mine
    assert await retention.tidy(ends.operator, "prod", KEEP, now) == mine
    left = sorted(item.name for item in await ends.operator.listing())
    kept = [f"{name}.backup" for name in (OLD[2], *young, *others)]
    assert left == sorted([*kept, f"{OLD[2]}.proof.json"])
    assert ends.says("list_0 | spare") == []


def test_a_bucket_with_more_than_a_page_is_listed_whole(store: Store, tmp_path: Path) -> None:
    ends = by_s3(tmp_path, store.plain, None, "many")
    ends.sh("s3_0 PUT '' '' ''")

    async def fill() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(7):
                path = tmp_path / f"prod-2020010{n}T000000Z-0000000{n}.backup"
                path.write_text("x")
                group.create_task(ends.operator.put(path))

    asyncio.run(fill())
    pages = ends.sh("")  # nothing but the functions
    assert pages.returncode == 0
    text = backup_places.functions([ends.spec]).replace("max-keys=1000", "max-keys=3").replace(BACKUP, str(tmp_path))
    done = subprocess.run(
        ["/bin/sh", "-c", f"set -eu\nwork={tmp_path}\n{text}\nlist_0"], capture_output=True, text=True, check=True
    )
    assert len([line for line in done.stdout.splitlines() if line]) == 7


async def test_a_wrong_key_is_refused_at_once_and_not_told(store: Store, tmp_path: Path) -> None:
    ends = by_s3(tmp_path, store.plain, None, "", secret="not/the+secret")
    done = ends.sh("list_0")
    assert done.returncode != 0
    assert "answers 403 (SignatureDoesNotMatch) to GET /backups" in done.stderr
    with pytest.raises(QuorateError, match=r"/backups: the store answers 403 \(SignatureDoesNotMatch\)$") as caught:
        await ends.operator.listing()
    assert "not/the+secret" not in done.stderr + str(caught.value)


async def test_a_host_that_shows_another_key_gets_nothing(sshd: ResolvedSsh, tmp_path: Path) -> None:
    ends = by_sftp(tmp_path, sshd)
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIBDlYDqmvbnC8fcnCZuGBh4chxc+bJqJWSbRCbUXvNmd"
    (tmp_path / "known-hosts-0").write_text(f"[127.0.0.1]:{sshd.port} ssh-ed25519 {key}\n")
    (tmp_path / "x").write_text("x")
    done = ends.sh(f"put_0 {tmp_path}/x x")
    assert done.returncode != 0
    assert "Host key verification failed" in done.stderr or "Connection closed" in done.stderr
    with pytest.raises(QuorateError, match=r"sftp://root@127\.0\.0\.1"):
        await ends.operator.put(tmp_path / "x")
    assert not (tmp_path / "there").exists()


class Faults(BaseHTTPRequestHandler):
    """A store that fails as often as it is told, and notes what it is sent."""

    fails: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[str, int]]] = []

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, len(body)))
        self.send_response(self.fails.pop(0) if self.fails else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("fails", "asked", "code"), [([503, 500], 3, 0), ([503] * 3, 3, 1), ([400], 1, 1)])
def test_a_store_that_has_a_bad_moment_is_asked_again(fails: list[int], asked: int, code: int, tmp_path: Path) -> None:
    Faults.fails, Faults.seen = list(fails), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faults)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        ends = by_s3(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", None, "")
        (tmp_path / "x").write_text("content")
        done = ends.sh(f"put_0 {tmp_path}/x x")
    finally:
        server.shutdown()
        server.server_close()
    assert (done.returncode, Faults.seen) == (code, [(f"/{BUCKET}/x", 7)] * asked), done.stderr
    assert (f"answers {fails[-1]} to PUT /{BUCKET}/x" in done.stderr) is bool(code)


def test_what_is_too_large_for_one_request_is_not_sent(tmp_path: Path) -> None:
    ends = by_s3(tmp_path, "http://127.0.0.1:1", None, "")
    with (tmp_path / "x").open("wb") as file:
        file.truncate(backup_places.PUT_LIMIT_BYTES + 1)
    done = ends.sh(f"put_0 {tmp_path}/x x")
    assert done.returncode == 1
    assert done.stderr == (
        "x has more than the 5368709120 bytes that S3 takes in one request; `quorate backup` on the operator's machine "
        "sends it in parts, and an ssh place takes it as it is\n"
    )


async def test_who_is_no_store_and_who_is_not_believed_is_told(store: Store, tmp_path: Path) -> None:
    ends = by_s3(tmp_path, store.tls, None, "")
    with pytest.raises(QuorateError, match="its certificate is not believed: UnknownIssuer"):
        await ends.operator.listing()
    done = ends.sh("list_0")
    assert "certificate" in done.stderr
