"""Labels and taints of nodes, as the file has them: also those that NodeRestriction lets no kubelet set itself."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.resource.kube import NodeMarks
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host

NAME = "nodes"
AFTER: tuple[str, ...] = ("access",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """The marks of each node that has any, or had."""
    c = context.cluster
    if host != context.api_host:
        return
    for worker in (worker for worker in c.workers if worker.name not in context.absent):
        before = [was for cluster in context.former for was in cluster.workers if was.node == worker.node]
        labels = {key for was in before for key in was.labels} - set(worker.labels)
        taints = {mark for was in before for mark in _taints(was)} - set(_taints(worker))
        if labels or taints or worker.labels or worker.taints:
            yield NodeMarks(
                host=host.name,
                node=worker.node,
                labels=worker.labels,
                taints=_taints(worker),
                gone_labels=tuple(sorted(labels)),
                gone_taints=tuple(sorted(taints)),
                explicit=frozenset({Key(worker.name, Ready.kind, "node")}),
                server=f"https://{host.ip}:{c.apiserver.port}",
            )


def _taints(host: Host) -> dict[str, str]:
    """The value of each taint, by `KEY:EFFECT`."""
    return {f"{taint.key}:{taint.effect}": taint.value for taint in host.taints}
