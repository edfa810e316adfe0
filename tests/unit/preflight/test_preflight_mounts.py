"""Mounts that let no program run: real ones, in a mount namespace of their own, seen by the preflight's own script."""

from dataclasses import replace
from pathlib import Path

import pytest
from own_root import Root
from preflight_world import change, judged, world

from quorate.core import CommandFailed
from quorate.plan.step import Plan
from quorate.preflight.mounts import MOUNTS, Mount, holder
from quorate.report.findings import Status
from quorate.resource.package import Packages

OPT = "mount -t tmpfs -o noexec,nodev,nosuid tmpfs /opt"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


async def seen(root: Root, made: str, host: str, plan: Plan | None = None) -> tuple[Status, str] | None:
    there = replace(world(answers={}), plan=plan)
    answer = await root.via.run("h", f"{made}\n{MOUNTS.sh(there, there.cluster.host(host))}")
    return judged(replace(there, answers={host: {"mounts": answer}}), "mounts", host)


async def test_programs_of_ours_on_a_mount_that_lets_none_run(root: Root) -> None:
    with pytest.raises(CommandFailed, match="Permission denied"):
        await root.via.run(
            "h", f"{OPT}; mkdir -p /opt/kubernetes/bin; cp /bin/true /opt/kubernetes/bin; /opt/kubernetes/bin/true"
        )
    assert await seen(root, OPT, "m1") == (
        Status.FAILED,
        "/opt/kubernetes/bin is on /opt, mounted noexec: no program of the cluster starts; "
        "now: mount -o remount,exec /opt",
    )
    both = await seen(root, f"{OPT}; mkdir -p /opt/cni /opt/kubernetes/bin", "n1")
    assert both
    assert "/opt/cni/bin is on /opt, mounted noexec: no pod gets its network" in both[1]
    assert both[1].count("mount -o remount") == 1, "once for each mount"
    assert await seen(root, OPT, "b1") == (Status.PASSED, ""), "a balancer has nothing there"
    hidden = f"{OPT}; mount -t tmpfs tmpfs /opt"
    assert await seen(root, hidden, "m1") == (Status.PASSED, ""), "the later mount counts"
    inner = f"{OPT}; mkdir -p /opt/kubernetes; mount -t tmpfs tmpfs /opt/kubernetes"
    assert await seen(root, inner, "m1") == (Status.PASSED, ""), "the mount that holds the folder counts"
    link = "mount -t tmpfs tmpfs /opt; mkdir -p '/run/a b'; mount -t tmpfs -o noexec tmpfs '/run/a b'; "
    linked = await seen(root, link + "ln -s '/run/a b' /opt/kubernetes", "m1")
    assert linked
    assert linked[0] is Status.FAILED
    assert "/opt/kubernetes/bin is on /run/a b, mounted noexec" in linked[1]


async def test_var_without_the_right_to_run(root: Root) -> None:
    """Volumes are bound, and refuse; an image's layers are an overlay, and run."""
    var = "mount -o noexec,nodev,nosuid -t tmpfs tmpfs /var/lib"
    tried = f"{var}; cd /var/lib; mkdir l u w m b; cp /bin/true l; mount --bind l b"
    with pytest.raises(CommandFailed, match="Permission denied"):
        await root.via.run("h", f"{tried}; b/true")
    await root.via.run("h", f"{tried}; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; m/true")
    assert await seen(root, var, "n1") == (
        Status.WARNED,
        "/var/lib/kubelet is on /var/lib, mounted noexec: programs in volumes of pods don't run; "
        "/var/lib/containerd is on /var/lib, mounted noexec: programs in volumes that images declare don't run; "
        "now: mount -o remount,exec /var/lib",
    )
    assert await seen(root, var, "m1") == (Status.PASSED, "")
    wants = change(Packages(host="m1", purpose="x", packages=("x",), manager="apt"))
    installs = await seen(root, var, "m1", wants)
    assert installs
    assert installs[0] is Status.FAILED
    assert "/var/lib/dpkg is on /var/lib, mounted noexec: dpkg can't run" in installs[1]


async def test_what_keepalived_calls_lies_on_etc(root: Root) -> None:
    etc = "mkdir -p /etc/quorate; mount -t tmpfs -o noexec tmpfs /etc/quorate"
    said = await seen(root, etc, "b1")
    assert said
    assert said[0] is Status.FAILED
    assert "keepalived" in said[1]


def test_the_longest_mount_holds_a_path() -> None:
    none = frozenset[str]()
    known = tuple(Mount(point, none) for point in ("/", "/opt", "/op", "/opt/cni"))
    assert holder("/opt/kubernetes/bin", known) == Mount("/opt", none)
    assert holder("/opt/cni", known) == Mount("/opt/cni", none)
    assert holder("/option", known) == Mount("/", none)
    assert holder("/x", ()) is None
    assert judged(world(), "mounts", "m1") == (Status.UNCHECKED, "the host does not tell")
