"""etcd's disk, by real programs: what a blank one leaves, what is missing, and that no member starts on another."""

import re
import shutil
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import built
import pytest
from own_root import OURS, Root
from past_clusters import THREE, E, M, W, ancestors, cluster, context, ids, member, named, resource, without
from preflight_world import judged, world
from staging import compile_cluster

from quorate.component import etcd_disk, membership
from quorate.core import CommandFailed, Key
from quorate.execute import facts
from quorate.plan import guard
from quorate.preflight import syncs
from quorate.render import mounts
from quorate.render.etcd_disk import BEGIN, JOIN, REMAINS, has_log
from quorate.render.sh import sh
from quorate.resource.file import DataDirectory, File
from quorate.resource.system import Setting
from quorate.resource.unit import Unit
from quorate.spec.facts import Facts, Unmounted
from quorate.spec.layout import BIN, ETCD_DISK
from quorate.spec.ports import ETCD_METRICS

DATA = "/var/lib/etcd"
M1 = cluster(THREE).host("m1")
LOG = f"mkdir -p {DATA}/member/wal; : >{DATA}/member/wal/0000000000000000-0000000000000000.wal"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A host whose /var/lib/etcd is a disk of its own: `umount` shows what lies below it."""
    return Root(tmp_path, (*OURS, DATA[1:]))


def disk(*, blank: bool, joins: bool = False) -> Setting:
    return replace(etcd_disk.prepared(M1, DATA, blank=blank, joins=joins), host="h")


async def starts(root: Root, before: str = ":") -> str:
    """Why etcd would not start; empty when it would."""
    try:
        await root.via.run("h", f"{before}\n{sh(*etcd_disk.own(DATA).argv)}")
    except CommandFailed as error:
        return error.stderr
    return ""


async def test_a_member_starts_on_its_own_disk_alone(root: Root) -> None:
    assert "the disk is not mounted, or is a new one" in await starts(root)
    await root.settles(disk(blank=True))
    assert (root.state / "etcd-disk").read_text() == f"{DATA}\n"
    assert await starts(root) == ""
    await root.via.run("h", f"{LOG}\n{sh(*etcd_disk.begun().argv)}")
    assert await starts(root) == ""
    assert f"was mounted at {DATA}, now it is" in await starts(root, f"umount {DATA}; {LOG}")
    assert "the disk is not mounted" in await starts(root, f"umount {DATA}; mkdir -p {DATA}")
    # A disk in its place that is new, though the host did not reboot; one with the data, brought back by other means.
    assert "or is a new one" in await starts(root, f"rm -r {DATA}/member; mkdir -p {DATA}/member/snap")
    assert await starts(root, LOG) == ""
    # Data that moved to a disk of their own, from a folder of the system's disk.
    assert await starts(root, f"echo / >{ETCD_DISK}") == ""


async def test_a_cluster_from_before_is_noted_and_has_nothing_to_do_again(root: Root) -> None:
    await root.via.run("h", LOG)
    await root.settles(disk(blank=False))
    assert (root.state / "etcd-disk").exists()
    assert await root.via.run("h", f"ls {BEGIN} 2>/dev/null || :") == ""
    await root.remove(disk(blank=False))
    assert not (root.state / "etcd-disk").exists()


@pytest.mark.parametrize("joins", [False, True])
async def test_only_what_a_failed_start_left_is_taken_away(root: Root, joins: bool) -> None:
    left = f"mkdir -p {DATA}/member/snap; head -c 20000 /dev/zero >{DATA}/member/snap/db"
    await root.via.run("h", left)
    with pytest.raises(CommandFailed) as lost:
        await root.converge(disk(blank=False))
    assert "has lost the data of its member since the plan was made" in lost.value.stderr
    await root.settles(disk(blank=True, joins=joins))
    assert await root.via.run("h", f"ls {DATA}") == ""
    # Who joins is allowed to begin by the step that lets it in.
    assert (await starts(root) == "") is not joins
    assert await starts(root, f"echo x >{JOIN}") == ""
    await root.via.run("h", f"{left.replace('20000', '400000')}; rm -f {BEGIN}")
    with pytest.raises(CommandFailed) as full:
        await root.converge(disk(blank=True, joins=joins))
    assert "kB and no log of etcd's (wal): move it away" in full.value.stderr
    assert await root.via.run("h", f"ls {DATA}/member/snap") == "db\n"


def etcd(work: Path) -> Path:
    """The newest etcd that was built here."""
    found = built._cached("etcd")
    if not found:
        pytest.skip("no etcd was built here: `quorate build` does")
    blobs = found[max(found, key=built.numbers)]
    return built._unpack({"etcd": blobs["etcd"]}, work / "bin") / "etcd"


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def told(client: str) -> str:
    """How etcd counts its syncs, asked as the preflight asks it."""
    there = world(established=True, facts={"m1": {"running": frozenset({"etcd.service"})}})
    text = syncs._ask_etcd(there, there.cluster.host("m1")).replace(f"http://127.0.0.1:{ETCD_METRICS}", client)
    # The door opens after the log is there.
    again = f'n=0; until said=$({text}) && [ -n "$said" ]; do n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done'
    said = subprocess.run(["sh", "-c", f'{again}; echo "$said"'], capture_output=True, text=True, check=True).stdout
    verdict = judged(replace(there, answers={"m1": {"syncs of etcd": said}}), "fsync", "m1")
    assert verdict is not None
    return verdict[1]


def test_the_real_etcd_leaves_a_database_on_a_blank_disk_and_a_log_when_it_runs(tmp_path: Path) -> None:
    program, folder = etcd(tmp_path), tmp_path / "data"
    peer, client, other = (f"http://127.0.0.1:{free()}" for _ in range(3))

    def start(*more: str) -> "subprocess.Popen[str]":
        given = {"name": "a", "data-dir": folder, "listen-peer-urls": peer, "initial-advertise-peer-urls": peer}
        given |= {"listen-client-urls": client, "advertise-client-urls": client}
        flags = [f"--{name}={value}" for name, value in given.items()]
        return subprocess.Popen([program, *flags, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def holds() -> bool:
        said = subprocess.run(["sh", "-c", has_log(str(folder))], check=False)
        return said.returncode == 0

    lost = start(f"--initial-cluster=a={peer},b={other}", "--initial-cluster-state=existing")
    said, _ = lost.communicate(timeout=30)
    assert "cannot fetch cluster info" in said
    assert (folder / "member/snap/db").exists()
    assert not holds()
    kilobytes = subprocess.run(["du", "-sk", folder / "member"], check=True, capture_output=True, text=True).stdout
    assert int(kilobytes.split()[0]) < REMAINS

    shutil.rmtree(folder)
    runs = start(f"--initial-cluster=a={peer}")
    try:
        end = time.monotonic() + 20
        while not holds() and time.monotonic() < end:
            time.sleep(0.1)
        counts = told(client)
    finally:
        runs.terminate()
        runs.communicate(timeout=10)
    assert holds()
    assert re.match(r"p99 [0-9.]+ ms, median [0-9.]+ ms of [0-9]+ syncs of etcd since its start", counts)


async def test_facts_take_a_log_for_data_and_nothing_else(root: Root) -> None:
    async def seen(before: str) -> bool:
        return facts.parse(await root.via.run("h", f"{before}\n{facts.script(cluster(THREE), M1)}")).etcd_member

    assert not await seen(f"mkdir -p {DATA}/member/snap; echo db >{DATA}/member/snap/db")
    assert not await seen(f"mkdir -p {DATA}/member/wal; : >{DATA}/member/wal/0.tmp")
    assert await seen(f": >{DATA}/member/wal/0000000000000000-0000000000000000.wal")


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (":", None),
        (f"echo '/dev/sdb {DATA}/ ext4 nofail 0 2' >/etc/fstab", None),
        (f"umount {DATA}; echo '/dev/sdb\t{DATA}/ ext4 nofail 0 2' >/etc/fstab", Unmounted(DATA, "/etc/fstab")),
        (f"umount {DATA}; echo '# /dev/sdb {DATA} ext4 nofail 0 2' >/etc/fstab", None),
        (f"umount {DATA}; echo '/dev/sdb /var/lib/etcd2 ext4' >/etc/fstab", None),
        (f"echo '/dev/sdb {DATA}/member/wal ext4' >/etc/fstab", Unmounted(f"{DATA}/member/wal", "/etc/fstab")),
        ("echo '/dev/sdb none swap sw 0 0' >/etc/fstab", None),
        (f"umount {DATA}; echo {DATA} >{ETCD_DISK}", Unmounted(DATA, ETCD_DISK)),
        (f"echo {DATA} >{ETCD_DISK}", None),
        (f"umount {DATA}; echo / >{ETCD_DISK}", None),
        (f"umount {DATA}; UNIT=var-lib-etcd.mount LOAD=loaded", Unmounted(DATA, "var-lib-etcd.mount")),
        (f"umount {DATA}; UNIT=var-lib-etcd.mount LOAD=not-found", None),
        ("UNIT=var-lib-etcd.mount LOAD=loaded", None),
        (f"umount {DATA}; mkdir -p /var/lib/x; rmdir {DATA}; ln -s /var/lib/x {DATA}; "
         "echo '/dev/sdb /var/lib/x ext4' >/etc/fstab", Unmounted("/var/lib/x", "/etc/fstab")),
    ],
)  # fmt: skip
async def test_a_disk_that_is_not_mounted(root: Root, before: str, told: Unmounted | None) -> None:
    fake = (
        "UNIT=; LOAD=; : >/etc/fstab\n"
        'systemctl() { [ -z "$UNIT" ] || printf "Id=%s\\nLoadState=%s\\n" "$UNIT" "$LOAD"; }\n'
    )
    said = await root.via.run("h", f"set -e\n{fake}{before}\nset +e\n{mounts.script(DATA)}")
    assert facts.unmounted([line.removeprefix("unmounted=") for line in said.splitlines()]) == told


def test_mount_units_are_named_as_systemd_names_them() -> None:
    if not shutil.which("systemd-escape"):
        pytest.skip("needs systemd-escape")
    for path in (DATA, "/data/etcd-main", "/srv/a_b.c/x--y"):
        real = subprocess.run(
            ["systemd-escape", "-p", "--suffix=mount", path], check=True, capture_output=True, text=True
        ).stdout
        assert f"{mounts.unit(path)}\n" == real


def test_a_member_with_a_blank_disk_is_refused_and_replaced_when_it_is_meant() -> None:
    three = cluster(THREE)
    gone = context(three, empty=frozenset({"m3"}))
    told = dict(gone.facts.hosts)
    told["m3"] = replace(told["m3"], unmounted=Unmounted(DATA, "/etc/fstab"))
    said = "\n".join(str(each) for each in guard.refusals(replace(gone, facts=Facts(told)), ids(three)))
    assert f"its etcd data is gone from {DATA}: {DATA} is a mount point by /etc/fstab, and nothing is mounted" in said
    assert "--replace m3" in said
    meant = replace(gone, replaced=frozenset({"m3"}))
    assert guard.refusals(meant, ids(three)) == []
    compiled = compile_cluster(meant)
    joins, mine = Key("m3", "setting", "membership in etcd"), Key("m3", "setting", "disk of etcd")
    assert mine in ancestors(compiled, joins)
    (stale,) = named(compiled, f"etcd member m3 ({member('m3').id})")
    assert stale in ancestors(compiled, joins)
    assert "rm -rf -- /var/lib/etcd/member" in resource(compiled, mine).script  # type: ignore[attr-defined]


def test_members_that_grow_and_that_run_are_told_apart() -> None:
    compiled = compile_cluster(context(cluster({**without("m3"), "n1": (W, E), "m4": (M, E)}), cluster(THREE)))
    what = {host: resource(compiled, Key(host, "setting", "disk of etcd")) for host in ("m1", "n1", "m4")}
    blank = {host for host, each in what.items() if "rm -rf --" in each.script}  # type: ignore[attr-defined]
    assert blank == {"n1", "m4"}
    # Who is let in is started then. In a first build nobody would start what was stopped on its way.
    assert {host for host, each in what.items() if "systemctl stop" in each.script} == blank  # type: ignore[attr-defined]
    first = compile_cluster(replace(context(cluster(THREE), empty=frozenset(THREE)), established=None, former=()))
    assert "systemctl stop" not in resource(first, Key("m1", "setting", "disk of etcd")).script  # type: ignore[attr-defined]
    # Noted before it is restarted for its new unit, and that one after the other.
    unit = Key("m1", "unit", "etcd.service")
    assert what["m1"].key in ancestors(compiled, unit)


def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    compiled = compile_cluster(context(cluster(THREE)))
    text = resource(compiled, Key("m1", "file", "/etc/systemd/system/etcd.service")).content  # type: ignore[attr-defined]
    assert isinstance(resource(compiled, Key("m1", "unit", "etcd.service")), Unit)
    assert text.index("/member/wal/") < text.index("ExecStart=")
    assert f"ExecStartPost=-+/bin/rm -f {BEGIN} {JOIN}\n" in text
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    path = tmp_path / "etcd.service"
    path.write_text(text.replace("/opt/kubernetes/bin/etcd ", "/bin/true ").replace("User=etcd", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "etcd.service:" not in done.stderr, done.stderr


async def test_a_mount_point_with_lost_and_found_is_emptied(tmp_path: Path) -> None:
    root = Root(tmp_path)
    data = DataDirectory(host="h", path="/etc/test/data", mode="0700", owner="root:root")
    (root.etc / "data/lost+found").mkdir(parents=True)
    await root.converge(data)
    await root.converge(File(host="h", path="/etc/test/data/db", content="x"))
    await root.remove(data)
    assert set(root.tree()) == {"data", "data/lost+found"}


@pytest.mark.parametrize(
    ("data", "learner", "seen"), [(False, "false", "no"), (True, "true", "no"), (True, "false", "yes")]
)
def test_the_vote_of_a_member_that_is_gone_is_not_that_of_the_one_to_come(
    tmp_path: Path, data: bool, learner: str, seen: str
) -> None:
    """On a host whose disk is blank etcdctl is there, and the list has the old member at the same address."""
    etcdctl = tmp_path / "etcdctl"
    line = f"8e9e05c52164694d, started, m1, https://{M1.ip}:2380, https://{M1.ip}:2379, {learner}"
    etcdctl.write_text(f"#!/bin/sh\necho '{line}'\n")
    etcdctl.chmod(0o755)
    if data:
        (tmp_path / "member/wal").mkdir(parents=True)
        (tmp_path / "member/wal/0.wal").touch()
    check = membership.promoted(membership.Ctl(M1, (M1,)), str(tmp_path)).check.replace(f"{BIN}/etcdctl", str(etcdctl))
    assert subprocess.run(["sh", "-c", check], capture_output=True, text=True, check=True).stdout == f"voter={seen}\n"
