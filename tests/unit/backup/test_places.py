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
from quorate.backup.host_place import HostPlace
from quorate.backup.places import FolderPlace, default_folder, local_folder
from quorate.backup.proof import Proof, from_host
from quorate.backup.retention import tidy
from quorate.backup.where import kept_short, places
from quorate.core import QuorateError
from quorate.spec.cluster import Backup, Cluster
from quorate.spec.sections import Keep
from quorate.transport.local import LocalTransport

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
    assert await place.read(path.name, 100, 512) == path.read_bytes()[100:612]
    await place.remove(path.name)
    await place.remove(path.name)
    assert await place.listing() == []


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = FolderPlace(tmp_path / "file")
    for act in (place.put(sets.backup(tmp_path / "here")), place.listing(), place.read("x", 0, 1)):
        with pytest.raises(QuorateError, match="file"):
            await act


async def test_what_there_is(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    proof(sets.backup(one), 1)
    await FolderPlace(two).put(one / f"{sets.NAME}.backup")
    proof(two / f"{sets.NAME}.backup", 2)
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


async def test_a_proof_counts_for_the_set_of_which_it_is_alone(tmp_path: Path) -> None:
    path = sets.backup(tmp_path, proved=None)
    proof(path, 2)
    [found], _ = await catalog([FolderPlace(tmp_path)], "c")
    assert (found.level, found.fault) == (2, "")
    sets.backup(tmp_path, proved=None)
    [found], _ = await catalog([FolderPlace(tmp_path)], "c")
    assert found.level == 0
    assert "is the proof of another set" in found.fault
    assert found.manifest is not None


async def test_what_was_cut_off_is_told_though_it_begins_well(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    proof(path, 2)
    path.write_bytes(path.read_bytes()[:-20_000])
    [found], _ = await catalog([FolderPlace(tmp_path)], "c")
    assert (found.proof, found.digest) == (None, "")
    assert "does not end with SHA256SUMS" in found.fault


async def test_two_sets_of_one_name_are_not_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    sets.backup(one, proved=None)
    proof(sets.backup(two, proved=None), 2)
    [found], _ = await catalog([FolderPlace(one), FolderPlace(two)], "c")
    assert (found.places, found.level) == ((str(one),), 0)
    assert found.fault == f"at {two} is another one of that name"
    (one / f"{sets.NAME}.backup").write_bytes(b"x" * 2000)
    [found], _ = await catalog([FolderPlace(one), FolderPlace(two)], "c")
    assert (found.places, found.level) == ((str(two),), 2)
    assert found.fault == f"at {one} is another one of that name"


async def test_the_end_is_found_whoever_padded_it(tmp_path: Path) -> None:
    path = sets.backup(tmp_path)
    content = path.read_bytes()
    for blocks in (2, 20):
        path.write_bytes(content.rstrip(b"\0"))
        with path.open("ab") as file:
            file.write(b"\0" * (-path.stat().st_size % 512) + b"\0" * 512 * blocks)
        [found], _ = await catalog([FolderPlace(tmp_path)], "c")
        assert (found.digest, found.fault) == (archive.check(path).digest, "")
    for end in (b"", b"\0" * 4096, content[-700:], b"SHA256SUMS\0" + b"x" * 1000):
        assert archive.digest_at_end(end) == ""


async def test_the_last_that_was_proved_stays_though_a_later_one_was_exchanged(tmp_path: Path) -> None:
    names = [f"c-2020010{day}T000000Z-0000000{day}" for day in range(1, 5)]
    for name in names:
        sets.backup(tmp_path, name)
    for name in names[:3]:
        proof(tmp_path / f"{name}.backup", 1)
    sets.backup(tmp_path, names[2])
    place, now, keep = FolderPlace(tmp_path), datetime(2026, 1, 1, tzinfo=UTC), Keep(count=1, days=1)
    assert await tidy(place, "c", keep, now) == [names[0]]
    assert {each.name for each in await place.listing()} == {
        *(f"{name}.backup" for name in names[1:]),
        *(f"{name}.proof.json" for name in names[1:3]),
    }


async def test_what_can_not_be_read_lets_nothing_go(tmp_path: Path) -> None:
    class Deaf(FolderPlace):
        async def read(self, name: str, at: int, size: int) -> bytes:
            raise QuorateError("it does not answer")

    for day in (1, 2, 3):
        proof(sets.backup(tmp_path, f"c-2020010{day}T000000Z-0000000{day}"), 1)
    with pytest.raises(QuorateError, match="it does not answer"):
        await tidy(Deaf(tmp_path), "c", Keep(count=1, days=1), datetime(2026, 1, 1, tzinfo=UTC))
    assert len(await FolderPlace(tmp_path).listing()) == 6


async def test_a_host_is_read_as_a_folder_is(tmp_path: Path) -> None:
    path = sets.backup(tmp_path, proved=None)
    proof(path, 2)
    (tmp_path / ".c-x.backup.scheduled").touch()
    there = HostPlace("h", str(tmp_path), LocalTransport())
    assert await there.read(path.name, 7, 1000) == path.read_bytes()[7:1007]
    [found], lost = await catalog([there], "c")
    assert (found.level, found.fault, lost) == (2, "", {})


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


KEEP, DAILY = {"keep": {"count": 3}}, {"schedule": "daily"}
PLACED = {"places": [{"folder": "/srv/a"}, {"s3": {"endpoint": "https://s3", "bucket": "bkt", "login_file": "/x"}}]}


@pytest.mark.parametrize(
    ("told", "short"),
    [
        ({}, []),
        (PLACED, []),
        (KEEP, ["backups"]),
        (DAILY, []),
        (PLACED | KEEP, ["backups", "/srv/a", "https://s3/bkt"]),
        (PLACED | DAILY, ["/srv/a", "https://s3/bkt"]),
    ],
)
def test_backups_go_only_where_the_file_says_that_they_may(
    tmp_path: Path, told: dict[str, object], short: list[str]
) -> None:
    now, file = of(cluster(), **told), tmp_path / "cluster.yaml"
    found = [each.name for each in kept_short(now, file, places(now, default_folder(file)))]
    assert found == [each.replace("backups", str(tmp_path / "backups")) for each in short]
    named = tmp_path / "of the operator"
    assert str(named) not in [each.name for each in kept_short(now, file, places(now, named))]


def of(bare: Cluster, **told: object) -> Cluster:
    return bare.model_copy(update={"backup": Backup.model_validate(told)})


def test_what_the_host_has_proved() -> None:
    told = sets.manifest(sets.bundle())
    proof = from_host(told, "d" * 64)
    assert proof == Proof("d" * 64, 1, "2026-11-23T12:00:10Z", "m1", {"revision": 1234, "keys": 15, "hash": 99})
    assert Proof.from_json(proof.to_json(), "x") == proof
    assert from_host(replace(told, proved=None), "d" * 64) is None
    assert Found(sets.NAME, ("x",), 1, told, None).level == 1
