"""`kill -9` of a host's sh at every point of a resource's script: whole files before and after, and nothing is left."""

import asyncio
import gzip
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from own_root import Root

from quorate.core import Action, Blob, CommandFailed
from quorate.execute import batch
from quorate.render.prelude import PRELUDE, WRITING
from quorate.resource.block import Block
from quorate.resource.file import Binary, Directory, File, Symlink
from quorate.resource.resource import Resource
from quorate.resource.system import leftovers, sysctl

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")

COMMANDS = (
    *("cat", "chmod", "chown", "cp", "flock", "grep", "gzip", "ln", "mkdir", "mktemp", "mv", "readlink", "rm"),
    *("rmdir", "sed", "stat", "sync"),
)
"""What the scripts run; each is a point at which they may die."""
OLD, NEW = "old\n" * 50, "new\n" * 5000


@pytest.fixture
def root(tmp_path: Path) -> Root:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    return Root(tmp_path)


class Killer:
    """Commands in front of the real ones: the one at a place in the order kills the script after it, or half-way."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._count = folder / "killer", folder / "count"
        self._bin.mkdir()
        for name in COMMANDS:
            path = self._bin / name
            half = f'/usr/bin/{name} "$@" | /usr/bin/head -c 90; kill -9 0' if name in ("cat", "gzip") else ":"
            path.write_text(
                "#!/bin/sh\n"
                f"read -r n <{self._count}; echo $(( n + 1 )) >{self._count}\n"
                f'[ "$n" != "$Q_AT" ] || {{ {half}; }}\n'
                f'/usr/bin/{name} "$@"; rc=$?\n'
                '[ "$n" != "$Q_AT" ] || kill -9 0\nexit $rc\n'
            )
            path.chmod(0o755)

    async def run(self, root: Root, script: str, at: int, blob: Blob | None = None) -> bool:
        """Whether the script came to its end."""
        self._count.write_text("0\n")
        before = f"PATH={self._bin}:$PATH; export Q_AT={at} PATH\n"
        try:
            await root.via.run("h", before + script, blob=blob)
        except CommandFailed as error:
            if error.code != 137:
                raise
            return False
        return True


def litter(root: Root) -> list[str]:
    """Files of a temporary kind."""
    folders = (root.etc, root.state, root.etc.parents[1] / "run/quorate")
    found = [path for folder in folders for path in folder.rglob("*") if path.name.endswith((".quorate-new", ".part"))]
    return [str(path) for path in (*found, *(root.state / "writing").glob("*"))]


def blob(folder: Path, content: bytes) -> Blob:
    path = folder / f"{len(content)}.gz"
    path.write_bytes(gzip.compress(content))
    return Blob(path, hashlib.sha256(content).hexdigest(), len(content))


def text(content: str) -> File:
    return File(host="h", path="/etc/test/a", content=content, mode="0600", secret=True)


CASES: dict[str, tuple[Callable[[Path], Resource | None], Callable[[Path], Resource], tuple[str, ...]]] = {
    "new file": (lambda _: None, lambda _: text(NEW), ("", NEW)),
    "file again": (lambda _: text(OLD), lambda _: text(NEW), (OLD, NEW)),
    "no last newline": (lambda _: text(OLD), lambda _: text("x"), (OLD, "x")),
    "link": (
        lambda _: text(OLD),
        lambda _: Symlink(host="h", path="/etc/test/a", target="/etc/hostname"),
        (OLD, "-> /etc/hostname"),
    ),
    "block": (
        lambda _: text(OLD),
        lambda _: Block(host="h", path="/etc/test/a", title="c", lines=("10.0.0.1 a",)),
        (OLD, f"{OLD}# begin quorate c\n10.0.0.1 a\n# end quorate c\n"),
    ),
    "folder": (lambda _: None, lambda _: Directory(host="h", path="/etc/test/a/b/c", mode="0700"), ("", "folder")),
}


def seen(root: Root) -> str:
    """The one thing that a case is about."""
    path = root.etc / "a"
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return "folder" if path.is_dir() else path.read_text() if path.exists() else ""


@pytest.mark.parametrize("case", CASES)
async def test_old_or_new_and_nothing_left(root: Root, tmp_path: Path, case: str) -> None:
    first, then, whole = CASES[case]
    killer, kills = Killer(tmp_path), 0
    (root.etc / "theirs").write_text("the user's\n")
    while True:
        await root.via.run("h", "rm -rf /etc/test/a /var/lib/quorate/*")
        if before := first(tmp_path):
            await root.converge(before)
        resource = then(tmp_path)
        script = "".join(batch.upload(action) for action in resource.converge(await root.state_of(resource)))
        ended = await killer.run(root, script, kills)
        assert seen(root) in whole, f"killed at {kills}: neither old nor new"
        # The next run may have nothing else to do here than to tidy up.
        assert litter(root) == [] or await root.state_of(leftovers("h")) == {"left": "some"}
        await root.converge(leftovers("h"))
        assert litter(root) == [], f"killed at {kills}"
        assert seen(root) in whole
        await root.converge(resource)
        assert seen(root) == whole[1]
        assert litter(root) == []
        if ended:
            break
        kills += 1
    assert kills > 2, "nothing was killed"


async def test_a_binary_that_is_cut_off(root: Root, tmp_path: Path) -> None:
    killer, kills = Killer(tmp_path), 0
    old, new = b"old" * 100_000, os.urandom(300_000)
    while True:
        await root.via.run("h", "rm -rf /etc/test/b /var/lib/quorate/*")
        await root.converge(Binary(host="h", path="/etc/test/b", blob=blob(tmp_path, old)))
        resource = Binary(host="h", path="/etc/test/b", blob=blob(tmp_path, new + b"x"))
        (action,) = resource.converge(await root.state_of(resource))
        if await killer.run(root, batch.upload(action), kills, action.blob):
            break
        assert (root.etc / "b").read_bytes() in (old, new + b"x")
        await root.converge(leftovers("h"))
        assert litter(root) == []
        await root.converge(resource)
        assert (root.etc / "b").read_bytes() == new + b"x"
        kills += 1
    assert kills > 5


async def test_what_was_found_survives_a_kill_at_every_point(root: Root, tmp_path: Path) -> None:
    """Also while it is kept, and while it is put back."""
    killer = Killer(tmp_path)
    for removes in (False, True):
        kills, ended = 0, False
        while not ended:
            await root.via.run("h", "rm -rf /etc/test/a /var/lib/quorate/*")
            (root.etc / "a").write_text("the user's\n")
            resource = text(NEW)
            if removes:
                await root.converge(resource)
            actions = resource.remove() if removes else resource.converge({})
            ended = await killer.run(root, "".join(batch.upload(action) for action in actions), kills)
            await root.converge(resource)
            await root.remove(resource)
            assert (root.etc / "a").read_text() == "the user's\n", f"killed at {kills}"
            assert litter(root) == []
            kills += 1
        assert kills > 3


async def test_a_note_is_whole(root: Root, tmp_path: Path) -> None:
    """Half a note would be taken for the setting of before, and be put back."""
    killer, kills, ended = Killer(tmp_path), 0, False
    (root.etc / "value").write_text("the user's\n")
    resource = sysctl("h", "x.y", "1")
    order = resource.script.replace("/proc/sys/x/y", "/etc/test/value")
    while not ended:
        await root.via.run("h", "rm -rf /var/lib/quorate/*")
        ended = await killer.run(root, batch.upload(Action(order)), kills)
        note = root.state / "sysctl-x.y"
        assert not note.exists() or note.read_text() == "the user's\n"
        (root.etc / "value").write_text("the user's\n")
        kills += 1
    assert kills > 3


async def test_scripts_side_by_side_leave_each_other_alone(root: Root) -> None:
    """Who tidies up takes nothing from a script that still runs."""
    slow = text(NEW).converge({})[0].script.replace("place ", "cat() { sleep 1; command cat; }\nplace ", 1)
    running = asyncio.create_task(root.via.run("h", batch.upload(Action(slow))))
    await asyncio.sleep(0.5)
    assert any(name.endswith("a.quorate-new") for name in litter(root))
    assert await root.state_of(leftovers("h")) == {"left": "none"}
    await root.converge(leftovers("h"))
    await running
    assert (root.etc / "a").read_text() == NEW
    assert litter(root) == []


async def test_what_others_could_read_is_never_written_into(root: Root) -> None:
    """A temporary file with a wide mode, or a link, that lies in the way of a secret one."""
    (root.etc / "a.quorate-new").write_text("")
    (root.etc / "a.quorate-new").chmod(0o666)
    (root.etc / "stolen").write_text("")
    order = text(NEW).converge({})[0].script
    spy = 'chmod() { stat -c %a -- "$3" >/etc/test/mode; command chmod "$@"; }\n'
    await root.via.run("h", batch.upload(Action(f"{spy}{order}")))
    assert (root.etc / "mode").read_text() == "600\n"
    (root.etc / "a.quorate-new").symlink_to("stolen")
    await root.via.run("h", batch.upload(Action(order)))
    assert (root.etc / "stolen").read_text() == ""


async def test_a_list_that_goes_while_it_is_looked_at_stops_nobody(root: Root, tmp_path: Path) -> None:
    """Scripts run side by side: the one whose list it is may end between our look at its lock and our reading."""
    flock = tmp_path / "bin/flock"
    flock.parent.mkdir()
    flock.write_text('#!/bin/sh\ncase "$2" in /*) rm -f "$2"; exit 0;; esac\nexec /usr/bin/flock "$@"\n')
    flock.chmod(0o755)
    await root.via.run("h", f"mkdir -p {WRITING}; echo /etc/test/x.quorate-new >{WRITING}/999999")
    said = await root.via.run("h", f"PATH={flock.parent}:$PATH\n{PRELUDE}echo fine")
    assert said == "fine\n"
    assert await root.via.run("h", f"ls {WRITING}") == ""
