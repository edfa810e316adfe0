"""The archive of a state folder: what is in it, what comes back, and what it can't do."""

import gzip
import io
import os
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from state_folders import TEXT, cluster, tree

from quorate.core import QuorateError
from quorate.procedure.restore import place
from quorate.spec.cluster import Ssh
from quorate.spec.sections import RegistryAccess
from quorate.state import bundle, seal
from quorate.state.bundle import FILE, Entry, gather, unpack
from quorate.state.opener import Opened
from quorate.state.seal import Mark
from quorate.state.store import Store

pytestmark = pytest.mark.usefixtures("cheap")


def test_everything_in_the_state_folder_is_in_a_copy(full: Store, cluster_file: Path) -> None:
    """What is added to the state folder one day must be named in `bundle`, or left out on purpose."""
    seal.set_passphrase(full, "correct horse battery")
    assert len(list((full.path / "retired").iterdir())) > 1
    packed = gather(full.path, cluster(), cluster_file, TEXT).entries
    there = {f"state/{name}" for name in tree(full.path)}
    assert there == {name for name in packed if name.startswith("state/")}
    for left in ("ssh.yaml", "copy/last", "pki/.ca.key.x.tmp", "notes.txt"):
        (full.path / left).write_text("not ours to carry")
    assert gather(full.path, cluster(), cluster_file, TEXT).entries == packed


def test_the_digest_is_of_the_content_alone(full: Store, cluster_file: Path) -> None:
    first = gather(full.path, cluster(), cluster_file, TEXT)
    os.utime(full.path / "pki/ca.key", (1, 1))
    full.journal({"run": "2"})
    again = gather(full.path, cluster(), cluster_file, TEXT)
    assert again.digest == first.digest
    assert again.entries != first.entries, "the journal goes along"
    assert first.pack(3) == first.pack(3)
    full.write(full.path / "endpoints", b"10.0.0.101\n")
    assert gather(full.path, cluster(), cluster_file, TEXT).digest != first.digest
    assert gather(full.path, cluster(), cluster_file, TEXT + "\n").digest != again.digest


def test_files_that_the_cluster_file_names_come_along(full: Store, cluster_file: Path, tmp_path: Path) -> None:
    inside, outside = cluster_file.parent / "policies/audit.yaml", tmp_path / "elsewhere/cni.yaml"
    ca, login = cluster_file.parent / "ca.pem", cluster_file.parent / "login"
    for path in (inside, outside, ca, login):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{path.name}\n")
    api = cluster().apiserver.model_copy(update={"audit_policy": inside})
    network = cluster().network.model_copy(update={"cni": "manifest", "manifest": str(outside)})
    access = {name: RegistryAccess(ca_file=ca, login_file=login) for name in ("r.example:5000", "m.example")}
    runtime = cluster().runtime.model_copy(update={"registry_access": access})
    named = cluster().model_copy(update={"apiserver": api, "network": network, "runtime": runtime})
    names = {name for name in gather(full.path, named, cluster_file, TEXT).entries if name.startswith("beside/")}
    assert names == {"beside/policies/audit.yaml", "beside/files/cni.yaml", "beside/ca.pem"}, "a login stays here"


def test_what_comes_back_is_the_same_in_bytes_modes_and_order(full: Store, cluster_file: Path, tmp_path: Path) -> None:
    seal.set_passphrase(full, "correct horse battery")
    old = sorted((full.path / "begun").iterdir())
    os.utime(old[0], (2e9, 2e9))
    os.utime(old[1], (1e9, 1e9))
    packed = gather(full.path, cluster(), cluster_file, TEXT)
    back, sequence = unpack(packed.pack(7), "it")
    assert sequence == 7
    assert back == packed
    new = tmp_path / "new"
    path = place(Opened("m1", back, 7), new, pins=b"", ssh=Ssh())
    assert path == new / "cluster.yaml"
    state = new / ".quorate/c"
    found = tree(state)
    assert found.pop("copy/last")[1] == str(Mark("c", 7, packed.digest)).encode() + b"\n"
    assert found == tree(full.path)
    assert {stat.S_IMODE(each.stat().st_mode) for each in state.rglob("*") if each.is_dir()} == {0o700}
    assert stat.S_IMODE(state.stat().st_mode) == stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert path.read_text() == TEXT
    began = [each.name for each in sorted((state / "begun").iterdir(), key=lambda each: each.stat().st_mtime_ns)]
    assert began == [old[1].name, old[0].name]
    # The new folder is as good as the old one: what was copied from there is known here.
    assert seal.last(Store(state), "c") == Mark("c", 7, packed.digest)
    assert gather(state, cluster(), path, TEXT).digest == packed.digest


