"""Scripts that outlive their connection, on a real sh: they end, or never begin, before the next one acts."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from own_root import Root

from quorate.core import CommandFailed
from quorate.execute import batch, once
from quorate.plan.step import Step
from quorate.render import bootstrap
from quorate.resource.file import File

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    return Root(tmp_path)


class Orphan:
    """A script whose reader can go away: it has a pipe for its output, as under sshd."""

    def __init__(self, root: Root, script: str, name: str) -> None:
        data = bootstrap.body(once.once(script, name))
        argv = [*root.via._prefixes["h"], "/bin/sh", "-c", bootstrap.boot(len(data))]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(data)
        self.process.stdin.close()
        self.process.stdout.readline()

    def cut(self) -> None:
        """What sshd does when the connection is lost."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()


async def until(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{path} did not come")


def locks(root: Root) -> list[str]:
    return sorted(path.name for path in (root.etc.parents[1] / "run/quorate").glob("script-*"))


async def test_a_script_under_its_lock_is_the_same_script(root: Root) -> None:
    assert await root.via.run("h", once.once("echo out; cat", "1")) == "out\n"
    with pytest.raises(CommandFailed) as caught:
        await root.via.run("h", once.once("set -e; echo out; false; echo never", "2"))
    assert (caught.value.code, caught.value.stdout) == (1, "out\n")
    with pytest.raises(CommandFailed) as caught:
        await root.via.run("h", once.once("exit 7", "3"))
    assert caught.value.code == 7
    assert locks(root) == [], "what ended leaves nothing"


async def test_who_comes_after_waits_for_the_command_and_nothing_comes_next(root: Root) -> None:
    """As when a connection is lost while apt-get runs: it is not cut off, and the steps after it do not begin."""
    slow = f"touch /etc/test/began\n/bin/sh -c {once.quote('sleep 1; touch /etc/test/command-ended')}\n"
    orphan = Orphan(root, f"({slow}touch /etc/test/next-step)", "1")
    await until(root.etc / "began")
    orphan.cut()
    output = await once.after(["1"], root.via, "h", "ls /etc/test")
    assert output is not None
    assert output.split() == ["began", "command-ended"]
    orphan.process.wait(timeout=5)
    assert not (root.etc / "next-step").exists()


async def test_a_waiting_loop_ends_at_once(root: Root) -> None:
    orphan = Orphan(root, "touch /etc/test/began; while :; do sleep 0.1; done", "1")
    await until(root.etc / "began")
    orphan.cut()
    async with asyncio.timeout(5):
        assert await once.after(["1"], root.via, "h", "echo looked") == "looked\n"
    assert orphan.process.wait(timeout=5) != 0


async def test_a_command_that_does_not_end_keeps_others_away(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "FORMER_ENDS_WITHIN_S", 0.5)
    orphan = Orphan(root, "touch /etc/test/began; sleep 3", "1")
    await until(root.etc / "began")
    assert await once.after(["1"], root.via, "h", "touch /etc/test/acted") is None
    assert not (root.etc / "acted").exists()
    orphan.cut()
    orphan.process.wait(timeout=10)
    assert await once.after(["1"], root.via, "h", "echo looked") == "looked\n"


async def test_a_script_that_begins_too_late_does_nothing(root: Root) -> None:
    """A host that hung may start it after the look, from bytes that were on their way."""
    assert await once.after(["1", "2"], root.via, "h", "echo looked") == "looked\n"
    for name in ("1", "2"):
        with pytest.raises(CommandFailed) as caught:
            await root.via.run("h", once.once("touch /etc/test/acted", name))
        assert caught.value.code == once.OVER
    assert not (root.etc / "acted").exists()
    assert await root.via.run("h", once.once("echo another", "3")) == "another\n"


async def test_a_reader_that_goes_away_leaves_no_lock_and_no_temporary_file(root: Root) -> None:
    (root.etc / "gate").touch()
    file = File(host="h", path="/etc/test/a", content="no end: \xe9" * 1000)
    waits = "while [ -e /etc/test/gate ]; do sleep 0.05; done\n"
    steps = [Step(file, {}), Step(File(host="h", path="/etc/test/b", content="b"), {})]
    orphan = Orphan(root, f"{waits}{batch.script(steps)}", "1")
    orphan.cut()
    (root.etc / "gate").unlink()
    orphan.process.wait(timeout=10)
    assert locks(root) == []
    assert list((root.state / "writing").iterdir()) == []
    assert [name for name in root.tree() if name not in ("a", "b")] == []


async def test_two_writers_of_one_file_never_meet(root: Root) -> None:
    """Without the lock both would write the same temporary file."""
    slow = "cat() { command cat; sleep 0.5; }\n"
    one = batch.script([Step(File(host="h", path="/etc/test/a", content="one\n" * 1000), {})])
    orphan = Orphan(root, one.replace("q_go=1\n", f"q_go=1\n{slow}", 1), "1")
    orphan.cut()
    await once.after(["1"], root.via, "h", ":")
    await root.settles(File(host="h", path="/etc/test/a", content="two\n" * 1000))
    orphan.process.wait(timeout=10)
    assert (root.etc / "a").read_text() == "two\n" * 1000
