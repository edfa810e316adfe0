"""`quorate backup` from words to exit code: when it refuses, what it lists, and what it says."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backup_sets import NAME, backup
from fake_hosts import Hosts

from quorate.backup import archive
from quorate.backup.proof import Proof
from quorate.backup.take import Taken
from quorate.cli import backup as verb
from quorate.cli.main import run


def place(file: Path, **changes: object) -> Path:
    """A backup of the cluster `tiny` in the folder where its backups lie."""
    made = backup(file.parent / "backups", NAME, cluster="tiny", **changes)
    return made.rename(made.with_name(made.name.replace("c-", "tiny-", 1)))


def test_what_was_never_built_has_nothing_to_back_up(
    hosts: Hosts, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backup"]) == 4
    assert "was never built from this folder" in capsys.readouterr().err
    assert hosts.scripts == []
    assert not (file.parent / "backups").exists()


def test_nobody_could_open_it(hosts: Hosts, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = file.parent / ".quorate/tiny"
    state.mkdir(parents=True)
    shutil.copy(file, state / "last-applied.yaml")
    assert run(["backup"]) == 1
    assert "nobody could open a backup" in capsys.readouterr().err
    assert hosts.scripts == []


def test_no_member_answers(hosts: Hosts, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = file.parent / ".quorate/tiny"
    state.mkdir(parents=True)
    shutil.copy(file, state / "last-applied.yaml")
    secret = file.parent / "secret"
    secret.touch(mode=0o600)
    secret.write_text("correct horse battery\n")
    assert run(["passphrase", "--from", str(secret)]) == 0
    capsys.readouterr()
    assert run(["backup"]) == 1
    assert "no member of etcd answers" in capsys.readouterr().err
    assert run(["history", "--json"]) == 0
    [seen] = json.loads(capsys.readouterr().out)["runs"]
    assert (seen["verb"], seen["result"]) == ("backup", "failed")


def test_the_list(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert run(["backup", "list"]) == 0
    assert "There is no backup of tiny" in capsys.readouterr().out
    made = place(file, degraded="1 of 3 members did not answer")
    assert run(["backup", "list"]) == 0
    said = capsys.readouterr().out
    assert made.stem in said
    assert "restored and counted; 1 of 3 members did not answer" in said
    assert run(["backup", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cluster"] == "tiny"
    [one] = told["backups"]
    assert (one["name"], one["level"], one["places"]) == (made.stem, 1, [str(made.parent)])
    assert run(["backup", "list", "--to", str(file.parent / "elsewhere"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backups"] == []


def test_one_that_is_not_whole_is_not_proved(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = place(file)
    content = made.read_bytes()
    made.write_bytes(content[: len(content) // 2])
    assert run(["backup", "prove", made.stem]) == 1
    assert "snapshot.age is cut off" in capsys.readouterr().err
    made.write_bytes(content)
    assert run(["backup", "prove", "--json"]) == 1
    assert "has no passphrase" in capsys.readouterr().out
    assert run(["backup", "prove", "tiny-no-such"]) == 1
    assert "there is no backup tiny-no-such" in capsys.readouterr().err
    assert sorted(each.name for each in made.parent.iterdir()) == [made.name]


OLD = [f"tiny-202001{day:02}T000000Z-0000000{day}" for day in range(1, 5)]


@pytest.fixture
def taken(hosts: Hosts, file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder beside the file, where four old sets lie, of which the second was proved, and each backup is made."""
    state, folder = file.parent / ".quorate/tiny", file.parent / "backups"
    state.mkdir(parents=True)
    shutil.copy(file, state / "last-applied.yaml")
    for name in OLD:
        backup(folder, name, cluster="tiny", proved=None)
    noted = Proof(archive.check(folder / f"{OLD[1]}.backup").digest, 1, "2020-01-02T00:00:00Z", "master01", {})
    (folder / f"{OLD[1]}.proof.json").write_bytes(noted.to_json())

    async def take(*words: object) -> Taken:
        to = next(each for each in words if isinstance(each, Path))
        path = backup(to, f"tiny-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-0123abcd", cluster="tiny")
        whole = archive.check(path)
        return Taken(path, whole.digest, whole.manifest, None, 1, {}, tuple(f"pv{n:02} (rbd)" for n in range(12)))

    async def delivered(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(verb, "take", take)
    monkeypatch.setattr(verb, "recipients", lambda *_: ())
    monkeypatch.setattr(verb, "_undelivered", delivered)
    return folder


def names(folder: Path) -> set[str]:
    return {each.name.removesuffix(archive.SUFFIX) for each in folder.iterdir() if "-2020" in each.name}


def test_without_keep_nothing_goes(taken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backup"]) == 0
    assert "removed" not in capsys.readouterr().out
    assert names(taken) == {*OLD, f"{OLD[1]}.proof.json"}


def test_what_need_not_stay_goes_and_is_told(
    taken: Path, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    file.write_text(file.read_text() + "backup: {keep: {count: 1, days: 1}}\n")
    assert run(["backup", "--to", str(file.parent / "elsewhere")]) == 0
    assert names(taken) == {*OLD, f"{OLD[1]}.proof.json"}
    assert "removed" not in capsys.readouterr().out
    assert run(["backup"]) == 0
    said = capsys.readouterr().out
    assert f"removed   {OLD[3]}, {OLD[2]}, {OLD[0]} at {taken} (backup.keep)" in said
    assert "pv09 (rbd)" in said
    assert "and 2 more: --json names them" in said
    assert names(taken) == {OLD[1], f"{OLD[1]}.proof.json"}, "the last that was proved stays"
    assert run(["history", "--json"]) == 0
    assert {each["result"] for each in json.loads(capsys.readouterr().out)["runs"]} == {"done"}


def test_where_old_ones_can_not_go_the_new_one_is_there(
    taken: Path, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object) -> list[str]:
        raise verb.QuorateError("the disk is read-only")

    monkeypatch.setattr(verb, "tidy", refuses)
    file.write_text(file.read_text() + "backup: {keep: {count: 1, days: 1}}\n")
    assert run(["backup", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], told["not_at"]) == ({}, {})
    assert told["warnings"] == [f"old backups stay at {taken}: the disk is read-only"]
    assert len(told["volumes"]) == 12
