"""A lab comes and goes: one simulated host for each host of a cluster file, reachable as real ones are."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from quorate.artifact.root import default_cache, ensure_root, ensure_tools, silent
from quorate.lab import access, cgroup, kernel, machine, network
from quorate.lab.record import LabError, LabInfo, Machine, every, find, lab_id, labs_folder, need, save
from quorate.spec.cluster import Cluster

BOOT_WITHIN_S = 90.0
"""Seconds for all hosts to answer; a few are usual."""

PODS_GONE_WITHIN_S = 60.0
"""Seconds for pods that are being deleted to be gone."""


def design(
    cluster: Cluster,
    cluster_file: Path,
    folder: Path,
    internet: bool = True,
    root: Path = Path(),
    old: LabInfo | None = None,
) -> LabInfo:
    """The lab of a cluster, as a value; `old` is the lab as it is now, whose hosts keep their cables.

    Raises `LabError` when a subnet has no address left for the gateway.
    """
    found = network.gateways(cluster)
    name = lab_id(folder)
    cables = _cables(name, [host.name for host in cluster.hosts], old)
    machines = tuple(
        Machine(
            name=host.name,
            address=host.ip,
            prefix=network.PREFIX,
            gateway=str(found[network.network_of(host.address)]),
            mac=network.mac(name, host.name),
            cable=cables[host.name],
            folder=folder / "hosts" / host.name,
        )
        for host in cluster.hosts
    )
    gateways = tuple(f"{address}/{subnet.prefixlen}" for subnet, address in found.items())
    inner = (str(cluster.network.pod_cidr), str(cluster.network.service_cidr))
    return LabInfo(cluster.name, cluster_file.resolve(), folder, gateways, machines, internet, root, inner)


def _cables(name: str, hosts: Sequence[str], old: LabInfo | None) -> dict[str, str]:
    """The cable of each host. One that is there keeps its own, wherever in the file it stands now."""
    kept = {one.name: one.cable for one in old.machines if one.name in hosts} if old else {}
    taken = set(kept.values())
    free = (cable for number in count() if (cable := f"ql{name}-{number}") not in taken)
    return {host: kept.get(host) or next(free) for host in hosts}


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
    deadline: float = BOOT_WITHIN_S,
) -> LabInfo:
    """Bring up the lab of a cluster, and return when every host answers SSH.

    Again, it makes the lab what the file says now: hosts that are gone leave, new ones come, those that are
    off are booted. SSH host keys are pinned once, when a host comes. `internet` lets hosts out through this
    machine. `deadline` is in seconds. Raises `LabError` and `ArtifactError`.
    """
    require_root()
    ensure_tools(("systemd-nspawn", "ip", "iptables", "unshare", "mount", "setsid", "nsenter"), say)
    old = find(cluster.name, cache)
    root = old.root if old and old.root.is_absolute() else ensure_root(cache or default_cache(), say)
    began = time.monotonic()
    with kernel.whole_machine():
        old = find(cluster.name, cache)
        lab = design(cluster, cluster_file, labs_folder(cache) / cluster.name, internet, root.resolve(), old)
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
                access.forget(lab, gone.address)
                machine.remove(lab, gone)
        if old is not None and old.gateways != lab.gateways:
            network.run("ip", "-4", "addr", "flush", "dev", lab.bridge, check=False)
        if old is None and (aside := access.put_aside_stale(lab)):
            say(f"the state of a lab that is gone is now {aside}")
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


def limit(name: str, *, on: bool = True, cache: Path | None = None) -> None:
    """Let no host use all CPUs until it boots again: as with real hosts, one at work leaves the others one at least.

    For measurements alone: control groups of version 1 then let no pod have a limit above its host's. One that has it
    and is about to go is waited for, `GOING` seconds; then LabError is raised. `on` False lifts it again.
    """
    lab = need(name, cache)
    end = time.monotonic() + PODS_GONE_WITHIN_S
    for host in lab.machines:
        while refused := _refusal(lab, host.name, max(1, (os.cpu_count() or 1) - 1) if on else None):
            if time.monotonic() > end:
                hint = "take away pods whose limit of CPU is above the host's"
                raise LabError(f"{host.name} can't be limited: {refused}", hint)
            time.sleep(0.5)


def _refusal(lab: LabInfo, host: str, cpus: int | None) -> str:
    """Why the kernel does not let a host have so many CPUs; empty when it does."""
    try:
        cgroup.cpus(lab.id, host, cpus)
    except OSError as error:
        return error.strerror or str(error)
    return ""


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
        aside = access.remove_settings(lab)
        shutil.rmtree(lab.folder)
    say(f"lab {name} is gone" + (f"; the state of its cluster is now {aside}" if aside else ""))


def start(name: str, host: str, *, cache: Path | None = None, deadline: float = BOOT_WITHIN_S) -> None:
    """Boot a host that was killed or powered off, from the disk it had; returns when it answers SSH."""
    require_root()
    lab = need(name, cache)
    with kernel.whole_machine():
        machine.power_on(lab, lab.machine(host))
    if not lab.machine(host).cut_mark.exists():
        machine.wait_ssh(lab, lab.machine(host), time.monotonic() + deadline)


def replace(name: str, host: str, *, cache: Path | None = None, deadline: float = BOOT_WITHIN_S) -> None:
    """Throw a host away and boot a new machine in its place; returns when it answers SSH.

    Name, address, MAC and cable stay, the cable plugged in; disk, machine-id and SSH host keys are new. Those
    keys are not pinned: that is for the operator to do, as for a new machine anywhere. `deadline` is in
    seconds. Raises `LabError`.
    """
    require_root()
    lab = need(name, cache)
    one = lab.machine(host)
    with kernel.whole_machine():
        machine.remove(lab, one)
        machine.furnish(lab, one)
        machine.host_keys(one)
        machine.power_on(lab, one)
    machine.wait_ssh(lab, one, time.monotonic() + deadline)


__all__ = ["design", "down", "every", "replace", "start", "up"]
