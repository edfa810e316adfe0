"""Folders that the file chooses for runtime and kubelet: who uses them, what is refused, and that nothing is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_root import OURS, Root
from past_clusters import THREE, cluster, context, ids, resource
from preflight_world import judged, spoken, world
from staging import compile_cluster

from quorate.component import folder_disk
from quorate.core import CommandFailed, Key, SpecError
from quorate.plan import guard
from quorate.preflight.folders import FOLDERS
from quorate.render.sh import sh
from quorate.report.findings import Status
from quorate.resource.system import Setting
from quorate.spec.cluster import Cluster, Host, Kubelet, Role, Runtime
from quorate.spec.load import load

CONTAINERD, KUBELET = "/data/containerd", "/data/kubelet"
FILE = """\
name: c
versions: {kubernetes: KUBERNETES}
hosts:
  - {name: m1, address: 10.0.9.11, roles: [control-plane, etcd]}
  - {name: n1, address: 10.0.9.12, roles: [worker, etcd]MORE}
  - {name: m3, address: 10.0.9.13, roles: [etcd]}
"""


def chosen(**more: Any) -> Cluster:
    return cluster(THREE, runtime=Runtime(data_dir=CONTAINERD), kubelet=Kubelet(data_dir=KUBELET), **more)


def text(of: Cluster, path: str, host: str = "n1") -> str:
    return str(resource(compile_cluster(context(of)), Key(host, "file", path)).content)  # type: ignore[attr-defined]


def test_runtime_and_kubelet_use_them() -> None:
    now = chosen()
    assert f'root = "{CONTAINERD}"' in text(now, "/etc/containerd/config.toml")
    unit = text(now, "/etc/systemd/system/kubelet.service")
    assert f"--root-dir={KUBELET} " in unit
    assert f"--cert-dir={KUBELET}/pki" in unit
    compiled = compile_cluster(context(now))
    for folder in (CONTAINERD, KUBELET):
        assert resource(compiled, Key("n1", "data", folder))
    containers = resource(compiled, Key("n1", "undo", "containers"))
    assert f"{CONTAINERD}/*|{KUBELET}/*|" in containers.script  # type: ignore[attr-defined]


def test_the_usual_ones_change_nothing() -> None:
    plain, said = cluster(THREE), cluster(THREE, kubelet=Kubelet(data_dir="/var/lib/kubelet"))
    for path in ("/etc/systemd/system/kubelet.service", "/etc/systemd/system/containerd.service"):
        assert text(plain, path) == text(said, path)
        assert "disk-of" not in text(plain, path)
    assert "--root-dir" not in text(plain, "/etc/systemd/system/kubelet.service")


def test_docker_keeps_its_images_there() -> None:
    now = cluster(THREE, runtime=Runtime(kind="docker", data_dir="/data/docker"))
    given = replace(context(now), supply=replace(context(now).supply, parts={"docker": (), "containerd": ()}))
    compiled = compile_cluster(given)
    daemon = resource(compiled, Key("n1", "file", "/etc/docker/daemon.json"))
    assert '"data-root": "/data/docker"' in daemon.content  # type: ignore[attr-defined]
    config = resource(compiled, Key("n1", "file", "/etc/containerd/config.toml"))
    assert 'root = "/var/lib/containerd"' in config.content  # type: ignore[attr-defined]


def test_a_host_may_have_another() -> None:
    now = chosen()
    hosts = [h.model_copy(update={"kubelet_dir": "/mnt/pods"}) if h.name == "n2" else h for h in now.hosts]
    now = now.model_copy(update={"hosts": tuple(hosts)})
    assert "--root-dir=/mnt/pods " in text(now, "/etc/systemd/system/kubelet.service", "n2")
    assert f"--root-dir={KUBELET} " in text(now, "/etc/systemd/system/kubelet.service", "n1")


def wrong(folder: Path, more: str = "", end: str = "", kubernetes: str = "1.36.0") -> list[str]:
    path = folder / "cluster.yaml"
    path.write_text(FILE.replace("MORE", f", {more}" if more else "").replace("KUBERNETES", kubernetes) + end)
    try:
        load(path)
    except SpecError as error:
        return [f"{each.field}: {each.rule}" for each in error.problems]
    return []


def test_what_is_taken_and_what_refused(tmp_path: Path) -> None:
    assert not wrong(tmp_path, end="runtime: {data_dir: /data/containerd}\nkubelet: {data_dir: /data/kubelet}\n")
    assert not wrong(tmp_path, end="runtime: {data_dir: /var/lib/containerd}\nkubelet: {data_dir: /var/lib/kubelet}\n")
    assert not wrong(tmp_path, "runtime_dir: /mnt/a/b, kubelet_dir: /mnt/a/c")
    for folder in ("/etc/containerd", "/var/lib", "/var/lib/docker", "/var/lib/kubelet/x", "/home/ann", "/run/c/d"):
        assert "somebody else's folder" in str(wrong(tmp_path, end=f"runtime: {{data_dir: {folder}}}\n"))
        assert "hosts[1].kubelet_dir" in str(wrong(tmp_path, f"kubelet_dir: {folder}"))
    for first, second in (("/data/k", "/data/k"), ("/data/k/c", "/data/k"), ("/data/k", "/data/k/c")):
        end = f"runtime: {{data_dir: {first}}}\nkubelet: {{data_dir: {second}}}\n"
        assert "kubelet.data_dir" in str(told := wrong(tmp_path, end=end))
        assert "one within the other" in str(told)
    inside = wrong(tmp_path, "runtime_dir: /data/etcd/c", "etcd: {data_dir: /data/etcd}\n")
    assert "hosts[1].runtime_dir" in str(inside)
    assert "root-dir" in str(wrong(tmp_path, end="kubelet: {extra_flags: {root-dir: /data/k}}\n"))


def refused(now: Cluster, was: Cluster, **more: Any) -> str:
    return "\n".join(str(each) for each in guard.refusals(replace(context(now, was), **more), ids(now)))


def test_the_folder_of_a_host_that_runs_is_not_changed() -> None:
    old, new = cluster(THREE), chosen()
    told = refused(new, old)
    assert "host n1: /var/lib/containerd -> /data/containerd" in told
    assert "host n2: /var/lib/kubelet -> /data/kubelet" in told
    assert "take it out of the file, apply, and add it again" in told
    assert refused(old, old) == ""
    assert refused(new, new) == ""
    comes = {**THREE, "n3": (Role.WORKER,)}
    hosts = tuple(
        h.model_copy(update={"runtime_dir": CONTAINERD}) if h.name == "n3" else h for h in cluster(comes).hosts
    )
    assert refused(old.model_copy(update={"hosts": hosts}), old) == "", "who comes has nothing to lose"
    assert "host n1" not in refused(new, old, replaced=frozenset({"n1"}))


def test_nor_that_of_a_host_of_a_first_apply_that_did_not_end() -> None:
    old, new = cluster(THREE), chosen()
    began = context(new, old)
    runs = {
        name: replace(facts, running=facts.running | ({"containerd.service"} if name == "n1" else set()))
        for name, facts in began.facts.hosts.items()
    }
    told = refused(new, old, established=None, facts=replace(began.facts, hosts=runs))
    assert "host n1: /var/lib/containerd" in told
    assert "host n2" not in told, "nothing has begun there"


HOST = Host(name="h", address="10.0.9.1", roles=(Role.WORKER,))  # type: ignore[arg-type]
NOTED: Setting = folder_disk.noted(HOST, "kubelet", "/var/lib/data/kubelet")


async def starts(root: Root, before: str = ":") -> str:
    """Why the kubelet would not start; empty when it would."""
    try:
        await root.via.run("h", f"{before}\n{sh(*folder_disk.own('kubelet', '/var/lib/data/kubelet').argv)}")
    except CommandFailed as error:
        return error.stderr
    return ""


async def test_none_starts_below_its_mount_point(tmp_path: Path) -> None:
    root = Root(tmp_path, (*OURS, "var/lib/data"))
    assert await root.state_of(NOTED) == {}, "a folder that is not there yet is on no disk"
    (tmp_path / "var/lib/data/kubelet").mkdir()
    await root.settles(NOTED)
    assert await starts(root) == ""
    gone = "umount /var/lib/data; mkdir -p /var/lib/data/kubelet"
    assert "was mounted at /var/lib/data, now it is" in await starts(root, gone)
    with pytest.raises(CommandFailed, match="was mounted at /var/lib/data"):
        await root.via.run("h", f"{gone}; settle() {{ cat >/dev/null; }}\n{NOTED.script}")
    assert (root.state / "disk-of-kubelet").read_text() == "/var/lib/data\n"
    assert await starts(root, "mount -t tmpfs tmpfs /var/lib/data/kubelet") == "", "a disk of its own on the disk"


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("type=ext2/ext3\nfiles=0", Status.PASSED, CONTAINERD),
        ("type=xfs", Status.PASSED, CONTAINERD),
        ("unmounted=/data /etc/fstab\ntype=ext2/ext3", Status.FAILED, "/data is a mount point by /etc/fstab"),
        ("type=nfs", Status.FAILED, "is on nfs"),
        ("type=tmpfs", Status.WARNED, "a reboot empties it"),
        ("type=xfs\nfiles=7", Status.FAILED, "has 7 entries"),
        ("", Status.UNCHECKED, ""),
    ],
)
def test_the_preflight_looks_at_the_disk(said: str, status: Status, words: str) -> None:
    lines = "".join(f"{CONTAINERD} {line}\n" for line in said.splitlines())
    found = judged(world(runtime=Runtime(data_dir=CONTAINERD), answers=spoken("n1", "folders", lines)), "folders", "n1")
    assert found is not None
    assert found[0] is status
    assert words in found[1]
    assert judged(world(), "folders", "n1") is None
    assert judged(world(runtime=Runtime(data_dir=CONTAINERD)), "folders", "m1") is None


async def test_a_real_folder_with_somebody_elses_files(tmp_path: Path) -> None:
    root = Root(tmp_path, (*OURS, "var/lib/c"))
    (tmp_path / "var/lib/c/lost+found").mkdir()
    there = world(runtime=Runtime(data_dir="/var/lib/c"))

    async def seen(before: str) -> tuple[Status, str] | None:
        said = await root.via.run("h", f"{before}\n{FOLDERS.sh(there, there.cluster.host('n1'))}")
        return judged(replace(there, answers={"n1": {"folders": said}}), "folders", "n1")

    found = await seen("mount -t tmpfs tmpfs /var/lib/c")
    assert found is not None
    assert found[0] is Status.WARNED
    fstab = await seen("umount /var/lib/c; echo 'x /var/lib/c ext4 defaults 0 2' >/etc/fstab")
    assert fstab is not None
    assert "/var/lib/c is a mount point by /etc/fstab" in fstab[1]
    (tmp_path / "var/lib/c/wanted.db").write_text("x")
    full = await seen(":")
    assert full is not None
    assert full[0] is Status.FAILED
    assert "has 1 entries of somebody else's" in full[1]
