"""Restored members with real etcd: exchanged data, one etcd of all, revisions that only grow, a ghost outside."""

import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from etcd_hosts import Hosts, found
from waiting import within

from quorate.backup.names import Names
from quorate.backup.preview import live
from quorate.component import etcd_restore
from quorate.core import CommandFailed
from quorate.spec.restoring import WEEK, Restoration

DATA = "var/lib/etcd"
PLACE = "/var/lib/etcd"
LINES = {"3.4": ("etcdctl", 0), "3.5": ("etcdutl", WEEK), "3.7": ("etcdutl", WEEK)}
"""By line of etcd: its program, and what it can raise revisions by; Debian's 3.4.23 can't."""
NAMES = ("e1", "e2", "e3")
newest = pytest.mark.parametrize("hosts", ["3.7"], indirect=True)


@pytest.fixture(params=LINES)
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        made = Hosts(tmp_path, found(request.param, tmp_path), stack)
        for name in NAMES:
            made.start(name)
        assert made.healthy(*NAMES)
        yield made


def saved(hosts: Hosts, line: str) -> Restoration:
    """A snapshot of now, on every host where a restore looks for it, with its program."""
    tool, bump = LINES[line]
    at = hosts.work / "e1" / DATA / "snapshot"
    assert hosts.ctl("e1", "snapshot", "save", f"{PLACE}/snapshot").returncode == 0
    revision, content = hosts.revision("e1"), at.read_bytes()
    for name in NAMES:
        folder = hosts.work / name / etcd_restore.FOLDER[1:]
        folder.mkdir(exist_ok=True)
        (folder / "snapshot").write_bytes(content)
        (folder / tool).hardlink_to(hosts.bin / tool)
    at.unlink()
    told = ("4711", "c-1", hashlib.sha256(content).hexdigest(), len(content), revision, {"etcd": line})
    return Restoration(*told, tool=tool, bump=bump)


@pytest.fixture
def line(request: pytest.FixtureRequest, hosts: Hosts) -> str:
    return str(request.node.callspec.params["hosts"])


def fenced(hosts: Hosts) -> None:
    for name in NAMES:
        place = hosts.work / name / etcd_restore.FENCES[1:]
        place.mkdir(exist_ok=True)
        (place / etcd_restore.FENCE).write_text("4711\n")


async def made(hosts: Hosts, restoring: Restoration) -> None:
    context = hosts.context()
    for name in NAMES:
        await hosts.sh(name, etcd_restore.making(context, restoring, context.cluster.host(name)))


async def test_all_members_become_one_etcd_again_and_a_ghost_stays_outside(hosts: Hosts, line: str) -> None:
    assert hosts.ctl("e1", "put", "/registry/a", "kept").returncode == 0
    restoring = saved(hosts, line)
    assert hosts.ctl("e2", "put", "/registry/a", "lost").returncode == 0
    assert hosts.ctl("e2", "put", "/registry/b", "lost").returncode == 0
    latest = hosts.revision("e2")
    context = hosts.context()
    one = etcd_restore.united(context, restoring, context.cluster.host("e1"), after=frozenset())
    if restoring.bump:
        assert await hosts.state(one) == {"ready": "no"}, "what runs has not been restored"
    await made(hosts, restoring)
    assert hosts.get("e3", "/registry/a") == "lost", "making new data touches nothing"
    swaps = [etcd_restore.exchanged(context, restoring, context.cluster.host(name)) for name in NAMES]
    with pytest.raises(CommandFailed) as refused:
        await hosts.converge(swaps[0])
    assert "the fence that keeps etcd down is not there" in refused.value.stderr
    fenced(hosts)
    with pytest.raises(CommandFailed) as refused:
        await hosts.converge(swaps[0])
    assert "etcd runs" in refused.value.stderr
    for name in NAMES:
        hosts.stop(name)
    for swap in swaps:
        assert await hosts.state(swap) == {"restored": "no"}
        await hosts.converge(swap)
        assert await hosts.state(swap) == swap.desired
    for name in NAMES[:2]:
        hosts.start(name, token=restoring.id)
    assert hosts.healthy("e1", "e2")
    assert await hosts.state(one) == {"ready": "no"}, "one is missing"
    hosts.start("e3", token=restoring.id)
    assert hosts.healthy("e3")
    assert within(20, lambda: hosts.revision("e3") == hosts.revision("e1"))
    assert await hosts.state(one) == one.desired
    assert [hosts.get(name, "/registry/a") for name in NAMES] == ["kept"] * 3
    assert hosts.get("e1", "/registry/b") == ""
    assert hosts.ctl("e1", "put", "/registry/c", "new").returncode == 0
    if restoring.bump:
        assert hosts.revision("e1") > latest
        stale = hosts.ctl("e1", "watch", "/registry/", "--prefix", f"--rev={latest + 1}")
        assert "compacted" in stale.stderr + stale.stdout, "whoever watched before has to list anew"
    await ghost(hosts, restoring)


