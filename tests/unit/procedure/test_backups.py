"""What status says of scheduled backups: their age, places and proofs; what is overdue; what nobody could open."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import backup_sets as sets
import pytest

from quorate.backup import archive
from quorate.backup.proof import Proof
from quorate.execute.survey import View
from quorate.procedure import backups
from quorate.render import backup
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.outlook import Outlook
from quorate.spec.sections import Backup

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
PLACE = {"s3": {"endpoint": "https://s3.example", "bucket": "backups", "login_file": "/nowhere"}}
SUM = "d" * 64
LABEL = "https://s3.example/backups"


def cluster(**given: object) -> Cluster:
    hosts = tuple(
        Host(name=f"m{n}", address=IPv4Address(f"10.0.9.{n}"), roles=(Role.ETCD, Role.CONTROL_PLANE)) for n in (1, 2, 3)
    )
    return Cluster(name="c", hosts=hosts, backup=Backup.model_validate({"schedule": "daily", **given}))


def name(ago: timedelta, digit: int = 1) -> str:
    return f"c-{NOW - ago:%Y%m%dT%H%M%SZ}-0000000{digit}"


def view(*lines: str, old: timedelta = timedelta(days=90)) -> View:
    since = f"since {int((NOW - old).timestamp())}"
    return View(now=NOW, more={"backups": "\n".join([*lines, since])})


def proof(ago: timedelta, level: int, where: str, digest: str = SUM) -> str:
    told = {"set": digest, "level": level, "at": f"{NOW - ago:%Y-%m-%dT%H:%M:%SZ}", "where": where}
    return f"proof {name(ago)} {json.dumps(told)}"


def kept(ago: timedelta) -> str:
    return f"set {name(ago)} 5 {SUM}"


HOURS3, DAYS40 = timedelta(hours=3), timedelta(days=40)


def test_age_place_and_proof_of_the_newest_are_told() -> None:
    at = int((NOW - HOURS3).timestamp())
    found = backups.read(
        cluster(places=[PLACE]),
        {
            "m1": view(kept(DAYS40), proof(DAYS40, 2, "here")),
            "m2": view(kept(HOURS3), proof(HOURS3, 1, "m2"), f"sent {LABEL} {at} {name(HOURS3)}"),
        },
    )
    assert found
    assert found.text == f"3 hours old, on m2, {LABEL}, restored and counted"
    told = found.as_dict()
    assert (told["count"], told["newest"]["level"], told["newest"]["host"]) == (2, 1, "m2")
    assert json.dumps(told)
    assert backups.problems(cluster(places=[PLACE]), found) == []


@pytest.mark.parametrize(
    ("hours", "old", "said"),
    [
        (25, 90, []),
        (27, 90, ["a backup is overdue: the newest is 27 hours old, and 26 hours are the limit"]),
        (None, 90, ["a backup is overdue: there is none, and 26 hours are the limit"]),
        # A cluster that was built an hour ago needs none yet.
        (None, 0, []),
    ],
)
def test_what_is_overdue_is_a_problem(hours: int | None, old: int, said: list[str]) -> None:
    lines = [] if hours is None else [kept(timedelta(hours=hours))]
    found = backups.read(cluster(), {"m1": view(*lines, old=timedelta(days=old, hours=1))})
    assert backups.problems(cluster(), found) == said


def test_a_place_that_gets_none_is_a_problem() -> None:
    given = cluster(places=[PLACE])
    mine = kept(HOURS3)
    found = backups.read(given, {"m1": view(mine)})
    assert backups.problems(given, found) == [f"{LABEL} has got no backup at all"]
    long_ago = int((NOW - timedelta(days=3)).timestamp())
    found = backups.read(given, {"m1": view(mine, f"sent {LABEL} {long_ago} {name(timedelta(days=3))}")})
    assert backups.problems(given, found) == [f"{LABEL} has got no backup for 3 days"]


def test_why_the_last_run_failed_is_told() -> None:
    found = backups.read(cluster(), {"m1": view(kept(HOURS3), "failed no room for a backup")})
    assert backups.problems(cluster(), found) == ["m1: its last backup failed: no room for a backup"]


def test_sets_that_nobody_opens_are_a_warning_and_one_that_was_opened_is_none() -> None:
    lines = [kept(DAYS40), kept(HOURS3), proof(HOURS3, 1, "m1")]
    found = backups.read(cluster(), {"m1": view(*lines, proof(DAYS40, 1, "m1"))})
    (said,) = backups.warnings(cluster(), found)
    assert said.startswith("nobody has opened a backup for 40 days: `quorate backup prove`")
    lines[-1] = proof(HOURS3, 2, "here")
    assert backups.warnings(cluster(), backups.read(cluster(), {"m1": view(*lines)})) == []


def test_the_proof_of_another_set_proves_nothing() -> None:
    found = backups.read(cluster(), {"m1": view(kept(HOURS3), proof(HOURS3, 2, "here", digest="e" * 64))})
    assert found
    assert (found.sets[0].level, found.sets[0].opened) == (0, None)


def test_one_that_was_not_proved_is_a_warning() -> None:
    found = backups.read(cluster(), {"m1": view(kept(HOURS3), f"proof {name(HOURS3)} {{")})
    assert backups.warnings(cluster(), found) == [
        f"{name(HOURS3)} was not proved: its host says why in the journal of quorate-backup.service"
    ]


@pytest.mark.parametrize(
    ("well", "may_fail", "kept_there", "more"),
    [
        (3, 1, True, ""),
        (3, 0, True, ""),  # a balancer must not fail, say
        (2, 0, True, "; the newest backup is 3 hours old"),
        (1, 0, True, "; the newest backup is 3 hours old"),
        (0, 0, False, "; there is no backup"),
    ],
)
def test_where_etcd_can_spare_no_member_the_outlook_tells_what_would_come_back(
    well: int, may_fail: int, kept_there: bool, more: str
) -> None:
    found = backups.read(cluster(), {"m1": view(*([kept(HOURS3)] if kept_there else []))})
    ahead = Outlook(ok=well > 1, may_fail=may_fail, text="so it stands")
    told = backups.foreseen(ahead, cluster(), well, found)
    assert told == Outlook(ok=well > 1, may_fail=may_fail, text=f"so it stands{more}")
    assert backups.foreseen(ahead, cluster(), well, None) == ahead, "without a schedule hosts know of none"


def test_without_a_schedule_nobody_is_asked_and_nothing_is_said() -> None:
    plain = cluster(schedule="")
    assert backups.questions(plain, plain.hosts[0]) == {}
    assert backups.read(plain, {"m1": View(now=NOW)}) is None
    assert backups.problems(plain, None) == backups.warnings(plain, None) == []


def test_other_files_and_other_clusters_sets_are_passed_over(tmp_path: Path) -> None:
    """The script itself, on a folder."""
    for each in ("c-2-20261123T110000Z-00000001.backup", "notes.backup", ".x.scheduled"):
        (tmp_path / each).write_text("12345")
    path = sets.backup(tmp_path, name(HOURS3))
    told = Proof(archive.check(path).digest, 2, "2026-11-23T12:00:00Z", backups.HERE, {})
    path.with_suffix(".proof.json").write_bytes(told.to_json())
    (tmp_path / backup.SENT).write_text(f"{LABEL} 1 {name(HOURS3)}\n")
    said = subprocess.run(["/bin/sh", "-c", backup.asked(str(tmp_path))], capture_output=True, text=True, check=False)
    found = backups.read(cluster(), {"m1": View(now=NOW, more={"backups": said.stdout})})
    assert found
    (mine,) = found.sets
    assert (mine.name, mine.level, mine.opened) == (name(HOURS3), 2, datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert found.sent[LABEL].at == datetime.fromtimestamp(1, UTC)
