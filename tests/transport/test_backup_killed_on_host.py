"""The script by which a host takes backups, killed at every command that changes something: whole or absent."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import backup_sets as sets
import pytest
from cluster_programs import NEWEST, built
from tracing import CALLS, durable, traced

from quorate.backup import archive
from quorate.backup.proof import Proof
from quorate.render import backup, snapshot, throwaway
from quorate.render.snapshot import Taking
from quorate.spec.layout import BACKUP, BIN, COPY
from quorate.spec.sections import Backup
from quorate.state import age
from quorate.state.opener import Opener
from quorate.state.seal import Mark

COMMANDS = ("age", "cat", "cp", "dd", "head", "mkdir", "mv", "rm", "sync", "tar", "tee", "truncate")
"""What changes something, or is a part of what does."""
HALF = {
    "tee": '/usr/bin/head -c 300 | {real} "$@"',
    **dict.fromkeys(("age", "cat", "head"), '{real} "$@" | /usr/bin/head -c 300'),
}
"""What brings half of what it should."""
ETCDCTL = """#!/bin/sh
# What the script asks of etcd: a lock for whoever comes, and one value.
cd {root}/etcd
case $1 in
lock) while [ "$1" != timeout ]; do shift; done; shift 4; exec "$@" ;;
put) echo "$4" >until ;;
get) cat until 2>/dev/null || : ;;
esac
"""
KILLER = """#!/bin/sh
# Each counts the commands; the one whose turn it is ends all there is, before it did its work or half-way.
echo {name} >>{root}/count
if [ "$(wc -l <{root}/count)" -gt "${{Q_AT-99999}}" ]; then
  [ "$Q_HOW" = before ] || {half}
  kill -9 0
fi
exec {real} "$@"
"""


class Host:
    """A host as far as the script sees it: folders, a snapshot that is there already, and real programs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.folder = root, root / "backups"
        for name in ("backups", "etc", "copy", "etcd", "bin", "killer", "taken"):
            (root / name).mkdir()
        content = sets.bundle()
        told = json.dumps(json.loads(sets.manifest(content).to_json()), separators=(",", ":"))
        for name, brought in (
            ("snapshot.db", sets.SNAPSHOT),
            ("config.tar", b"a tar"),
            ("names.gz", gzip.compress(b"/registry/pods/shop/web\n")),
            ("manifest.json", told.encode()),
        ):
            (root / "taken" / name).write_bytes(brought)
        (root / "etc/recipients").write_text(f"{age.public(sets.KEY)}\n")
        (root / "copy/state.age").write_bytes(age.seal(content.pack(7), [age.public(sets.KEY)]))
        (root / "copy/last").write_text(f"{Mark('c', 7, content.digest)}\n")
        self._program("etcdctl", ETCDCTL.format(root=root))
        for name in COMMANDS:
            real = built("age", NEWEST.age) / name if name == "age" else shutil.which(name, path="/usr/bin:/bin")
            at = "bin" if name == "age" else "killer"
            self._program(
                name, KILLER.format(root=root, name=name, real=real, half=HALF.get(name, ":").format(real=real)), at
            )
        spec = Backup.model_validate({"schedule": "*-*-* 03:00:00 UTC", "folder": str(self.folder)})
        took = throwaway.functions(f"{root}/bin", (), 1) + f'q_take() {{ cp -- {root}/taken/* "$1"; }}\n'
        monkeypatch.setattr(snapshot, "take", lambda _taking: took)
        taking = Taking("", "", "", (), 1, {}, (), "")
        text = backup.script("c", "m1", spec, f"{root}/bin/etcdctl", taking)
        for path, mine in ((BACKUP, "etc"), (COPY, "copy"), (BIN, "bin")):
            text = text.replace(path, f"{root}/{mine}")
        (root / "etc/scheduled").write_text(text.replace(" PATH=", f" PATH={root}/killer:"))

    def _program(self, name: str, text: str, at: str = "bin") -> None:
        path = self.root / at / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, at: int | None = None, how: str = "", *before: str) -> int:
        """A run of the script that is killed at a command, or not; its exit code."""
        for name in ("count", "etcd/until"):
            (self.root / name).unlink(missing_ok=True)
        env = {**os.environ, "Q_HOW": how} | ({} if at is None else {"Q_AT": str(at)})
        argv = [*before, "/bin/sh", f"{self.root}/etc/scheduled"]
        done = subprocess.run(argv, env=env, start_new_session=True, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    def whole(self) -> set[str]:
        """What lies there under a name of its own: each set opens, and its proof is one of it."""
        names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")} - {backup.SENT}
        for name in names:
            base = name.removesuffix(".proof.json").removesuffix(".backup")
            opened = archive.open_set(
                self.folder / f"{base}.backup", Opener(age.identities(sets.KEY.encode(), "", lambda: ""))
            )
            opened.snapshot_in(self.root).unlink()
            if name.endswith(".json"):
                assert Proof.from_json((self.folder / name).read_bytes(), name).set == opened.whole.digest
        return names

    def left(self) -> tuple[str, ...]:
        """What lies there besides, whatever the set's name."""
        found = (str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        return tuple(sorted(re.sub(r"c-\d{8}T\d{6}Z-[0-9a-f]{8}", "SET", name) for name in found))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_written_synced_renamed_and_the_folder_synced(host: Host) -> None:
    log = host.root / "trace"
    assert (
        host.run(
            None, "", "strace", "-ff", "--seccomp-bpf", "-qq", "-y", "-ttt", "-s0", f"-etrace={CALLS}", "-o", str(log)
        )
        == 0
    )
    set_, proof = sorted(host.whole())
    calls = traced(log)
    assert durable(calls, f"{host.folder}/{set_}") < durable(calls, f"{host.folder}/{proof}")


def test_killed_at_every_command_it_is_whole_or_absent(host: Host) -> None:
    """What it leaves is cleared by the next run, which is tried once for each set of files that may be left."""
    assert host.run() == 0
    commands = (host.root / "count").read_text().split()
    assert set(commands) == set(COMMANDS)
    tried, stages = set(), set()
    for at, how in [(at, how) for at, name in enumerate(commands) for how in ("before", "half")[: 1 + (name in HALF)]]:
        shutil.rmtree(host.folder)
        host.folder.mkdir()
        assert host.run(at, how) == -signal.SIGKILL
        there, left = host.whole(), host.left()
        stages.add(len(there))
        if (len(there), left) not in tried:
            tried.add((len(there), left))
            assert host.run() == 0
            assert there < host.whole()
            assert {path.name for path in host.folder.iterdir()} == host.whole(), f"of {left}, killed at {at}"
    assert len(tried) > 12
    # Before the set is there, before its proof is, and after both.
    assert stages == {0, 1, 2}