async def ghost(hosts: Hosts, restoring: Restoration) -> None:
    """A member that starts on the data of before, under its old address."""
    (old,) = (hosts.work / "e3" / DATA).glob("before-*")
    hosts.stop("e3")
    await hosts.sh("e3", f"mkdir {PLACE}/old; cp -a {PLACE}/{old.name} {PLACE}/old/member")
    before = (hosts.work / "e3.log").stat().st_size
    hosts.start("e3", data=f"{PLACE}/old")
    said = lambda: (hosts.work / "e3.log").read_bytes()[before:] + (hosts.work / "e1.log").read_bytes()  # noqa: E731
    assert within(20, lambda: b"cluster ID mismatch" in said() or b"cluster-id-mismatch" in said())
    assert hosts.ctl("e1", "put", "/registry/d", "goes on").returncode == 0
    assert hosts.ctl("e3", "get", "/registry/d").returncode != 0, "it does not serve"
    assert hosts.get("e2", "/registry/d") == "goes on"


@newest
async def test_cut_off_anywhere_it_is_done_in_the_end(hosts: Hosts, line: str) -> None:
    assert hosts.ctl("e1", "put", "/registry/a", "kept").returncode == 0
    restoring = saved(hosts, line)
    context, host = hosts.context(), hosts.cluster.host("e1")
    for seconds in (0.02, 0.2, 1.0):
        hosts.cut_off("e1", etcd_restore.making(context, restoring, host), seconds)
    await made(hosts, restoring)
    fenced(hosts)
    for name in NAMES:
        hosts.stop(name)
    # Cut off between the two renames.
    data = hosts.work / "e1" / DATA
    (data / "member").rename(data / "before-1")
    for name in NAMES:
        swap = etcd_restore.exchanged(context, restoring, hosts.cluster.host(name))
        await hosts.converge(swap)
        assert await hosts.state(swap) == swap.desired
    assert (data / "before-1/wal").is_dir()
    assert not list(data.glob("restored-*"))
    for name in NAMES:
        hosts.start(name, token=restoring.id)
    assert hosts.healthy(*NAMES)
    assert hosts.get("e2", "/registry/a") == "kept"


@newest
async def test_members_that_were_restored_apart_are_found(hosts: Hosts, line: str) -> None:
    restoring = saved(hosts, line)
    for name in NAMES:
        await hosts.sh(name, etcd_restore.making(hosts.context(name), restoring, hosts.cluster.host(name)))
    fenced(hosts)
    for name in NAMES:
        hosts.stop(name)
        await hosts.converge(etcd_restore.exchanged(hosts.context(), restoring, hosts.cluster.host(name)))
        hosts.start(name, token=restoring.id)
    assert hosts.healthy(*NAMES), "each is well, and leads itself"
    one = etcd_restore.united(hosts.context(), restoring, hosts.cluster.host("e1"), after=frozenset())
    assert await hosts.state(one) == {"ready": "no"}


@newest
async def test_a_snapshot_that_is_not_whole_is_refused_before_anything_stops(hosts: Hosts, line: str) -> None:
    restoring = saved(hosts, line)
    place = hosts.work / "e1" / etcd_restore.SNAPSHOT[1:]
    whole = place.read_bytes()
    context, host = hosts.context(), hosts.cluster.host("e1")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for wrong in (whole[: len(whole) // 2], bytes(flipped), b""):
        place.write_bytes(wrong)
        with pytest.raises(CommandFailed):
            await hosts.sh("e1", etcd_restore.making(context, restoring, host))
    place.write_bytes(whole)
    large = replace(restoring, size=2**50)
    with pytest.raises(CommandFailed) as refused:
        await hosts.sh("e1", etcd_restore.making(context, large, host))
    assert "new data beside the old ones need" in refused.value.stderr
    assert hosts.healthy(*NAMES)


@newest
async def test_what_the_last_of_three_has_comes_back_on_all_of_them(hosts: Hosts, line: str) -> None:
    assert hosts.ctl("e2", "put", "/registry/a", "acknowledged").returncode == 0
    assert within(20, lambda: hosts.get("e1", "/registry/a") == "acknowledged")
    for name in ("e2", "e3"):
        hosts.stop(name)
        shutil.rmtree(hosts.work / name / DATA / "member")
    assert hosts.ctl("e1", "put", "/registry/a", "nobody heard", "--command-timeout=2s").returncode != 0
    for _ in range(60):  # a leader alone finds out after an election's time
        told = await live(hosts.cluster, hosts.via)
        if not told.led:
            break
        await asyncio.sleep(0.5)
    assert (list(told.revisions), told.led) == (["e1"], False)
    restoring = saved(hosts, line)
    await made(hosts, restoring)
    fenced(hosts)
    hosts.stop("e1")
    for name in NAMES:
        await hosts.converge(etcd_restore.exchanged(hosts.context(), restoring, hosts.cluster.host(name)))
        hosts.start(name, token=restoring.id)
    assert hosts.healthy(*NAMES)
    assert [hosts.get(name, "/registry/a") for name in NAMES] == ["acknowledged"] * 3
    assert list((hosts.work / "e1" / DATA).glob("before-*/wal/*.wal")), "the survivor's own data lie aside"
    now = await live(hosts.cluster, hosts.via)
    assert (len(now.revisions), now.led, now.names) == (3, True, Names.of(["/registry/a"]))
