"""Restore: an opened copy becomes a cluster file and a state folder again, whole or not at all, over nothing else."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from quorate import atomic
from quorate.core import QuorateError
from quorate.spec.cluster import Ssh
from quorate.state.bundle import FILE, JOURNAL, KNOWN_HOSTS, LAST, Bundle, Entry
from quorate.state.opener import Opened
from quorate.state.seal import Mark


def _with_pins(bundle: Bundle, known_hosts: bytes) -> Bundle:
    """The same, with these pinned host keys."""
    return replace(bundle, entries={**bundle.entries, KNOWN_HOSTS: Entry(known_hosts, 0o600)})


def place(found: Opened, folder: Path, *, pins: bytes, ssh: Ssh) -> Path:
    """Write cluster file and state folder; the path of the cluster file is returned.

    `pins` are the pinned host keys, `ssh` how SSH reaches the hosts from here. What is there already is never
    overwritten: the same is left, and something else raises QuorateError before anything is written. The state folder
    appears last, whole.
    """
    bundle = found.bundle
    state = folder / ".quorate" / bundle.cluster
    file = folder / bundle.file
    beside = {file: bundle.entries[FILE]}
    beside |= {folder / name[7:]: entry for name, entry in bundle.entries.items() if name.startswith("beside/")}
    with _writing(folder):
        for path, entry in beside.items():
            _demand_same(path, entry.content, folder)
        there = state.is_dir() and any(state.iterdir())
        if there:
            _demand_state(state, bundle)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, entry in beside.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic.write(path, entry.content, mode=entry.mode, new=True)
        if not there:
            mark = Mark(bundle.cluster, found.sequence, bundle.digest)
            _make_state(state, _with_pins(bundle, pins) if pins else bundle, mark, ssh)
    return file


def _demand_same(path: Path, content: bytes, folder: Path) -> None:
    if path.exists() and path.read_bytes() != content:
        raise QuorateError(
            f"{path} is there already, and differs from the copy",
            f"name another folder with --into, or move away what is in {folder}; nothing was written",
        )


def _demand_state(state: Path, bundle: Bundle) -> None:
    """Refuse a state folder that has something else, or not everything."""
    for name, entry in sorted(bundle.entries.items()):
        path = state / name.removeprefix("state/")
        if not name.startswith("state/") or name in (JOURNAL, KNOWN_HOSTS):
            continue
        if not path.is_file() or path.read_bytes() != entry.content:
            raise QuorateError(
                f"{state} is there already, and differs from the copy: see {path}",
                f"name another folder with --into, or keep the old one: `mv {state} {state}.old`; nothing was written",
            )


def _make_state(state: Path, bundle: Bundle, mark: Mark, ssh: Ssh) -> None:
    """Make it beside its place, and put it there with one rename."""
    around = state.parent
    around.mkdir(mode=0o700, exist_ok=True)
    if not (around / ".gitignore").exists():
        atomic.write(around / ".gitignore", b"*\n")
    prefix = f".{state.name}.adopting-"
    for left in around.glob(f"{prefix}*"):
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=prefix, dir=around))
    try:
        files = {n.removeprefix("state/"): e.content for n, e in bundle.entries.items() if n.startswith("state/")}
        files[f"copy/{LAST}"] = f"{mark}\n".encode()
        if ssh.model_fields_set:
            told = ssh.model_dump(mode="json", exclude_unset=True)
            files["ssh.yaml"] = "".join(f"{name}: {json.dumps(value)}\n" for name, value in told.items()).encode()
        folders = {part, *((part / name).parent for name in files)}
        for each in sorted(folders):
            each.mkdir(mode=0o700, exist_ok=True)
        for name, content in files.items():
            atomic.write(part / name, content, sync_folder=False)
        # What began is told apart by time: the oldest first.
        for second, name in enumerate(bundle.begun, start=1):
            if (part / "begun" / name).exists():
                os.utime(part / "begun" / name, (second, second))
        for each in folders:
            atomic.sync(each)
        # An empty folder may be there; one with something in it makes this fail.
        part.rename(state)
        atomic.sync(around)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise QuorateError(f"{place}: can't be written: {error.strerror}", "check the folder and the disk") from None
