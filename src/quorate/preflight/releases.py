"""Checks about what will be installed: releases with known faults, too old ones, or not tested with this Kubernetes."""

import re
from collections.abc import Iterator

from quorate.preflight.check import Question, World
from quorate.report.findings import Status, Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.versions import ETCD_FLAWS, below_floor

HAPROXY = (2, 4)
"""The release that the way to etcd and the balancer (render/etcd_way.py, render/haproxy.py) are written for."""


def _asks_haproxy(world: World, host: Host) -> str:
    """The version that is there, after `has`, and the one that the host's package manager has, after `offers`."""
    if not _runs_haproxy(world, host) or "haproxy" in world.context.supply.packages:
        return ""
    offer = {
        "apt": "apt-cache policy haproxy | sed -n 's/^  Candidate: /offers /p'",
        "dnf": "dnf -q repoquery --latest-limit=1 --qf 'offers %{version}' haproxy",
        "yum": "yum -q info haproxy | sed -n 's/^Version *: /offers /p' | tail -n 1",
        "zypper": "zypper -q info haproxy | sed -n 's/^Version *: /offers /p'",
    }.get(world.facts(host).package_manager, ":")
    there = "PATH=$PATH:/usr/sbin haproxy -v | sed -n 's/^HA-\\{0,1\\}[Pp]roxy version /has /p'"
    return f"{{ {there}; {offer}; }} 2>/dev/null"


HAPROXY_IS = Question("haproxy", _asks_haproxy)


def releases(world: World, host: Host) -> Verdict | None:
    """etcd and containerd, as the artifact source delivers them; the file alone does not say which those are."""
    found = [*_etcd(world, host), *_containerd(world, host)]
    if not found:
        return None
    wrong = [verdict for verdict in found if verdict.status is Status.FAILED]
    doubtful = wrong or [verdict for verdict in found if verdict.status is Status.WARNED] or found
    return Verdict(doubtful[0].status, "; ".join(verdict.detail for verdict in doubtful))


def _runs_haproxy(world: World, host: Host) -> bool:
    """API servers go to etcd by one, and a balancer may be one."""
    balances = world.cluster.balances(host) and world.cluster.load_balancer.kind == "haproxy"
    return host.has(Role.CONTROL_PLANE) or balances


def haproxy(world: World, host: Host) -> Verdict | None:
    """What is there stays; else what comes with quorate, or what the host's package manager offers."""
    if not _runs_haproxy(world, host):
        return None
    said = {
        word: text for word, _, text in (line.partition(" ") for line in world.answer(host, "haproxy").splitlines())
    }
    bundled = [file.version for file in world.context.supply.packages.get("haproxy", ()) if file.name == "haproxy"]
    version = next((text for text in (*bundled, said.get("has"), said.get("offers")) if text), "")
    numbers = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    if numbers is None:
        return unchecked(f"haproxy {version}" if version else "neither installed nor offered, as far as the host tells")
    old = (int(numbers[1]), int(numbers[2])) < HAPROXY
    return failed(f"haproxy {version}, 2.4 or later is needed") if old else passed(f"haproxy {version}")


def _etcd(world: World, host: Host) -> Iterator[Verdict]:
    version = world.context.supply.versions.get("etcd")
    if not (version and host.has(Role.ETCD)):
        return
    flaw = next((flaw for flaw in ETCD_FLAWS if version in flaw.releases), None)
    if flaw:
        text = f"etcd {version} {flaw.fault}, {flaw.releases.below} does not"
        yield failed(text) if flaw.never else warned(text)
    elif version not in world.context.minor.etcd_range:
        yield failed(f"etcd {version}, this Kubernetes wants {world.context.minor.etcd_range}")
    else:
        yield passed(f"etcd {version}")


def _containerd(world: World, host: Host) -> Iterator[Verdict]:
    minor, version = world.context.minor, world.context.supply.versions.get("containerd")
    if not (version and host.has(Role.WORKER) and world.cluster.runtime.kind == "containerd"):
        return
    if version not in minor.containerd_range:
        yield failed(f"containerd {version}, this Kubernetes wants {minor.containerd_range}")
    elif least := below_floor(version, minor.containerd_floors):
        yield warned(f"containerd {version}, Kubernetes {minor.kubernetes} is tested with {least} or later")
    else:
        yield passed(f"containerd {version}")
