"""A simulated host as values: record, boot script, control groups, settings."""

import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from quorate.lab import access, cgroup, machine
from quorate.lab.record import LabError, LabInfo, every, find, labs_folder, need, save
from quorate.lab.up import design, limit
from quorate.spec.cluster import Cluster, Host, Role


def lab(cache: Path, name: str = "c") -> LabInfo:
    host = Host(name="a", address="10.1.2.3", roles=(Role.WORKER,))  # type: ignore[arg-type]
    return design(Cluster(name=name, hosts=(host,)), cache / "cluster.yaml", labs_folder(cache) / name)


def test_a_lab_is_remembered(tmp_path: Path) -> None:
    one = lab(tmp_path)
    assert find("c", tmp_path) is None
    save(one)
    assert find("c", tmp_path) == one
    assert list(every(tmp_path)) == [one]
    with pytest.raises(LabError, match="no lab d") as caught:
        need("d", tmp_path)
    assert caught.value.hint == "labs: c"
    with pytest.raises(LabError, match="no host b"):
        one.machine("b")


def test_settings_come_and_go(tmp_path: Path) -> None:
    one = lab(tmp_path)
    save(one)
    access.write_settings(one, {"a": ("ssh-ed25519 AAAA",)})
    assert one.known_hosts.read_text() == "10.1.2.3 ssh-ed25519 AAAA\n"
    assert f'key: "{one.key}"' in one.ssh_file.read_text()
    access.remove_settings(one)
    assert not (tmp_path / ".quorate").exists()
    access.remove_settings(one)


def test_the_state_of_a_cluster_goes_aside_with_its_hosts(tmp_path: Path) -> None:
    """The next cluster of that name is another one; keys of the last are kept all the same."""
    one = lab(tmp_path)
    save(one)
    access.write_settings(one, {})
    (one.ssh_file.parent / "ca.key").write_text("KEY")
    aside = access.remove_settings(one)
    assert aside
    assert aside.name.startswith("c.gone-")
    assert [path.name for path in aside.iterdir()] == ["ca.key"]
    assert not one.ssh_file.parent.exists()


def test_a_new_lab_puts_aside_what_one_left_that_is_gone(tmp_path: Path) -> None:
    one = lab(tmp_path)
    save(one)
    access.write_settings(one, {})
    (one.ssh_file.parent / "ca.key").write_text("KEY")
    other = replace(one, folder=tmp_path / "elsewhere")
    one.key.write_text("")
    assert access.put_aside_stale(other) is None, "that lab is there"
    one.key.unlink()
    aside = access.put_aside_stale(other)
    assert aside
    assert (aside / "ca.key").read_text() == "KEY"
    assert access.put_aside_stale(other) is None
    one.ssh_file.parent.mkdir(parents=True)
    one.ssh_file.write_text("key: /elsewhere\n")
    assert access.put_aside_stale(other) is None, "no lab wrote that"


def test_a_pin_is_made_once_and_goes_with_its_host(tmp_path: Path) -> None:
    """A new machine in the place of a known one stays unknown until somebody trusts it."""
    one = lab(tmp_path)
    save(one)
    access.write_settings(one, {"a": ("ssh-ed25519 AAAA", "ecdsa BBBB")})
    first = one.known_hosts.read_text()
    one.known_hosts.write_text(f"10.9.9.9,10.1.2.30 ssh-ed25519 JUMP\n{first}")
    access.write_settings(one, {"a": ("ssh-ed25519 CCCC",)})
    assert one.known_hosts.read_text().splitlines()[1:] == first.splitlines()
    access.forget(one, "10.1.2.3")
    assert one.known_hosts.read_text() == "10.9.9.9,10.1.2.30 ssh-ed25519 JUMP\n"
    access.write_settings(one, {"a": ("ssh-ed25519 CCCC",)})
    assert one.known_hosts.read_text().splitlines()[1:] == ["10.1.2.3 ssh-ed25519 CCCC"]


