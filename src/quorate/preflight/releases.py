"""Checks about what will be installed: releases with known faults, or that this Kubernetes is not tested with."""

from collections.abc import Iterator

from quorate.preflight.check import Status, Verdict, World, failed, passed, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.versions import ETCD_FLAWS, below_floor


def releases(world: World, host: Host) -> Verdict | None:
    """etcd and containerd, as the artifact source delivers them; the file alone does not say which those are."""
    found = [*_etcd(world, host), *_containerd(world, host)]
    if not found:
        return None
    wrong = [verdict for verdict in found if verdict.status is Status.FAILED]
    doubtful = wrong or [verdict for verdict in found if verdict.status is Status.WARNED] or found
    return Verdict(doubtful[0].status, "; ".join(verdict.detail for verdict in doubtful))


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
