"""Disks without room, for real: tiny file systems. The error says which, nothing half-written stays, all goes on."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from own_root import Root

from quorate.core import Blob, CommandFailed, QuorateError
from quorate.execute import batch
from quorate.plan.step import Step, difference
from quorate.resource.block import Block
from quorate.resource.file import Binary, Directory, File
from quorate.resource.resource import Resource
from quorate.state.store import RESERVE, Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
SIZE = 64 * 1024


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """A disk of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Root]:
    """A root whose /etc/test is such a disk."""
    root = Root(tmp_path)
    with disk(root.etc):
        yield root


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return ballast


def blob(folder: Path, content: bytes) -> Blob:
    path = folder / "blob.gz"
    path.write_bytes(gzip.compress(content))
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content))


async def run(root: Root, *resources: Resource) -> batch.Result:
    steps = [Step(resource, {}) for resource in resources]
    return batch.read(steps, await root.via.run("h", batch.script(steps)))


async def test_a_file_on_a_full_disk(small: Root) -> None:
    file = File(host="h", path="/etc/test/a", content="old\n")
    await small.settles(file)
    ballast = fill(small.etc)
    new = File(host="h", path="/etc/test/a", content="new\n" * 5000)
    result = await run(small, new, File(host="h", path="/etc/test/b", content="never"))
    assert result.ended == {0: 1}
    said = result.said[0]
    assert "No space left on device" in said
    assert "/etc/test/a: not written; 0 bytes and " in said
    assert "free on /etc/test" in said
    assert (small.etc / "a").read_text() == "old\n", "what ran goes on with what it has"
    assert sorted(os.listdir(small.etc)) == ["a", "ballast"], "a temporary file is left"
    ballast.unlink()
    await small.settles(new)


async def test_a_binary_on_a_full_disk(small: Root, tmp_path: Path) -> None:
    (small.etc / "b").write_bytes(b"old")
    program = Binary(host="h", path="/etc/test/b", blob=blob(tmp_path, os.urandom(2 * SIZE)))
    with pytest.raises(CommandFailed) as caught:
        await small.converge(program)
    said = caught.value.stderr
    assert "/etc/test/b: not written; " in said
    assert "free on /etc/test" in said
    assert (small.etc / "b").read_bytes() == b"old"
    assert os.listdir(small.etc) == ["b"]
    fits = Binary(host="h", path="/etc/test/b", blob=blob(tmp_path, os.urandom(SIZE // 2)))
    await small.converge(fits)
    assert difference(fits.desired, await small.state_of(fits)) == {}


async def test_lines_in_a_file_of_somebody_else(small: Root) -> None:
    (small.etc / "hosts").write_text("somebody's\n")
    fill(small.etc)
    result = await run(small, Block(host="h", path="/etc/test/hosts", title="c", lines=("x" * 5000,)))
    assert result.ended == {0: 1}
    assert "/etc/test/hosts: not written; 0 bytes" in result.said[0]
    assert (small.etc / "hosts").read_text() == "somebody's\n"
    assert sorted(os.listdir(small.etc)) == ["ballast", "hosts"]


async def test_the_host_s_notes_on_a_full_disk(tmp_path: Path) -> None:
    """Whether something was there before must be noted, or it is not touched."""
    root = Root(tmp_path)
    with disk(root.state):
        (root.etc / "a").write_text("the user's\n" * 1000)
        fill(root.state)
        with pytest.raises(CommandFailed):
            await root.converge(File(host="h", path="/etc/test/a", content="ours"))
        assert (root.etc / "a").read_text() == "the user's\n" * 1000
        assert os.listdir(root.etc) == ["a"]
        assert not list(root.state.rglob("*.part"))
        (root.state / "ballast").unlink()
        ours = File(host="h", path="/etc/test/a", content="ours")
        await root.settles(ours)
        await root.remove(ours)
        assert (root.etc / "a").read_text() == "the user's\n" * 1000


async def test_what_is_no_file_of_ours_names_the_full_disk_too(tmp_path: Path) -> None:
    """Whatever a step runs, as dpkg or etcd, may say less than it should."""
    root = Root(tmp_path)
    name = next(iter(root.via._prefixes))
    full = "mount -t tmpfs -o size=64k tmpfs /opt; head -c 100000 /dev/zero >/opt/x 2>/dev/null || :; "
    prefix = root.via._prefixes[name]
    root.via._prefixes[name] = [*prefix[:-2], prefix[-2].replace('exec "$@"', f'{full}exec "$@"'), prefix[-1]]
    result = await run(root, Directory(host="h", path="/etc/test/a/b"), Directory(host="h", path="/etc/passwd/x"))
    assert result.ended == {0: 0, 1: 1}
    assert "/opt is full: 0 bytes are free" in result.said[1]
    assert "full" not in result.said.get(0, "")


FILLS = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}, {shared!r}]
from test_store import NOW, cluster
from quorate.core import QuorateError
from quorate.state.store import Store
store = Store(Path({folder!r}) / ".quorate/c")
try:
    store.secrets(cluster(1), NOW, persist=True)
except QuorateError as error:
    print(error, error.hint, sep="\\n")
"""


def test_the_state_folder_on_a_full_disk(tmp_path: Path) -> None:
    """Refused before the first key is written: the error has the path, the bytes needed, and those free."""
    mount = f'mount -t tmpfs -o size=300k tmpfs {tmp_path}; exec "$@"; '
    here = Path(__file__).parent
    program = FILLS.format(here=str(here), shared=str(here.parent), folder=str(tmp_path))
    shown = f'{sys.executable} -c "$0" && find {tmp_path} && df -B1 --output=avail {tmp_path}'
    argv = ["unshare", "--mount", "/bin/sh", "-ec", mount, "sh", "/bin/sh", "-ec", shown, program]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    error, hint, *found = done.stdout.splitlines()
    assert error.startswith(f"{tmp_path}/.quorate/c: No space left on device: ")
    assert "bytes are needed, 307200 are free" in error
    assert hint == "make room there, then run the same command again"
    assert found[0] == str(tmp_path)
    assert found[-1].strip() == "307200", "something was written"


def test_a_state_folder_that_fills_up_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object) -> int:
        raise OSError(28, "No space left on device", str(tmp_path / "journal.jsonl"))

    store = Store(tmp_path / "c")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(QuorateError, match=r"journal\.jsonl: No space left on device: \d+ bytes are needed, \d+ are"):
        store.journal({"verb": "apply"})
    assert RESERVE > 100_000
