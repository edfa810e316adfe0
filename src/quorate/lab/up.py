"""A lab comes and goes: one simulated host for each host of a cluster file, reachable as real ones are."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from quorate.artifact.root import default_cache, ensure_root, ensure_tools, silent
from quorate.lab import access, cgroup, kernel, machine, network
from quorate.lab.record import LabError, LabInfo, Machine, every, find, lab_id, labs_folder, need, save
from quorate.spec.cluster import Cluster

BOOT_DEADLINE = 90.0
"""Seconds for all hosts to answer; a few are usual."""


def design(cluster: Cluster, cluster_file: Path, folder: Path, internet: bool = True, root: Path = Path()) -> LabInfo:
    """The lab of a cluster, as a value."""
    found = network.gateways(cluster)
    name = lab_id(folder)
    machines = tuple(
        Machine(
            name=host.name,
            address=host.ip,
            prefix=network.PREFIX,
            gateway=str(found[network.network_of(host.address)]),
            mac=network.mac(name, host.name),
            cable=f"ql{name}-{index}",
            folder=folder / "hosts" / host.name,
        )
        for index, host in enumerate(cluster.hosts)
    )
    gateways = tuple(f"{address}/{subnet.prefixlen}" for subnet, address in found.items())
    return LabInfo(cluster.name, cluster_file.resolve(), folder, gateways, machines, internet, root)


def require_root() -> None:
    """Raise `LabError` unless this process may make namespaces and mounts."""
    if os.geteuid() != 0:
        raise LabError("a lab needs root: it makes network namespaces and mounts", "run it with sudo")


def up(
    cluster: Cluster,
    cluster_file: Path,
    say: Callable[[str], None] = silent,
    *,
    internet: bool = True,
    cache: Path | None = None,
    deadline: float = BOOT_DEADLINE,
) -> LabInfo:
    """Bring up the lab of a cluster, and return when every host answers SSH.

    Again, it makes the lab what the file says now: hosts that are gone leave, new ones come, those that are
    off are booted. `internet` lets hosts out through this machine. `deadline` is in seconds. Raises
    `LabError` and `ArtifactError`.
    """
    require_root()
    ensure_tools(("systemd-nspawn", "ip", "iptables", "unshare", "mount", "setsid", "nsenter"), say)
    old = find(cluster.name, cache)
    root = old.root if old and old.root.is_absolute() else ensure_root(cache or default_cache(), say)
    lab = design(cluster, cluster_file, labs_folder(cache) / cluster.name, internet, root.resolve())
    began = time.monotonic()
    with kernel.whole_machine():
        old = find(lab.name, cache)
        if old is not None and old.cluster_file != lab.cluster_file:
            raise LabError(
                f"the lab {lab.name} belongs to {old.cluster_file}",
                f"`quorate lab down --name {lab.name}`, or give the cluster another name",
            )
        subnets = [network.network_of(host.address) for host in cluster.hosts]
        subnets += [network.network_of(cluster.endpoint.vip)] if cluster.endpoint.vip else []
        network.refuse_overlap(subnets, network.taken(), kernel.bridges(), lab.bridge)
        for gone in old.machines if old else ():
            if gone not in lab.machines:
                machine.remove(lab, gone)
        if old is not None and old.gateways != lab.gateways:
            network.run("ip", "-4", "addr", "flush", "dev", lab.bridge, check=False)
        save(lab)
        network.raise_bridge(lab)
        kernel.enter(lab)
        access.write_key(lab.key)
        keys = {}
        for host in lab.machines:
            if not (host.folder / "boot.sh").exists():
                machine.furnish(lab, host)
            keys[host.name] = machine.host_keys(host)
        access.write_settings(lab, keys)
        for host in lab.machines:
            if not network.exists(host.cable):  # off, or on without its cable after a crash of ours
                machine.power_off(lab, host)
            machine.power_on(lab, host)
    for host in lab.machines:
        if not host.cut_mark.exists() and not cgroup.is_frozen(lab.id, host.name):
            machine.wait_ssh(lab, host, began + deadline)
    say(f"{len(lab.machines)} hosts answer after {time.monotonic() - began:.1f} s")
    return lab


def down(name: str, say: Callable[[str], None] = silent, *, cache: Path | None = None) -> None:
    """Take a lab away, with its hosts' disks, and everything that it had on this machine."""
    require_root()
    with kernel.whole_machine():
        lab = need(name, cache)
        for host in lab.machines:
            machine.remove(lab, host)
        cgroup.remove(lab.id)
        network.drop_bridge(lab)
        kernel.leave(lab)
        access.remove_settings(lab)
        shutil.rmtree(lab.folder)
    say(f"lab {name} is gone")


def start(name: str, host: str, *, cache: Path | None = None, deadline: float = BOOT_DEADLINE) -> None:
    """Boot a host that was killed or powered off, from the disk it had; returns when it answers SSH."""
    require_root()
    lab = need(name, cache)
    with kernel.whole_machine():
        machine.power_on(lab, lab.machine(host))
    if not lab.machine(host).cut_mark.exists():
        machine.wait_ssh(lab, lab.machine(host), time.monotonic() + deadline)


__all__ = ["design", "down", "every", "start", "up"]
