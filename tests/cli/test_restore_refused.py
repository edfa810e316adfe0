"""Damaged, foreign and keyless backups: `restore` names what is wrong, and neither sends, stops nor writes anything."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import test_restore
from backup_sets import manifest, parts
from fake_hosts import Hosts, Quorate
from state_folders import cheap, tree
from test_restore import NAME, WHOLE, made

from quorate.backup import archive
from quorate.backup.manifest import Manifest, StateMark
from quorate.spec.load import load
from quorate.state import age, seal
from quorate.state.bundle import Bundle, Entry, gather
from quorate.state.store import Store

__all__ = ["cheap"]
built = test_restore.built
Damages = Iterator[tuple[str, bytes, str]]
"""What was done, the file then, and what is said of it."""
CHANGING = ("snapshot restore", "systemctl stop", "systemctl mask", "cat >", "mv ", "rm ")
KEYS = ("pki/ca.crt", "pki/etcd-ca.crt", "pki/front-proxy-ca.crt", "pki/sa.key", "random/encryption-key")


def members(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getmembers()


def lost(first: str) -> str:
    """What is said where the set ends before a member."""
    if first == archive.MANIFEST:
        return "is not a whole backup"
    wanted = [each for each in archive.MEMBERS if each != archive.IDENTITY]
    return f"{', '.join(wanted[wanted.index(first) :])} is missing: it was cut off, or never finished"


def truncated(content: bytes) -> Damages:
    """Cut at every member's border, within its header, and within what it holds."""
    for info in members(content):
        yield f"before {info.name}", content[: info.offset], lost(info.name)
        yield f"in the header of {info.name}", content[: info.offset + 100], lost(info.name)
        for size in (0, 1, info.size // 2, info.size - 1):
            told = f"{info.name} is cut off: {size} of its {info.size} bytes are there"
            yield f"{info.name} after {size}", content[: info.offset_data + size], told


def flipped(content: bytes) -> Damages:
    """A bit of each member's header (name, mode, length, checksum), and of what it holds."""

    def other(place: int) -> bytes:
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    for info in members(content):
        for place in (0, 100, 130, 150):
            yield f"{info.name}: header at {place}", other(info.offset + place), lost(info.name)
        for place in (0, info.size // 2, info.size - 1):
            told = "is not as it was written: its SHA-256 is not that of SHA256SUMS"
            yield f"{info.name} at {place}", other(info.offset_data + place), told


def exchanged(content: bytes) -> Damages:
    """Members in another order, twice, or left out."""
    inside = members(content)
    bodies = [content[each.offset_data :][: each.size] for each in inside]

    def again(order: list[int]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for n in order:
                tar.addfile(inside[n], io.BytesIO(bodies[n]))
        return out.getvalue()

    all_ = list(range(len(inside)))
    yield "in another order", again([1, 0, *all_[2:]]), "is not as it was written"
    yield "twice", again([*all_, 0]), "'manifest.json' does not belong into a backup"
    for n, info in enumerate(inside):
        yield f"without {info.name}", again([each for each in all_ if each != n]), f"{info.name} is missing"


DAMAGES: dict[str, Callable[[bytes], Damages]] = {
    "truncated": truncated,
    "flipped": flipped,
    "exchanged": exchanged,
    "nothing": lambda _: iter(
        [("empty", b"", "is not a whole backup"), ("noise", b"no tar" * 999, "is not a whole backup")]
    ),
}


class Calm:
    """Watches that a refusal leaves all as it was."""

    def __init__(self, quorate: Quorate, hosts: Hosts, file: Path) -> None:
        self.quorate, self.hosts, self.file = quorate, hosts, file
        self.before = self.seen()

    def seen(self) -> dict[str, tuple[int, bytes]]:
        """The state folder, and what lies beside backups."""
        found = {
            f"state/{name}": each for name, each in tree(self.file.parent / ".quorate").items() if "journal" not in name
        }
        return found | {str(path): (0, b"") for path in (self.file.parent / "backups").rglob("*")}

    def refuses(
        self, what: str, path: Path, code: int, *words: str, more: tuple[str, ...] = (), asks: bool = False
    ) -> None:
        """By its path and by its name; `asks`: hosts may be looked at."""
        for named in (str(path), path.stem):
            self.hosts.scripts.clear()
            found, out, err = self.quorate("restore", named, "--yes", *more)
            assert (found, [word for word in words if word not in err]) == (code, []), f"{what}: {out}{err}"
            told = [script for _, script in self.hosts.scripts]
            assert asks or told == [], f"{what}: a host was asked"
            assert [script for script in told if any(word in script for word in CHANGING)] == []
            assert self.seen() == self.before, what


@pytest.mark.parametrize("kind", DAMAGES)
def test_one_that_is_damaged_is_refused_and_named(quorate: Quorate, built: Path, hosts: Hosts, kind: str) -> None:
    path = made(built)
    whole = path.read_bytes()
    calm = Calm(quorate, hosts, built)
    for what, content, said in DAMAGES[kind](whole):
        path.write_bytes(content)
        calm.refuses(what, path, 1, NAME, said)


class Parts:
    """A backup of the state folder as it is, of which a test changes something before it is written."""

    def __init__(self, file: Path) -> None:
        cluster = load(file)
        self.store = Store.beside(file, cluster.name)
        self.path = file.parent / "backups" / f"{NAME}{archive.SUFFIX}"
        self.path.parent.mkdir(exist_ok=True)
        self.bundle = gather(self.store.path, cluster, file, file.read_text())
        told = manifest(self.bundle)
        data = replace(told.etcd, version="3.4.23", size=len(WHOLE), sha256=hashlib.sha256(WHOLE).hexdigest())
        told = replace(told, cluster=cluster.name, etcd=data, kubernetes="1.20.2")
        self.told = replace(told, versions={"kubernetes": "1.20.2", "etcd": "3.4.23"})
        self.key = seal.identity(self.store)

    def write(self, told: Manifest | None = None, bundle: Bundle | None = None, **more: Any) -> Path:
        """Whatever is in it, its sums fit."""
        told, content = told or self.told, bundle or self.bundle
        given = {"key": self.key, "snapshot": WHOLE, **more}
        archive.write(self.path, parts(told, content, **given))
        return self.path

    def of(self, bundle: Bundle) -> Manifest:
        """A manifest that fits another state folder."""
        return replace(self.told, state=StateMark(self.told.state.sequence, bundle.digest))


def test_one_of_another_cluster_or_with_a_member_of_another_is_refused(
    quorate: Quorate, built: Path, hosts: Hosts
) -> None:
    made = Parts(built)
    other = replace(made.bundle, cluster="other")
    older = Bundle(
        made.bundle.cluster, "cluster.yaml", {**made.bundle.entries, "cluster.yaml": Entry(b"name: tiny\n", 0o600)}
    )
    made.write()
    calm = Calm(quorate, hosts, built)
    for what, told, bundle, code, words in (
        (
            "all of it",
            replace(made.of(other), cluster="other"),
            other,
            4,
            "is a backup of the cluster other, and not of tiny",
        ),
        ("the state", made.told, other, 1, "its state folder is of the cluster other, its manifest of tiny"),
        ("an older state", made.told, older, 1, "the state folder in it is not the one of its manifest"),
    ):
        calm.refuses(what, made.write(told, bundle), code, NAME, words)
    path = made.write(snapshot=WHOLE[:512] + hashlib.sha256(WHOLE[:512]).digest())
    calm.refuses("the snapshot", path, 1, NAME, "the snapshot in it is not the one of its manifest: SHA-256")
    short = replace(made.told, etcd=replace(made.told.etcd, sha256=hashlib.sha256(WHOLE[:-1]).hexdigest()))
    calm.refuses("half a snapshot", made.write(short, snapshot=WHOLE[:-1]), 4, NAME, "its own checksum does not fit")


def test_one_of_another_version_is_refused(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    made = Parts(built)
    made.write()
    calm = Calm(quorate, hosts, built)
    text = made.told.to_json()
    assert text.startswith(b'{\n "format": 1,')

    class Later(Manifest):
        def to_json(self) -> bytes:
            return text.replace(b'"format": 1', b'"format": 2')

    calm.refuses(
        "format", made.write(Later(**vars(made.told))), 1, "manifest.json has format 2, not 1", "a newer quorate"
    )
    etcd = replace(made.told, etcd=replace(made.told.etcd, version="3.5.35"))
    calm.refuses("etcd", made.write(etcd), 4, 'write etcd: "3.5.35" under `versions`', asks=True)
    calm.refuses(
        "kubernetes", made.write(replace(made.told, kubernetes="1.21.3")), 4, '"1.21.3" under `versions`', asks=True
    )


@pytest.mark.usefixtures("cheap")
def test_one_without_the_keys_that_it_needs_is_refused(quorate: Quorate, built: Path, hosts: Hosts) -> None:
    made = Parts(built)
    made.write()
    calm = Calm(quorate, hosts, built)
    for key in KEYS:
        less = {name: entry for name, entry in made.bundle.entries.items() if name != f"state/{key}"}
        bundle = replace(made.bundle, entries=less)
        calm.refuses(key, made.write(made.of(bundle), bundle), 4, f"{NAME} lacks ", f"({key})")
    other = age.make_identity()
    calm.refuses("its key", made.write(key=other), 1, f"{NAME} is not sealed for this key")
    secret = built.parent / "secret"
    secret.touch(0o600)
    secret.write_text("not the passphrase\n")
    path = made.write(key=other, locked=age.lock(other.encode(), "correct horse battery"))
    calm.refuses("passphrase", path, 1, f"the passphrase does not open {NAME}", more=("--passphrase-from", str(secret)))
    (made.store.path / "copy/identity").unlink()
    calm.before = calm.seen()
    calm.refuses("nobody's", made.write(key=other), 1, NAME, "passphrase")