def test_nothing_is_overwritten(full: Store, cluster_file: Path, tmp_path: Path) -> None:
    packed = gather(full.path, cluster(), cluster_file, TEXT)
    new = tmp_path / "new"
    place(Opened("m1", packed, 1), new, pins=b"", ssh=Ssh())
    before = tree(new)
    place(Opened("m1", packed, 1), new, pins=b"", ssh=Ssh())
    assert tree(new) == before, "the same again is no conflict"
    key = new / ".quorate/c/pki/ca.key"
    key.write_text("another key")
    with pytest.raises(QuorateError, match=r"differs from the copy: see .*pki/ca\.key") as caught:
        place(Opened("m1", packed, 1), new, pins=b"", ssh=Ssh())
    assert "--into" in caught.value.hint
    assert key.read_text() == "another key"
    (new / "cluster.yaml").write_text("name: other\n")
    with pytest.raises(QuorateError, match=r"cluster\.yaml is there already"):
        place(Opened("m1", packed, 1), new, pins=b"", ssh=Ssh())


def test_a_failure_leaves_no_half_a_state_folder(
    full: Store, cluster_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gather(full.path, cluster(), cluster_file, TEXT)

    def no_room(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr("quorate.atomic.sync", no_room)
    with pytest.raises(QuorateError, match="No space left"):
        place(Opened("m1", packed, 1), tmp_path / "new", pins=b"", ssh=Ssh())
    assert not [path for path in (tmp_path / "new").rglob("*") if path.suffix == ".key"]


def archive(*members: tuple[str, str], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content) if kind == tarfile.REGTYPE else 0, "/etc/passwd"
            tar.addfile(info, io.BytesIO(content.encode()))
    return gzip.compress(buffer.getvalue())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/etc/passwd",
            "../x",
            "state/../../x",
            "state/pki/../../../x",
            "beside/../x",
            "beside/.quorate/c/pki/ca.key",
        ),
        *("state/ssh.yaml", "state/pki/.hidden", "state/pki/a/b", "beside", "beside//x", "beside/./x", "beside/a\nb"),
        *("state/copy/last", "state", "cluster.yaml/x", "other"),
    ],
)
def test_no_archive_writes_where_it_should_not(name: str) -> None:
    assert not bundle.allowed(name)
    with pytest.raises(QuorateError, match="does not belong there"):
        unpack(archive((name, "x")), "it")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_plain_files_are_in_it(kind: bytes) -> None:
    with pytest.raises(QuorateError, match="does not belong there"):
        unpack(archive((FILE, ""), kind=kind), "it")


def test_damaged_archives(full: Store, cluster_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gather(full.path, cluster(), cluster_file, TEXT).pack(1)
    for bad in (b"", b"junk", whole[:-9], whole[:100], archive((FILE, "x")), archive(("manifest.json", "{}")),
                archive(("manifest.json", "[]"), (FILE, "x"))):  # fmt: skip
        with pytest.raises(QuorateError, match="it is damaged"):
            unpack(bad, "it")
    changed = gather(full.path, cluster(), cluster_file, TEXT)
    lies = replace(changed, entries={**changed.entries, "state/pki/ca.key": Entry(b"mine", 0o600)})
    monkeypatch.setattr(bundle.Bundle, "digest", property(lambda _self: "0" * 64))
    forged = lies.pack(1)
    monkeypatch.undo()
    with pytest.raises(QuorateError, match="do not fit together"):
        unpack(forged, "it")
    monkeypatch.setattr(bundle, "LIMIT", 1000)
    with pytest.raises(QuorateError, match="more than 1000 bytes"):
        unpack(whole, "it")
