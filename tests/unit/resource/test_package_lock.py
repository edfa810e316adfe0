"""A package manager whose lock somebody else holds: the real lock files, the real dpkg, in a root of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from own_packages import BARE, made, resource
from own_root import OURS, Root

from quorate.core import Action, CommandFailed, Probe, State
from quorate.execute import batch
from quorate.execute.apply import apply
from quorate.plan.step import Plan, Step
from quorate.procedure.destroy import destroy
from quorate.render import package_lock
from quorate.render.prelude import PRELUDE
from quorate.report.event import Event, Said, StepDone
from quorate.resource.package import Packages
from quorate.resource.resource import Resource

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg")
HOLD = """\
import fcntl, os, sys, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o640)
fcntl.lockf(file, fcntl.LOCK_EX if sys.argv[3] == "write" else fcntl.LOCK_SH)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root", (*OURS, "var/lib/dpkg"))


@contextmanager
def held(path: Path, seconds: float, how: str = "write") -> Iterator[int]:
    """Somebody locks the file as dpkg does, for so long; his pid."""
    argv = [sys.executable, "-c", HOLD, str(path), str(seconds), how, "unattended-upgrade"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        try:
            yield child.pid
        finally:
            child.kill()


async def install(root: Root, resource: Resource) -> list[str]:
    """Converge, and what it told meanwhile."""
    told: list[str] = []

    def on_line(line: str) -> None:
        if (text := batch.told(line)) is not None:
            told.append(text)

    for action in resource.converge(await root.state_of(resource)):
        await root.via.run("h", batch.upload(action), blob=action.blob, on_line=on_line)
    return told


@pytest.mark.parametrize("name", ["lock-frontend", "lock"])
async def test_an_install_waits_for_the_lock_and_tells_who_has_it(root: Root, tmp_path: Path, name: str) -> None:
    await root.via.run("h", BARE)
    path = tmp_path / "root/var/lib/dpkg" / name
    with held(path, 3) as pid:
        told = await install(root, resource([made(tmp_path, "q-two")]))
    assert told[0].startswith(f"/var/lib/dpkg/{name} is held by pid {pid} ({sys.executable} -c import fcntl, os, sys")
    assert told[0].endswith("; waiting up to 300 s")
    assert told[1:] == [""], "told once, and that it is over"
    assert set(root.tree()) == {"q-two"}


async def test_after_some_minutes_it_fails_with_the_holder(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_lock, "WAIT_S", 1)
    await root.via.run("h", BARE)
    with held(tmp_path / "root/var/lib/dpkg/lock-frontend", 60) as pid, pytest.raises(CommandFailed) as caught:
        await install(root, resource([made(tmp_path, "q-two")]))
    said = caught.value.stderr
    assert said.startswith(f"after 1 s /var/lib/dpkg/lock-frontend is held by pid {pid} ({sys.executable}")
    assert "systemctl stop unattended-upgrades apt-daily.service" in said
    assert root.tree() == {}
    assert "packages" not in (await root.via.run("h", "ls /var/lib/quorate")).split(), "nothing is noted as ours"


async def test_a_lock_that_only_reads_holds_nobody_up(root: Root, tmp_path: Path) -> None:
    await root.via.run("h", BARE)
    lock = tmp_path / "root/var/lib/dpkg/lock-frontend"
    ask = f"{PRELUDE}{package_lock.waiting()}if holder; then echo $q_pid; else echo free; fi"
    with held(lock, 60) as pid:
        assert await root.via.run("h", ask) == f"{pid}\n"
    with held(lock, 60, "read"):
        assert await root.via.run("h", ask) == "free\n"
    with held(tmp_path / "root/var/lib/dpkg/available", 60):
        assert await install(root, resource([made(tmp_path, "q-two")])) == [], "another file's lock"


async def test_who_is_quicker_is_waited_for(root: Root, tmp_path: Path) -> None:
    """Between the look and the install is a moment; dpkg itself refuses then."""
    await root.via.run("h", BARE)
    made(tmp_path, "q-two")
    tries = f"tries() {{ echo try; dpkg -i '{tmp_path}/q-two_1_all.deb' >/dev/null 2>&1; }}"
    race = f"{PRELUDE}{package_lock.waiting()}unlocked() {{ sleep 1; }}\n{tries}\npatient tries"
    with held(tmp_path / "root/var/lib/dpkg/lock-frontend", 2.5):
        assert (await root.via.run("h", race)).count("try") >= 2
    assert set(root.tree()) == {"q-two"}
    with pytest.raises(CommandFailed, match="exit 3"):
        await root.via.run("h", f"{PRELUDE}{package_lock.waiting()}fails() {{ return 3; }}\npatient fails")


async def test_the_real_dpkg_at_work(root: Root, tmp_path: Path) -> None:
    """Its package's script sleeps; what it brings meanwhile is not taken for ours."""
    await root.via.run("h", BARE)
    slow = made(tmp_path, "q-slow", script="sleep 3")
    work = f"dpkg -i '{tmp_path / slow.filename}' >/dev/null 2>&1 & n=0\n"
    work += "until [ -e /etc/test/q-slow.runs ] || [ $n = 50 ]; do sleep 0.1; n=$((n + 1)); done\n"
    (action,) = [each for each in resource([made(tmp_path, "q-two")]).converge({}) if not each.blob]
    ours = tmp_path / "q-two_1_all.deb"
    put = f"mkdir -p /var/lib/quorate/install; cp '{ours}' /var/lib/quorate/install/\n"
    told: list[str] = []
    await root.via.run("h", f"{PRELUDE}{work}{put}{action.script}\nwait", on_line=told.append)
    assert any("lock" in line and "(dpkg -i" in line for line in told), told
    assert set(root.tree()) == {"q-slow", "q-slow.runs", "q-two"}
    assert await root.via.run("h", "sort -u /var/lib/quorate/packages") == "q-two\n"


SPEC = """\
Name: q-slow
Version: 1
Release: 1
Summary: installs slowly
License: none
BuildArch: noarch
%description
%{summary}
%pre
sleep 3
%files
"""


async def test_the_real_rpm_at_work(tmp_path: Path) -> None:
    """While a package's script sleeps rpm holds its lock; as soon as it is through nobody does."""
    spec, root = tmp_path / "q-slow.spec", Root(tmp_path / "root", (*OURS, "var/lib/rpm"))
    spec.write_text(SPEC)
    await root.via.run("h", f"rpmbuild -bb --quiet -D '_topdir {tmp_path}/build' '{spec}' 2>&1")
    (package,) = tmp_path.glob("build/RPMS/noarch/*.rpm")
    # Debian's rpm wants to be told that it may.
    work = f"rpm -i --force-debian --nodeps --dbpath /var/lib/rpm '{package}' & n=0\n"
    work += "until holder || [ $n = 50 ]; do sleep 0.1; n=$((n + 1)); done\n"
    told = 'echo "$q_lock by $(command_of "$q_pid")"; wait; if holder; then echo held; else echo free; fi'
    said = await root.via.run("h", f"{PRELUDE}{package_lock.waiting()}{work}{told}")
    assert said.startswith("/var/lib/rpm/.rpm.lock by rpm -i --force-debian")
    assert said.endswith("\nfree\n")


async def test_pid_files_of_dnf_yum_and_zypper(tmp_path: Path) -> None:
    root = Root(tmp_path)
    ask = f"{PRELUDE}{package_lock.waiting()}if holder; then echo $q_lock $q_pid; else echo free; fi"
    for path in package_lock.PID_FILES:
        note = f"mkdir -p {path.rpartition('/')[0]}; mount -t tmpfs tmpfs {path.rpartition('/')[0]}; echo"
        assert await root.via.run("h", f"{note} 1 >{path}\n{ask}") == f"{path} 1\n"
        assert await root.via.run("h", f"{note} 4194305 >{path}\n{ask}") == "free\n", "who wrote it is gone"


@dataclass(frozen=True, kw_only=True)
class Teller(Resource):
    """Says something while it works."""

    kind: ClassVar[str] = "teller"

    @property
    def name(self) -> str:
        return "teller"

    @property
    def desired(self) -> State:
        return {"is": "done"}

    def probe(self) -> Probe:
        return Probe("script", "echo is=$(cat /etc/test/done 2>/dev/null)")

    def converge(self, actual: State) -> list[Action]:
        return [Action("tell a b; echo done >/etc/test/done; tell ''")]

    def remove(self) -> list[Action]:
        return [Action("tell going; rm /etc/test/done; false")]


async def test_whoever_watches_is_told(tmp_path: Path) -> None:
    root, events, teller = Root(tmp_path), list[Event](), Teller(host="h")
    outcome = await apply(Plan({teller.key: Step(teller, {})}, {teller.key: frozenset()}), root.via, events.append)
    assert outcome.ok
    assert [event for event in events if isinstance(event, Said)] == [Said("a b", "h"), Said("", "h")]
    assert any(isinstance(event, StepDone) for event in events)


async def test_a_destroy_tells_too_and_keeps_what_failed(tmp_path: Path) -> None:
    root, events, teller = Root(tmp_path), list[Event](), Teller(host="h")
    await root.via.run("h", "echo done >/etc/test/done")
    result = await destroy((teller,), root.via, events.append)
    assert events == [Said("going", "h")]
    assert result.failed == {"h": ["teller/teller: "]}


@pytest.mark.parametrize("manager", ["apt", "dnf", "yum", "zypper"])
async def test_what_the_package_manager_says_is_the_steps_end(root: Root, tmp_path: Path, manager: str) -> None:
    """Programs of its names, for the real ones ask mirrors; the install fails once, then brings a package."""
    (tmp_path / "bin").mkdir()
    install = 'case "$*" in *-s*) ;; *install*q-new*) [ -e /etc/test/may ] && echo q-new >>/etc/test/db;; esac'
    fakes = {"apt-get": install, "dpkg": ":", "rpm": "cat /etc/test/db"}
    fakes |= {manager: install, "dpkg-query": "sed 's/^/installed /' /etc/test/db"}
    for name, text in fakes.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    order = Packages(host="h", purpose="x", packages=("q-new",), manager=manager)  # type: ignore[arg-type]
    (action,) = order.converge({})
    run = f"{PRELUDE}PATH='{tmp_path}/bin':$PATH\n{action.script}"
    await root.via.run("h", "echo q-old >/etc/test/db")
    with pytest.raises(CommandFailed):
        await root.via.run("h", run)
    assert await root.via.run("h", "cat /var/lib/quorate/packages 2>/dev/null || :") == ""
    await root.via.run("h", f"touch /etc/test/may\n{run}")
    assert await root.via.run("h", "cat /var/lib/quorate/packages") == "q-new\n"
