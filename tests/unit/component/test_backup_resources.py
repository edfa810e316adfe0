"""The timer on etcd hosts: what lies there, who may read it, what goes with the schedule, what the units say."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from preflight_world import world

from quorate.component import backup
from quorate.component.settings.backup import fingerprints
from quorate.core import Blob
from quorate.plan import gone
from quorate.preflight.check import World
from quorate.render.backup import left
from quorate.resource.file import Binary, Directory, File
from quorate.resource.package import Packages
from quorate.resource.resource import Resource
from quorate.spec.layout import BACKUP, BACKUP_TIMER, BACKUP_UNIT, UNITS
from quorate.spec.sections import Backup

SSH = {"host": "backup.example", "user": "keeper", "path": "/srv/backups", "key": "/k", "known_hosts": "/h"}
S3 = {"endpoint": "https://s3.example", "bucket": "backups", "login_file": "/l", "ca_file": "/c"}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1\n-----END OPENSSH PRIVATE KEY-----\n"
LOGIN = "KEY1:wJalrXUtn\n"


def there(**given: object) -> World:
    """A cluster whose etcd hosts take backups, with what `prepare` reads of the operator's files."""
    plain = world()
    spec = Backup.model_validate({"schedule": "*-*-* 02:30:00 UTC", "places": [{"ssh": SSH}, {"s3": S3}], **given})
    context = replace(
        plain.context,
        cluster=plain.cluster.model_copy(update={"backup": spec}),
        supply=replace(
            plain.context.supply, binaries={**plain.context.supply.binaries, "age": Blob(Path("/a"), "0" * 64, 1)}
        ),
        recipients=("age1first", "age1second"),
        place_keys={0: KEY, 1: LOGIN},
        texts={"hosts-of-place 0": "backup.example ssh-ed25519 AAAA\n", "ca-of-place 1": "PEM\n"},
    )
    return replace(plain, context=context)


def of(host: str, **given: object) -> list[Resource]:
    it = there(**given)
    return list(backup.resources(it.context, it.cluster.host(host)))


def files(resources: list[Resource]) -> dict[str, File]:
    return {each.path: each for each in resources if isinstance(each, File)}


def test_etcd_hosts_get_it_where_there_is_a_schedule_and_nobody_else() -> None:
    assert of("m1")
    assert of("n1") == of("b1") == []
    assert of("m1", schedule="") == []


def test_secrets_are_secret_and_private_and_in_no_script() -> None:
    found = files(of("m1"))
    for path, content in ((f"{BACKUP}/key-0", KEY), (f"{BACKUP}/login-1", LOGIN)):
        assert (found[path].content, found[path].mode, found[path].secret) == (content, "0600", True)
    assert found[f"{BACKUP}/recipients"].content == "age1first\nage1second\n"
    for path, file in found.items():
        if not file.secret:
            assert "b3BlbnNzaC1" not in file.content, path
            assert "wJalrXUtn" not in file.content, path
    folders = {each.path: each.mode for each in of("m1") if isinstance(each, Directory)}
    assert folders == {"/var/lib/quorate-backup": "0700", BACKUP: "0700"}


def test_ssh_is_installed_where_a_place_wants_it() -> None:
    def packages(**given: object) -> list[str]:
        return [name for each in of("m1", **given) if isinstance(each, Packages) for name in each.packages]

    assert packages() == ["openssh-client"]
    assert packages(places=[{"s3": S3}]) == []


def test_backups_stay_when_the_schedule_goes(tmp_path: Path) -> None:
    """The folder is one that goes when it is empty, and what the script leaves in it does not keep it."""
    (folder,) = [each for each in of("m1") if isinstance(each, Directory) and each.path != BACKUP]
    assert not folder.purge
    assert "rmdir" in folder.remove()[0].script
    for name in (".scheduled/x", ".a.scheduled", "sent", "prod-20260101T000000Z-00000001.backup"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["/bin/sh", "-c", left(str(tmp_path))], check=True)
    assert [each.name for each in tmp_path.iterdir()] == ["prod-20260101T000000Z-00000001.backup"]


def test_what_a_former_cluster_had_is_known_without_its_keys() -> None:
    it = there()
    past = gone._past(it.context, it.context.cluster)
    known = {each.key for each in backup.resources(past, it.cluster.host("m1"))}
    assert known == {each.key for each in of("m1")}
    assert set(fingerprints(past.secrets)) == {"ca", "etcd-ca", "front-proxy-ca"}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_takes_the_units_and_the_trial_refuses_no_time(tmp_path: Path) -> None:
    found = files(of("m1"))
    for name in (BACKUP_UNIT, BACKUP_TIMER):
        (tmp_path / name).write_text(found[f"{UNITS}/{name}"].content)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / BACKUP_TIMER, tmp_path / BACKUP_UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [each for each in done.stderr.splitlines() if "quorate-backup" in each and "executable" not in each]
    assert said == []
    assert "Persistent=yes" in found[f"{UNITS}/{BACKUP_TIMER}"].content
    for schedule, code in (("*-*-* 02:30:00 UTC", 0), ("Mon,Thu 03:00", 0), ("every noon", 1)):
        trial = files(of("m1", schedule=schedule))[f"{UNITS}/{BACKUP_TIMER}"].trial
        assert (subprocess.run(["/bin/sh", "-c", trial], capture_output=True, check=False).returncode != 0) is bool(
            code
        )


def test_another_service_makes_another_timer_so_both_are_read_anew() -> None:
    def timer() -> str:
        return files(of("m1"))[f"{UNITS}/{BACKUP_TIMER}"].content

    assert timer() == timer()
    service = files(of("m1"))[f"{UNITS}/{BACKUP_UNIT}"].content
    assert hashlib.sha256(service.encode()).hexdigest() in timer()


def test_age_comes_with_it() -> None:
    (age,) = [each for each in of("m1") if isinstance(each, Binary)]
    assert age.path == "/opt/kubernetes/bin/age"
