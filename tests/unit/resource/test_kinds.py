"""Resources on a real sh with real coreutils, in a root of their own: nothing of this machine is touched."""

import gzip
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_root import Root

from quorate.core import Blob, CommandFailed
from quorate.execute import batch
from quorate.plan.step import Step, difference
from quorate.render.prelude import PRELUDE
from quorate.resource.block import Block
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.resource import Resource
from quorate.resource.system import Setting

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")

HOSTILE = "a $(id) `id` \\ ' \" %n ${HOME}\nEOF\n\ttab\nno end: é"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    yield Root(tmp_path)
    assert not Path("/etc/test").exists()


def blob(folder: Path, content: bytes) -> Blob:
    path = folder / "blob.gz"
    path.write_bytes(gzip.compress(content))
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content))


async def test_a_file(root: Root) -> None:
    file = File(host="h", path="/etc/test/a", content=HOSTILE, mode="0640")
    assert await root.state_of(file) == {}
    await root.settles(file)
    path = root.etc / "a"
    assert path.read_text() == HOSTILE
    path.chmod(0o777)
    await root.sees(file, "mode")
    os.chown(path, 1, 1)
    await root.sees(file, "owner")
    path.write_text("edited")
    await root.sees(file, "sha256")
    path.unlink()
    path.symlink_to("/etc/passwd")
    await root.settles(file)
    assert not path.is_symlink()
    path.unlink()
    await root.sees(file, "type", "sha256", "mode", "owner")
    await root.remove(file)
    await root.remove(file)
    assert root.tree() == {}


@pytest.mark.parametrize("content", ["", "\n", "no newline", "EOF\n", "'EOF'\nEOF1\n", "\\\n", HOSTILE * 3000])
async def test_a_file_arrives_byte_for_byte(root: Root, content: str) -> None:
    await root.settles(File(host="h", path="/etc/test/a", content=content))
    assert (root.etc / "a").read_bytes() == content.encode()


async def test_what_was_found_comes_back(root: Root) -> None:
    (root.etc / "a").write_text("the user's")
    (root.etc / "a").chmod(0o604)
    (root.etc / "l").symlink_to("elsewhere")
    (root.etc / "b").write_text("the user's program")
    found = root.tree()
    resources: list[Resource] = [
        File(host="h", path="/etc/test/a", content="ours"),
        Symlink(host="h", path="/etc/test/l", target="/etc/test/a"),
        Binary(host="h", path="/etc/test/b", blob=blob(root.etc.parent, b"program")),
    ]
    for resource in resources:
        await root.settles(resource)
    # A second version must not take the first for what was found.
    await root.settles(File(host="h", path="/etc/test/a", content="ours, newer"))
    assert root.tree() != found
    for resource in resources:
        await root.remove(resource)
        await root.remove(resource)
    assert root.tree() == found | {"b": ("the user's program", found["b"][1])}


async def test_a_directory_in_the_way_is_an_error_and_stays(root: Root) -> None:
    (root.etc / "a").mkdir()
    (root.etc / "a/mine").write_text("mine")
    with pytest.raises(CommandFailed):
        await root.converge(File(host="h", path="/etc/test/a", content="x"))
    assert (root.etc / "a/mine").read_text() == "mine"
    assert sorted(os.listdir(root.etc / "a")) == ["mine"]


async def test_a_link_to_a_directory_is_replaced_and_not_followed(root: Root) -> None:
    (root.etc / "d").mkdir()
    (root.etc / "a").symlink_to("d")
    await root.settles(File(host="h", path="/etc/test/a", content="x"))
    assert os.listdir(root.etc / "d") == []


async def test_a_kill_in_the_middle_leaves_the_old_file_whole(root: Root) -> None:
    """What replaces a file is written beside it: a process that ends between two commands harms nothing."""
    await root.settles(File(host="h", path="/etc/test/a", content="old\n"))
    script = File(host="h", path="/etc/test/a", content="new\n" * 1000).converge({})[0].script
    for command in ("keep", "cat", "chmod", "sync"):
        dies = f'{PRELUDE}{command}() {{ command {command} "$@" 2>/dev/null || :; kill -9 $$; }}\n{script}\n'
        with pytest.raises(CommandFailed):
            await root.via.run("h", dies)
        assert (root.etc / "a").read_text() == "old\n"
    await root.settles(File(host="h", path="/etc/test/a", content="new\n"))
    assert sorted(root.tree()) == ["a"]


async def test_a_directory(root: Root) -> None:
    folder = Directory(host="h", path="/etc/test/x/y/z", mode="0700")
    await root.settles(folder)
    (root.etc / "x/y/z").chmod(0o755)
    await root.sees(folder, "mode")
    (root.etc / "x/y/z/other").write_text("somebody's")
    await root.remove(folder)
    assert (root.etc / "x/y/z/other").exists()
    (root.etc / "x/y/z/other").unlink()
    await root.remove(folder)
    assert root.tree() == {}
    purged = Directory(host="h", path="/etc/test/p", purge=True)
    await root.settles(purged)
    (root.etc / "p/data").write_text("ours")
    await root.remove(purged)
    assert root.tree() == {}


async def test_a_directory_that_others_want_stays_when_it_is_empty(root: Root) -> None:
    outer = Directory(host="h", path="/etc/test/x")
    inner = Directory(host="h", path="/etc/test/x/y/z", purge=True, within=outer.path)
    await root.settles(outer)
    await root.settles(inner)
    await root.remove(inner)
    assert sorted(root.tree()) == ["x"]
    await root.remove(outer)
    assert root.tree() == {}


