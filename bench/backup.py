"""How long a backup takes beside copying the data twice: a real member of etcd, its script, the way here, sealed.

    python bench/backup.py MEGABYTES RUNS

One member of the newest version that was built here, on loopback, filled with objects of 0.6 to 8 kB. Each run takes a
backup, proved before it is sealed, and then copies the same snapshot twice, each copy synced to the disk. Host and
operator are this machine, without SSH between them. Results go to bench/results/backup.json.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "versions"), str(ROOT / "tests/unit"), str(ROOT / "tests/property")]

import backup_taker
from built import programs
from defrag import RESULTS, Member, member
from run import machine
from state_folders import TEXT, cluster

from quorate.backup import take
from quorate.render.snapshot import Taking
from quorate.spec.sections import Backup
from quorate.spec.secrets import Secrets
from quorate.spec.versions import restorers
from quorate.state.store import Store
from quorate.transport.local import LocalTransport

TIMES = 2
"""Copies to compare with."""


def taking(one: Member, version: str) -> Taking:
    """What its host is told."""
    told = {"cluster": "c", "host": "m1", "kubernetes": "", "versions": {"etcd": version}}
    return Taking(
        programs=str(one.folder),
        ask=f"{one.folder}/etcdctl --endpoints={one.url}",
        version=f"curl -sf {one.url}/version",
        restorers=restorers(version),
        quota=8 << 30,
        told={**told, "encryption_keys": [], "ca": {}},
        config=("/etc/hostname",),
        mark="/nonexistent",
    )


def backed_up(one: Member, version: str, home: Path) -> dict[str, Any]:
    """Seconds of a backup, and of what it does one after the other; a run begins without those before."""
    began, steps = time.monotonic(), list[tuple[float, str]]()
    take.taking = lambda *_: taking(one, version)
    take.etcdctl = lambda _host: f"{one.folder}/etcdctl --endpoints={one.url}"
    shutil.rmtree(home / "backups", ignore_errors=True)
    there = cluster().model_copy(update={"backup": Backup(folder=str(home / "host"))})
    store = Store.beside(home / "cluster.yaml", "c")
    said: list[tuple[float, str]] = []
    done = asyncio.run(
        take.take(
            *(there, store, Secrets({}, {}), LocalTransport(), (home / "cluster.yaml", TEXT), home / "backups"),
            lambda text: said.append((time.monotonic(), text)),
        )
    )
    ended = time.monotonic()
    assert done.proof is not None
    for at, text in said:
        step = next((word for word in ("saving", "proving", "are here") if word in text), "")
        if step and step not in [known for _, known in steps]:
            steps.append((at, step))
    moments = [began, *(at for at, _ in steps), ended]
    names = ["asked", *("brought" if step == "are here" else step for _, step in steps)]
    return {
        "seconds": round(ended - began, 2),
        "steps": {name: round(moments[n + 1] - moments[n], 2) for n, name in enumerate(names)},
        "bytes": done.manifest.etcd.size,
    }


def copied(one: Member, home: Path) -> float:
    """Seconds for copies of a snapshot, each of the one before it and synced."""
    files = [home / f"copy-{number}" for number in range(TIMES + 1)]
    one.ctl("snapshot", "save", str(files[0]))
    began = time.monotonic()
    for source, to in pairwise(files):
        with source.open("rb") as plain, to.open("wb") as copy:
            shutil.copyfileobj(plain, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
    seconds = time.monotonic() - began
    for file in files:
        file.unlink()
    return round(seconds, 2)


def measured(folder: Path, version: str, size: int, runs: int) -> list[dict[str, Any]]:
    """Each run: the backup, the copies, and how often the one takes as long as the other."""
    found = []
    with TemporaryDirectory() as place, member(folder, Path(place)) as one:
        home = Path(place) / "home"
        home.mkdir()
        backup_taker.home(home)
        one.fill(size)
        for _ in range(runs):
            os.sync()
            copies = copied(one, home)
            os.sync()
            run = backed_up(one, version, home)
            found.append({**run, "copies": copies, "ratio": round(run["seconds"] / copies, 2)})
            print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure, print and keep."""
    megabytes, runs = int(sys.argv[1]), int(sys.argv[2])
    with TemporaryDirectory() as work:
        version, folder = max(programs("etcd", Path(work)).items())
        given = {"command": f"python bench/backup.py {megabytes} {runs}", "at": f"{datetime.now(UTC):%Y-%m-%d}"}
        found = {
            **given,
            "machine": machine(),
            "etcd": version,
            "runs": measured(folder, version, megabytes << 20, runs),
        }
    text = json.dumps(found, indent=1)
    print(text)
    (RESULTS / "backup.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
