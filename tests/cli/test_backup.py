"""`quorate backup` from words to exit code: when it refuses, what it lists, and what it says."""

import json
import shutil
from pathlib import Path

import pytest
from backup_sets import NAME, backup
from fake_hosts import Hosts

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
    assert "is not a whole backup" in capsys.readouterr().err
    made.write_bytes(content)
    assert run(["backup", "prove", "--json"]) == 1
    assert "has no passphrase" in capsys.readouterr().out
    assert run(["backup", "prove", "tiny-no-such"]) == 1
    assert "there is no backup tiny-no-such" in capsys.readouterr().err
    assert sorted(each.name for each in made.parent.iterdir()) == [made.name]