async def test_a_directory_that_was_there_stays(root: Root) -> None:
    (root.etc / "mine").mkdir()
    (root.etc / "mine/data").write_text("mine")
    folder = Directory(host="h", path="/etc/test/mine", purge=True)
    await root.settles(folder)
    await root.remove(folder)
    assert (root.etc / "mine/data").read_text() == "mine"


async def test_a_link(root: Root) -> None:
    link = Symlink(host="h", path="/etc/test/l", target="/opt/some where/$(id)")
    await root.settles(link)
    (root.etc / "l").unlink()
    (root.etc / "l").symlink_to("/elsewhere")
    await root.sees(link, "target")
    await root.remove(link)
    assert root.tree() == {}


async def test_a_binary(root: Root, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    program = Binary(host="h", path="/etc/test/b", blob=blob(tmp_path, content))
    assert program.converge({})[0].blob
    await root.converge(program)
    assert (root.etc / "b").read_bytes() == content
    state = await root.state_of(program)
    assert difference(program.desired, state) == {}
    assert not any(action.blob for action in program.converge(state | {"mode": "0700"})), "sent although it is there"
    (root.etc / "b").chmod(0o644)
    assert set(difference(program.desired, await root.state_of(program))) == {"mode"}
    with (root.etc / "b").open("r+b") as file:
        file.write(b"\0\0\0\0")
    assert "sha256" in difference(program.desired, await root.state_of(program)), "an edit in place is not seen"
    await root.converge(program)
    assert (root.etc / "b").read_bytes() == content
    await root.remove(program)
    assert not (root.etc / "b").exists()


async def test_a_damaged_binary_is_never_put_in_place(root: Root, tmp_path: Path) -> None:
    good = blob(tmp_path, b"good")
    await root.converge(Binary(host="h", path="/etc/test/b", blob=good))
    bad = Blob(blob(tmp_path, b"other").path, hashlib.sha256(b"wanted!").hexdigest(), 7)
    with pytest.raises(CommandFailed, match="bytes"):
        await root.converge(Binary(host="h", path="/etc/test/b", blob=bad))
    assert (root.etc / "b").read_bytes() == b"good"
    assert os.listdir(root.etc) == ["b"]


@pytest.mark.parametrize("before", ["", "one\n", "one\n\n", "no end", "$(id) \\n 'x'\n", "# end quorate c\nx\n"])
async def test_a_block(root: Root, before: str) -> None:
    (root.etc / "hosts").write_text(before)
    (root.etc / "hosts").chmod(0o604)
    block = Block(host="h", path="/etc/test/hosts", title="c", lines=("10.0.0.1 a", "10.0.0.2 b"))
    await root.settles(block)
    now = (root.etc / "hosts").read_text()
    assert now.startswith(before)
    (root.etc / "hosts").write_text(now.replace("10.0.0.2 b", "10.0.0.9 b") + "below\n")
    await root.sees(block, "lines")
    assert (root.etc / "hosts").stat().st_mode & 0o777 == 0o604
    other = Block(host="h", path="/etc/test/hosts", title="other", lines=("x",))
    await root.settles(other)
    await root.remove(block)
    await root.remove(other)
    ended = before if before == "" or before.endswith("\n") else before + "\n"
    assert (root.etc / "hosts").read_text() == ended + "below\n"
    assert os.listdir(root.etc) == ["hosts"]


async def test_a_block_without_its_end_takes_nothing_else_along(root: Root) -> None:
    (root.etc / "hosts").write_text("one\n# begin quorate c\n10.0.0.1 a\ntwo\n")
    block = Block(host="h", path="/etc/test/hosts", title="c", lines=("10.0.0.1 a",))
    await root.settles(block)
    assert "two\n" in (root.etc / "hosts").read_text()


async def test_a_block_in_a_file_that_is_not_there(root: Root) -> None:
    block = Block(host="h", path="/etc/test/hosts", title="c", lines=("x",))
    await root.settles(block)
    assert (root.etc / "hosts").stat().st_mode & 0o777 == 0o644


async def test_a_setting(root: Root) -> None:
    path = "/etc/test/value"
    setting = Setting(
        host="h",
        what="value",
        want=(("value", "1"),),
        check=f"echo value=$(cat {path})",
        script=f"keep {path}; echo 1 >{path}",
        undo=f"putback {path}",
    )
    await root.settles(setting)
    (root.etc / "value").write_text("2\n")
    await root.sees(setting, "value")
    await root.remove(setting)
    assert root.tree() == {}


async def test_one_script_does_many_steps_and_stops_at_the_first_that_fails(root: Root) -> None:
    def wants(name: str, order: str) -> Setting:
        check = f"if [ -e /etc/test/{name} ]; then echo done=yes; fi"
        return Setting(host="h", what=name, want=(("done", "yes"),), check=check, script=order)

    make: Callable[[str], Setting] = lambda name: wants(name, f"echo hello; changed; : >/etc/test/{name}")  # noqa: E731
    steps = [Step(make("a"), {}), Step(wants("b", "echo why >&2; false; : >/etc/test/b"), {}), Step(make("c"), {})]
    result = batch.read(steps, await root.via.run("h", batch.script(steps)))
    assert result.ended == {0: 0, 1: 1}
    assert result.changed == {0}
    assert result.said[1].strip() == "why"
    assert "hello" in result.said[0]
    assert result.states == {steps[0].key: {"done": "yes"}, steps[1].key: {}, steps[2].key: {}}
    assert sorted(root.tree()) == ["a"]
