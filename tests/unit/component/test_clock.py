"""NTP servers: written for the daemon that runs, beside what the host's own files say, and taken out again whole."""

from pathlib import Path

import programs
import pytest
from own_root import Root
from preflight_world import judged, spoken, world

from quorate.component import clock
from quorate.core import Action
from quorate.execute import batch
from quorate.plan.step import difference
from quorate.report.findings import Status
from quorate.resource.system import Setting
from quorate.spec.cluster import Os

OURS = clock.servers("h", ("10.0.0.1", "ntp.example.org"))
DEBIAN = "pool 2.debian.pool.ntp.org iburst\nsourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\n"
LINES = "# begin quorate\nserver 10.0.0.1 iburst prefer\nserver ntp.example.org iburst prefer\n# end quorate\n"
SYSTEMCTL = """\
#!/bin/sh
# is-active -q UNIT: the one that `runs` names; all else is noted.
if [ "$1" = is-active ]; then [ "$3" = "$(cat /etc/test/runs)" ]; exit; fi
echo "$*" >>/run/quorate/log
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A host whose systemctl is a note."""
    it = Root(tmp_path, ("etc/test", "var/lib/quorate", "run/quorate", "etc/chrony", "etc/systemd", "usr/local/sbin"))
    for name, text in (("systemctl", SYSTEMCTL), ("chronyc", '#!/bin/sh\necho "chronyc $*" >>/run/quorate/log\n')):
        (tmp_path / "usr/local/sbin" / name).write_text(text)
        (tmp_path / "usr/local/sbin" / name).chmod(0o755)
    return it


def runs(root: Root, daemon: str) -> Path:
    (root.etc / "runs").write_text(daemon)
    return root.etc.parents[1] / "etc"


def log(root: Root) -> str:
    return (root.etc.parents[1] / "run/quorate/log").read_text()


async def undone(root: Root, resource: Setting) -> None:
    for action in resource.remove():
        await root.via.run("h", batch.upload(Action(action.script)))


async def test_chrony_gets_a_file_of_its_own_and_keeps_what_it_had(root: Root) -> None:
    etc = runs(root, "chronyd")
    (etc / "chrony/chrony.conf").write_text(DEBIAN)
    await root.settles(OURS)
    assert (etc / "chrony/sources.d/quorate.sources").read_text() == LINES
    assert (etc / "chrony/chrony.conf").read_text() == DEBIAN
    assert "chronyc reload sources" in log(root)
    fewer = clock.servers("h", ("10.0.0.1",))
    assert difference(fewer.desired, await root.state_of(fewer))
    await root.settles(fewer)
    await undone(root, OURS)
    assert not (etc / "chrony/sources.d/quorate.sources").exists()
    assert (etc / "chrony/chrony.conf").read_text() == DEBIAN


async def test_an_older_chrony_gets_a_block_in_its_only_file(root: Root) -> None:
    etc = runs(root, "chrony")
    before = "server time.site.example iburst\ndriftfile /var/lib/chrony/drift\n"
    (etc / "chrony/chrony.conf").write_text(before)
    await root.settles(OURS)
    assert (etc / "chrony/chrony.conf").read_text() == before + LINES
    assert "try-restart chrony" in log(root)
    await undone(root, OURS)
    assert (etc / "chrony/chrony.conf").read_text() == before


async def test_timesyncd_gets_a_drop_in_and_leaves_it_when_chrony_comes(root: Root) -> None:
    etc = runs(root, "systemd-timesyncd")
    own = "[Time]\nNTP=time.site.example\n"
    (etc / "systemd/timesyncd.conf").write_text(own)
    await root.settles(OURS)
    drop = etc / "systemd/timesyncd.conf.d/zz-quorate.conf"
    assert drop.read_text() == "# begin quorate\n[Time]\nNTP=10.0.0.1 ntp.example.org\n# end quorate\n"
    runs(root, "chronyd")
    (etc / "chrony/chrony.conf").write_text(DEBIAN)
    await root.settles(OURS)
    assert not drop.parent.exists()
    assert (etc / "systemd/timesyncd.conf").read_text() == own


async def test_somebody_who_takes_a_server_out_is_seen(root: Root) -> None:
    etc = runs(root, "chronyd")
    (etc / "chrony/chrony.conf").write_text(DEBIAN)
    await root.settles(OURS)
    ours = etc / "chrony/sources.d/quorate.sources"
    ours.write_text(LINES.replace("server 10.0.0.1 iburst prefer\n", ""))
    await root.sees(OURS, "servers")


async def test_without_a_daemon_that_is_known_nothing_is_written(root: Root) -> None:
    runs(root, "ntpd")
    assert difference(OURS.desired, await root.state_of(OURS))
    (action,) = OURS.converge({})
    with pytest.raises(Exception, match="neither chrony nor systemd-timesyncd runs"):
        await root.via.run("h", batch.upload(action))


async def test_the_real_chrony_reads_what_is_written(root: Root) -> None:
    """`chronyd -p` prints the configuration as it understands it."""
    chronyd, environment = programs.find("chronyd")
    etc = runs(root, "chronyd")
    (etc / "chrony/conf.d").mkdir(parents=True)
    (etc / "chrony/chrony.conf").write_text("confdir /etc/chrony/conf.d\ndriftfile /var/lib/chrony/drift\n")
    await root.settles(OURS)
    assert (etc / "chrony/conf.d/quorate.conf").exists()
    words = " ".join(f"{name}={text}" for name, text in environment.items())
    said = await root.via.run("h", f"{words} {chronyd} -p -f /etc/chrony/chrony.conf")
    assert "server ntp.example.org iburst prefer" in said


async def test_the_real_timesyncd_reads_what_is_written(root: Root) -> None:
    runs(root, "systemd-timesyncd")
    await root.settles(OURS)
    said = await root.via.run("h", "systemd-analyze cat-config systemd/timesyncd.conf")
    assert "NTP=10.0.0.1 ntp.example.org" in said


@pytest.mark.parametrize(
    ("daemon", "said", "status", "words"),
    [
        ("chronyd", "/etc/chrony/chrony.conf pool 2.debian.pool.ntp.org iburst", Status.PASSED, "2.debian.pool"),
        ("chronyd", "", Status.PASSED, "chronyd"),
        ("systemd-timesyncd", "/etc/systemd/timesyncd.conf NTP=a.site", Status.WARNED, "asks first"),
        ("systemd-timesyncd", "/etc/chrony/chrony.conf pool x", Status.PASSED, "systemd-timesyncd"),
        ("ntpd", "", Status.FAILED, "ntpd runs"),
    ],
)
def test_the_preflight_tells_what_is_there_already(daemon: str, said: str, status: Status, words: str) -> None:
    there = world(
        facts={"m1": {"time_sync": daemon}},
        answers=spoken("m1", "time-servers", said),
        os=Os(ntp_servers=("10.0.0.1",)),
    )
    found = judged(there, "time-sync", "m1")
    assert found is not None
    assert found[0] is status
    assert words in found[1]
