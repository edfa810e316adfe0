"""A set: other tools read it, whatever is wrong in it is found, and it is whole or not there."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import backup_sets as sets
import pytest

from quorate.backup import archive
from quorate.backup.manifest import Manifest
from quorate.core import QuorateError
from quorate.state import age
from quorate.state.opener import Opener


def keys(text: str = sets.KEY) -> Opener:
    return Opener(age.identities(text.encode(), "key", lambda: ""))


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    found = archive.open_set(path, keys())
    assert found.manifest == sets.manifest(sets.bundle())
    assert (found.bundle, found.sequence) == (sets.bundle(), 7)
    snapshot = found.snapshot_in(tmp_path)
    assert snapshot.read_bytes() == sets.SNAPSHOT
    assert found.config_in(tmp_path).read_bytes() == b"a tar"
    assert {path.stat().st_mode & 0o777 for path in (path, snapshot, tmp_path / "config.tar")} == {0o600}
    assert sets.KEY not in repr(found)


def test_the_passphrase_is_enough(tmp_path: Path) -> None:
    content = sets.bundle()
    path = tmp_path / "x.backup"
    locked = age.lock(sets.KEY.encode(), "correct horse battery")
    archive.write(path, sets.parts(sets.manifest(content), content, locked=locked))
    assert archive.open_set(path, Opener(passphrase="correct horse battery")).bundle == content
    with pytest.raises(QuorateError, match="the passphrase does not open x"):
        archive.open_set(path, Opener(passphrase="not it"))
    with pytest.raises(QuorateError, match=f"{sets.NAME} has no passphrase"):
        archive.open_set(sets.backup(tmp_path), Opener(passphrase="not it"))


def test_tar_and_sha256sum_read_it(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    names = subprocess.run(["tar", "-tf", path], check=True, capture_output=True, text=True).stdout.split()
    assert names == ["manifest.json", "state.age", "config.age", "names.age", "snapshot.age", "SHA256SUMS"]
    subprocess.run(["tar", "-xf", path, "-C", tmp_path], check=True)
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    sums = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert sums.split()[0] == archive.check(path).digest


def test_one_that_tar_made_is_read(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    subprocess.run(["tar", "-xf", path, "-C", tmp_path], check=True)
    again = tmp_path / "again.backup"
    subprocess.run(
        ["tar", "-cf", again, "-C", tmp_path, *(m for m in archive.MEMBERS if (tmp_path / m).exists())], check=True
    )
    assert archive.check(again).digest == archive.check(path).digest


def test_every_cut_and_every_kind_of_flip_is_found(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    content = path.read_bytes()
    end = content.rstrip(b"\0")
    places = [*range(0, len(end), len(end) // 61), len(end) - 1]
    for place in places:
        path.write_bytes(content[:place])
        with pytest.raises(QuorateError, match=sets.NAME):
            archive.check(path)
    path.write_bytes(content)
    with tarfile.open(path) as tar:
        inside = [(info.offset_data, info.size) for info in tar]
    for begin, size in inside:
        for place in (begin, begin + size // 2, begin + size - 1):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(QuorateError, match=sets.NAME):
                archive.check(path)


@pytest.mark.parametrize("member", archive.MEMBERS[2:] + archive.MEMBERS[:1])
def test_a_member_that_is_missing_or_another_set_s(tmp_path: Path, member: str) -> None:
    whole, other = tmp_path / "whole", tmp_path / "other"
    for folder, name in ((whole, sets.NAME), (other, sets.NAME)):
        path = sets.backup(folder, name, host=folder.name)
        subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
    order = [name for name in archive.MEMBERS if (whole / name).exists()]

    def again() -> Path:
        path = tmp_path / "again.backup"
        subprocess.run(
            ["tar", "-cf", path, "-C", whole, *(name for name in order if (whole / name).exists())], check=True
        )
        return path

    (other / member).replace(whole / member)
    with pytest.raises(QuorateError, match="is not as it was written"):
        archive.check(again())
    (whole / member).unlink()
    with pytest.raises(QuorateError, match=f"{member} is missing"):
        archive.check(again())


def test_what_does_not_belong_there(tmp_path: Path) -> None:
    path = tmp_path / "x.backup"
    content = sets.bundle()
    archive.write(path, [*sets.parts(sets.manifest(content), content), ("../evil", lambda out: out.write(b"x"))])
    with pytest.raises(QuorateError, match=r"'\.\./evil' does not belong into a backup"):
        archive.check(path)
    path.write_bytes(b"no tar")
    with pytest.raises(QuorateError, match="is not a whole backup"):
        archive.check(path)
    with pytest.raises(QuorateError, match="can't be read: No such file"):
        archive.check(tmp_path / "none.backup")


def test_parts_of_two_clusters(tmp_path: Path) -> None:
    with pytest.raises(QuorateError, match="of the cluster c, its manifest of d"):
        archive.open_set(sets.backup(tmp_path, cluster="d"), keys())
    with pytest.raises(QuorateError, match="state folder in it is not the one of its manifest"):
        archive.open_set(sets.backup(tmp_path, state=sets.StateMark(7, "0" * 64)), keys())
    with pytest.raises(QuorateError, match="is not sealed for this key"):
        archive.open_set(sets.backup(tmp_path), keys(age.make_identity()))


def test_another_snapshot_is_told_and_not_left(tmp_path: Path) -> None:
    told = sets.manifest(sets.bundle()).etcd
    path = sets.backup(tmp_path, etcd=sets.replace(told, sha256="0" * 64))
    with pytest.raises(QuorateError, match="is not the one of its manifest"):
        archive.open_set(path, keys()).snapshot_in(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name]


def test_whole_or_absent(tmp_path: Path) -> None:
    """What fails on the way leaves what was there, and nothing else."""
    path = sets.backup(tmp_path)
    before = path.read_bytes()

    def full(out: object) -> None:
        raise OSError(28, os.strerror(28), str(path))

    with pytest.raises(OSError, match="No space left"):
        archive.write(path, [*sets.parts(sets.manifest(sets.bundle()), sets.bundle())[:2], ("config.age", full)])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_manifest_tells_what_is_wrong() -> None:
    told = json.loads(sets.manifest(sets.bundle()).to_json())
    assert Manifest.from_json(json.dumps(told).encode(), "x") == sets.manifest(sets.bundle())
    assert Manifest.from_json(json.dumps({**told, "proved": None, "more": 1}).encode(), "x").proved is None

    def wrong(**changes: object) -> str:
        with pytest.raises(QuorateError) as caught:
            Manifest.from_json(json.dumps({**told, **changes}).encode(), "x")
        return str(caught.value)

    assert wrong(format=2) == "x: manifest.json has format 2, not 1"
    assert wrong(host=None) == "x: manifest.json: host is not a text of one line"
    assert wrong(host="a\nb") == "x: manifest.json: host is not a text of one line"
    assert wrong(taken_at="yesterday") == "x: manifest.json: taken_at is not a time such as 2026-01-31T02:30:00Z"
    assert wrong(taken_at="2026-01-31T02:30:00").startswith("x: manifest.json: taken_at is not a time")
    assert wrong(etcd=[]) == "x: manifest.json: etcd is not an object"
    assert wrong(etcd={**told["etcd"], "revision": True}) == "x: manifest.json: etcd: revision is not a whole number"
    assert wrong(etcd={**told["etcd"], "keys": {"/a": "1"}}) == "x: manifest.json: etcd: keys is not numbers by name"
    assert wrong(etcd={**told["etcd"], "members": [{"name": "m", "id": -1}]}) == (
        "x: manifest.json: etcd: members[0]: id is not a whole number"
    )
    assert wrong(not_in_it="x") == "x: manifest.json: not_in_it is not a list of texts"
    assert wrong(versions={"etcd": 3}) == "x: manifest.json: versions is not texts by name"
    with pytest.raises(QuorateError, match=r"x: manifest\.json is no JSON"):
        Manifest.from_json(b"{", "x")
