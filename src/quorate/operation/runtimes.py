"""Another runtime for a cluster that runs: from Docker to containerd, or back, node after node.

What pods need is there before a node is drained. The kubelet is at rest while the containers of the former runtime end,
so that a node never has pods of both; what does not hold goes back to the former one whole (`plan.fallback`).
"""

from collections.abc import Iterator
from dataclasses import replace

from quorate.component import images, programs, runtime
from quorate.component.context import Context
from quorate.core import Key
from quorate.operation import change, upgrade
from quorate.operation.stage import Refusal, Stage
from quorate.render import carried
from quorate.resource.system import Errand
from quorate.resource.unit import Unit
from quorate.spec.cluster import RUNTIMES, Cluster, Rollout
from quorate.spec.leaving import Kept
from quorate.spec.upgrade_path import NODES

NAME = "change of runtime"
REPLACES = frozenset({"runtime"})
"""The rule that forbids it otherwise."""
AHEAD = frozenset({programs.NAME, runtime.NAME, images.NAME})
"""Components that come beside what runs; containerd runs below Docker, and before it."""


def former(context: Context) -> str:
    """The runtime, other than the file's, that hosts which answer may have yet; empty where none does."""
    if context.established is None:
        return ""
    returned = (each for name, each in context.behind.items() if name not in context.absent)
    clusters = (*context.former, *(cluster for each in returned for cluster in each))
    kinds = (cluster.runtime.kind for cluster in clusters)
    return next((kind for kind in kinds if kind != context.cluster.runtime.kind), "")


def stages(context: Context) -> tuple[Stage, ...]:
    """Bring: the new runtime and its images, beside what runs. Change: node after node, drained. Then what the file
    says, which the former one is no part of.
    """
    kind = context.cluster.runtime.kind
    kept = replace(context, kept=Kept(runtime=former(context)))
    quiet = _with(context.cluster, Rollout())
    drained = replace(kept, cluster=_with(context.cluster, context.cluster.rollout.model_copy(update={"drain": True})))
    return (
        Stage(f"bring {kind}", replace(kept, cluster=quiet), tuple(_carried(kept)), acts_of=NAME, parts=AHEAD),
        Stage(f"nodes to {kind}", drained, parts=upgrade.PARTS[NODES] | AHEAD),
        # All that a drain is for is done.
        *change.stages(replace(context, cluster=quiet)),
    )


def refusals(context: Context) -> Iterator[Refusal]:
    """What else is in the file, and folders that can't be exchanged under a containerd that runs."""
    was, now = context.established, context.cluster
    assert was is not None
    if other := [name for name in upgrade.ALIKE if name != "runtime" and getattr(was, name) != getattr(now, name)]:
        yield Refusal(
            f"the file has another runtime, and another {', '.join(other)}: a change of runtime changes nothing else",
            "apply one of the two first, with the other as it was",
        )
    usual = RUNTIMES["containerd"]
    for cluster in (was, now) if was.runtime.kind != now.runtime.kind else ():
        if cluster.runtime.kind == "containerd":
            chosen = {cluster.runtime_dir(host): host.name for host in cluster.workers}
            for folder, name in chosen.items() if set(chosen) != {usual} else ():
                yield Refusal(
                    f"host {name}: containerd's folder is {folder}, and below Docker {usual}: it can't be exchanged "
                    "under running containers",
                    f"leave `data_dir` and `runtime_dir` out of the file, and mount a disk at {usual} if it needs one",
                )


def told(context: Context) -> Iterator[str]:
    """What users of the cluster will notice, for the plan."""
    if former(context) == "docker":
        yield "pods get new containers on each node in turn, those of DaemonSets too, and hostNetwork ones"
        yield "logs of containers are no JSON lines any more but `TIME stdout F text`: what collects them must know"
        yield "`docker ps` shows no pods any more: `crictl ps`, `ctr -n k8s.io containers ls`"
        yield "pods that mount /var/run/docker.sock find no containers of pods there, and no Docker where it goes"
        stays = context.cluster.runtime.keep_docker
        yield (
            "Docker stays on its hosts as it is, and is yours from then on"
            if stays
            else "Docker goes with its images in the end; `runtime.keep_docker: true` leaves it there"
        )
    elif former(context):
        yield "pods get new containers on each node in turn; Kubernetes 1.24 knows no Docker any more"


def _with(cluster: Cluster, rollout: Rollout) -> Cluster:
    return cluster.model_copy(update={"rollout": rollout})


def _carried(context: Context) -> Iterator[Errand]:
    """The images of each node's pods, from the runtime that has them to the new one."""
    kind = context.cluster.runtime.kind
    for host in context.cluster.workers:
        if host.name not in context.absent:
            yield Errand(
                host=host.name,
                what=f"images of pods, in {kind}",
                want=(("missing", "none"),),
                check=carried.missing(kind),
                script=carried.carry(kind),
                explicit=frozenset({Key(host.name, Unit.kind, f"{kind}.service")}),
            )