def test_a_removed_disk_leaves_its_place_even_when_it_can_not_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lab(tmp_path)
    monkeypatch.setattr(machine, "power_off", lambda _lab, _machine: None)
    monkeypatch.setattr(machine.cgroup, "remove", lambda _lab, _group: None)
    for deletes in (False, True):
        disk = one.machines[0].folder
        (disk / "upper").mkdir(parents=True)
        with monkeypatch.context() as patch:
            if not deletes:
                patch.setattr(machine.shutil, "rmtree", lambda _path, ignore_errors: None)
            machine.remove(one, one.machines[0])
        assert not disk.exists()
        assert (one.folder / "gone").exists() is not deletes
    machine.remove(one, one.machines[0])


def test_settings_of_others_stay(tmp_path: Path) -> None:
    one = lab(tmp_path)
    one.ssh_file.parent.mkdir(parents=True)
    one.ssh_file.write_text("key: /elsewhere\n")
    access.remove_settings(one)
    assert one.ssh_file.exists()


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    for kind in access.HOST_KEYS:
        path = tmp_path / kind
        line = access.write_key(path, kind)
        assert line.split()[0] in ("ssh-ed25519", "ecdsa-sha2-nistp256")
        assert access.write_key(path, kind) == line
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_boot_script_is_sound_shell(tmp_path: Path) -> None:
    cache = tmp_path / "it's $(here)"
    one = lab(cache)
    groups = [Path("/sys/fs/cgroup/cpu/quorate/x/a")]
    script = machine.boot_script(one, one.machines[0], groups, groups, modules=True)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "--bind-ro=/lib/modules" in script
    assert script.index("> /sys/fs/cgroup/cpu/quorate/x/a/cgroup.procs") < script.index("systemd-nspawn --boot")


V1 = """31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 31 0:29 / /again/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 /inner /elsewhere rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
"""


def test_hierarchies_are_found_once() -> None:
    first, second = cgroup.parse(V1)
    assert (first.mount, first.unified) == (Path("/sys/fs/cgroup/cpu"), False)
    assert "cpu" in first.options
    assert (second.mount, second.unified) == (Path("/sys/fs/cgroup/unified"), True)


def test_a_pure_v2_machine_delegates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = cgroup.Hierarchy(tmp_path, True, frozenset({"rw"}))
    monkeypatch.setattr(cgroup, "hierarchies", lambda: (only,))
    for folder in (tmp_path, tmp_path / "quorate", tmp_path / "quorate/x"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory\n")
    assert cgroup.make("x", "a") == [tmp_path / "quorate/x/a"]
    assert (tmp_path / "quorate/x/cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "quorate/x/a").is_dir()
    assert not (tmp_path / "quorate/x/a/cgroup.subtree_control").exists()


@pytest.mark.parametrize("version", [1, 2])
def test_a_host_leaves_the_others_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(cgroup, "hierarchies", lambda: (cgroup.Hierarchy(tmp_path, version == 2, frozenset()),))
    folder = tmp_path / "quorate/x/a"
    folder.mkdir(parents=True)
    for name in ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us"):
        (folder / name).touch()
    cgroup.cpus("x", "a", None)
    lifted = {path.name: path.read_text() for path in folder.iterdir()}
    assert lifted.get("cpu.max", "max 10000") == "max 10000"
    assert lifted.get("cpu.cfs_quota_us", "-1") == "-1"
    cgroup.cpus("x", "a", 3)
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == (
        {"cpu.max": "30000 10000"} if version == 2 else {"cpu.cfs_quota_us": "30000", "cpu.cfs_period_us": "10000"}
    )


@pytest.mark.parametrize("looks", [0, 2, 9])
def test_a_limit_waits_for_pods_that_go(looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses a host's limit as long as one of its pods has a larger one."""
    left, limited = iter(range(looks)), list[tuple[str, int | None]]()

    def cpus(_lab: str, host: str, count: int | None) -> None:
        if next(left, None) is not None:
            raise OSError(errno.EINVAL, "Invalid argument")
        limited.append((host, count))

    save(lab(tmp_path))
    monkeypatch.setattr(cgroup, "cpus", cpus)
    monkeypatch.setattr("quorate.lab.up.PODS_GONE_WITHIN_S", 1.2)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    if looks == 9:
        with pytest.raises(LabError, match="a can't be limited: Invalid argument"):
            limit("c", cache=tmp_path)
        assert limited == []
    else:
        limit("c", cache=tmp_path)
        assert limited == [("a", 3)]
