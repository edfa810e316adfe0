"""Backups on simulated hosts, by hand and by the hosts' timer, and a cluster whose data come back from one."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import secrets_search
from course import Site, went_through
from deployed import Deployed
from losses import PASSPHRASE, all_data
from rest import rested
from stand import Stand
from waiting import within

EVERY_MINUTE = '\nbackup: {schedule: "*-*-* *:*:00"}\n'


def with_passphrase(deployed: Deployed, folder: Path) -> Path:
    """Backups are sealed for who knows it; its file."""
    file = folder / "passphrase"
    file.touch(mode=0o600)
    file.write_text(f"{PASSPHRASE}\n")
    deployed.quorate("passphrase", "--from", str(file))
    deployed.quorate("apply", "--yes")
    return file


def comes_back(deployed: Deployed, folder: Path) -> None:
    """Of all members the data are gone: what was acknowledged before the backup is back, and no more; kube-proxies
    follow, all is proved, and no secret of it is where it should not be.
    """
    with_passphrase(deployed, folder)
    site = Site(Stand("test", deployed.file))
    rested()
    with secrets_search.sampled(deployed) as seen:
        outcome = went_through(site, all_data)
    print(outcome)
    assert outcome.lost > 0, "a client wrote after the backup, too"
    known = secrets_search.known(deployed, passphrase=PASSPHRASE.encode())
    assert seen.found(known) == []
    assert secrets_search.searched(deployed, site.said, known) == []
    # It took a new one at the end, of the history that counts now.
    listed = json.loads(deployed.quorate("backup", "list", "--json").stdout)["backups"]
    assert [each["level"] for each in listed] == [1, 1]
    deployed.quorate("verify")


def left_to_the_hosts(deployed: Deployed, folder: Path) -> None:
    """The timer of each etcd host comes, one of them acts; what it took is read through an API server here."""
    secret = with_passphrase(deployed, folder)
    text = deployed.file.read_text()
    deployed.file.write_text(text + EVERY_MINUTE)
    deployed.quorate("apply", "--yes")
    deployed.quorate("plan", code=0)

    members = tuple(f"{host.name}:" for host in deployed.cluster.members)

    def sets() -> dict[str, datetime]:
        """Those on hosts, the newest first, with the times at which they were taken."""
        there = json.loads(deployed.quorate("backup", "list", "--json").stdout)["backups"]
        ours = (each for each in there if any(place.startswith(members) for place in each["places"]))
        return {each["name"]: datetime.fromisoformat(each["taken_at"]) for each in ours}

    assert within(120, lambda: bool(sets()), 2)
    found = sets()
    assert all(later - earlier > timedelta(seconds=20) for later, earlier in pairwise(found.values())), found
    deployed.quorate("backup", "prove", next(iter(found)), "--passphrase-from", str(secret))
    listed = json.loads(deployed.quorate("backup", "list", "--json").stdout)["backups"]
    assert {each["name"]: each["level"] for each in listed}[next(iter(found))] == 2
    assert deployed.json("status")["backups"]["count"] >= 1  # type: ignore[index]
    deployed.file.write_text(text)
    deployed.quorate("apply", "--yes")
    deployed.quorate("plan", code=0)
