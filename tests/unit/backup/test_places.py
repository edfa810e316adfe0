"""Where backups lie: a folder, what its listing says, and what is joined from several places."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import backup_sets as sets
import pytest
from state_folders import cluster

from quorate.backup import archive
from quorate.backup.catalog import Found, catalog, named
from quorate.backup.places import FolderPlace, default_folder, local_folder
from quorate.backup.proof import Proof, from_host
from quorate.backup.where import places
from quorate.core import QuorateError
from quorate.spec.cluster import Backup, Cluster

OTHER = "c-20261124T120000Z-0123abcd"


def proof(path: Path, level: int) -> Path:
    """A proof beside a set."""
    note = path.with_suffix(".proof.json")
    told = Proof(archive.check(path).digest, level, "2026-11-25T00:00:00Z", "here", {"keys": 1})
    note.write_bytes(told.to_json())
    return note


async def test_a_folder_keeps_what_it_is_given(tmp_path: Path) -> None:
    path = sets.backup(tmp_path / "here")
    place = FolderPlace(tmp_path / "there/deeper")
    assert await place.listing() == []
    await place.put(path)
    await place.put(path)
    assert [(each.name, each.size) for each in await place.listing()] == [(path.name, path.stat().st_size)]
    kept = tmp_path / "there/deeper" / path.name
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    await FolderPlace(path.parent).put(path)
    assert path.read_bytes() == kept.read_bytes() != b""
    await place.get(path.name, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert await place.head(path.name, 512) == path.read_bytes()[:512]
    await place.remove(path.name)
    await place.remove(path.name)
    assert await place.listing() == []


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = FolderPlace(tmp_path / "file")
    for act in (place.put(sets.backup(tmp_path / "here")), place.listing(), place.head("x", 1)):
        with pytest.raises(QuorateError, match="file"):
            await act


async def test_what_there_is(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    proof(sets.backup(one), 1)
    proof(sets.backup(two, proved=None), 2)
    sets.backup(two, OTHER, taken_at="2026-11-24T12:00:00Z", proved=None)
    sets.backup(two, "d-20261124T120000Z-0123abcd")
    (two / "c-20261125T120000Z-0123abcd.backup").write_bytes(b"x" * 2000)
    (two / "notes.txt").touch()
    found, lost = await catalog([FolderPlace(one), FolderPlace(two)], "c")
    assert lost == {}
    assert [(each.name, each.level, len(each.places)) for each in found] == [
        ("c-20261125T120000Z-0123abcd", 0, 1),
        (OTHER, 0, 1),
        (sets.NAME, 2, 2),
    ]
    assert found[0].manifest is None
    assert "is no backup" in found[0].fault
    assert found[0].taken == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert found[2].places == (str(one), str(two))
    told = json.loads(json.dumps(found[2].as_dict()))
    assert (told["level"], told["revision"], told["proved_at"]) == (2, 1234, "2026-11-25T00:00:00Z")
    # The newest that can be read is the one that is meant.
    assert named(found, "").name == OTHER
    assert named(found, f"{sets.NAME}.backup").name == sets.NAME
    with pytest.raises(QuorateError, match="there is no backup x"):
        named(found, "x")
    with pytest.raises(QuorateError, match=r"there is no backup$"):
        named([], "")


async def test_a_place_that_does_not_answer_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sets.backup(tmp_path / "one")
    found, lost = await catalog([FolderPlace(tmp_path / "file"), FolderPlace(tmp_path / "one")], "c")
    assert [each.name for each in found] == [sets.NAME]
    assert list(lost) == [str(tmp_path / "file")]


async def test_a_proof_that_is_damaged_proves_nothing(tmp_path: Path) -> None:
    path = sets.backup(tmp_path, proved=None)
    path.with_suffix(".proof.json").write_text("{")
    [found], _ = await catalog([FolderPlace(tmp_path)], "c")
    assert found.level == 0
    assert "is no JSON" in found.fault


async def test_a_long_manifest_is_read_too(tmp_path: Path) -> None:
    sets.backup(tmp_path, not_in_it=tuple(f"persistent volume {'x' * 200}-{number}" for number in range(1000)))
    [found], _ = await catalog([FolderPlace(tmp_path)], "c")
    assert found.manifest is not None
    assert len(found.manifest.not_in_it) == 1000


def test_where_they_lie(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    bare = cluster()
    assert local_folder(bare, file, None) == default_folder(file) == tmp_path / "backups"
    assert local_folder(bare, file, Path("/elsewhere")) == Path("/elsewhere")
    two = of(bare, places=[{"folder": "/srv/a"}, {"folder": "/srv/b"}])
    assert local_folder(two, file, None) == Path("/srv/a")
    assert [each.name for each in places(two, Path("/srv/a"))] == ["/srv/a", "/srv/b"]
    assert [each.name for each in places(two, Path("/elsewhere"))] == ["/elsewhere", "/srv/a", "/srv/b"]


def of(bare: Cluster, **told: object) -> Cluster:
    return bare.model_copy(update={"backup": Backup.model_validate(told)})


def test_what_the_host_has_proved() -> None:
    told = sets.manifest(sets.bundle())
    proof = from_host(told, "d" * 64)
    assert proof == Proof("d" * 64, 1, "2026-11-23T12:00:10Z", "m1", {"revision": 1234, "keys": 15, "hash": 99})
    assert Proof.from_json(proof.to_json(), "x") == proof
    assert from_host(replace(told, proved=None), "d" * 64) is None
    assert Found(sets.NAME, ("x",), 1, told, None).level == 1
