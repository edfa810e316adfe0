"""A lost laptop: the state folder comes back from the etcd hosts, to a folder that has nothing but an SSH key."""

import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployed import LIMIT, Deployed

from quorate.spec.layout import COPY

SECRET = "correct horse battery staple"
OURS = ("journal.jsonl", "known_hosts", "ssh.yaml", "copy/last")
"""What may differ on another machine: it has its own way to the hosts, and this run's last words came later."""
LOOK = f"cat {COPY}/last; stat -c '%a %U:%G %i %n' {COPY} {COPY}/*"


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file."""
    files = ((str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for name, path in files if name not in OURS}


@contextmanager
def lost(deployed: Deployed, aside: Path) -> Iterator[None]:
    """Neither cluster file nor state folder, while the block runs."""
    home = deployed.file.parent
    for name in (deployed.file.name, ".quorate"):
        shutil.move(home / name, aside / name)
    try:
        yield
    finally:
        for name in (deployed.file.name, ".quorate"):
            shutil.move(aside / name, home / name)


def adopts_on_another_machine(deployed: Deployed) -> None:
    """Of a cluster that runs: copies are made, only when there is news; one is enough to go on elsewhere."""
    cluster = deployed.cluster
    members = [host.name for host in cluster.members]
    state = deployed.file.parent / ".quorate" / cluster.name
    assert cluster.ssh.key is not None
    with tempfile.TemporaryDirectory(prefix="quorate-adopting-") as place:
        aside, new = Path(place) / "aside", Path(place) / "new"
        aside.mkdir()
        secret = Path(place) / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text(f"{SECRET}\n")
        deployed.quorate("passphrase", "--from", str(secret))
        deployed.quorate("plan", code=0)
        deployed.quorate("apply", "--yes")
        copies = deployed.run(LOOK, *members)
        for host, seen in copies.items():
            mark, *files = seen.splitlines()
            assert mark.split()[0] == cluster.name, host
            assert [line.split()[0] for line in files] == ["700", "600", "600", "600"], host
            assert all(" root:root " in line for line in files), host
        others = [host.name for host in cluster.hosts if host.name not in members]
        if others:
            assert all("none" in seen for seen in deployed.run(f"[ -e {COPY} ] || echo none", *others).values())
        deployed.quorate("apply", "--yes")
        assert deployed.run(LOOK, *members) == copies, "an apply that changes nothing sends nothing"
        before, text, key = tree(state), deployed.file.read_bytes(), str(cluster.ssh.key)
        with lost(deployed, aside):
            words = ["adopt", cluster.members[-1].ip, "--into", str(new), "--key", key, "--yes"]
            argv = [sys.executable, "-m", "quorate", *words, "--passphrase-from", str(secret)]
            done = subprocess.run(
                argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert SECRET not in done.stdout + done.stderr
            there = Deployed(new / deployed.file.name)
            assert there.file.read_bytes() == text
            assert tree(new / ".quorate" / cluster.name) == before
            there.quorate("plan", code=0)
            assert "apply" in there.quorate("history").stdout
        deployed.quorate("plan", code=0)
