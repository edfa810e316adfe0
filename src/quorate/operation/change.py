"""The change of a cluster to what its file says: the new comes beside the old, which goes when nobody uses it any more.

Where nobody leaves, no endpoint moves and nothing is given up, there is the first stage alone.
"""

from collections.abc import Iterator
from dataclasses import replace

from quorate.component.context import Context
from quorate.operation import leaving
from quorate.operation.stage import Refusal, Stage
from quorate.spec.cluster import Cluster, Role
from quorate.spec.leaving import Kept, retiring, retiring_lines, standing

NAME = "change"
REPLACES: frozenset[str] = frozenset()
JOIN, AWAY, LEAVE = "join", "move away", "leave"


def stages(context: Context) -> tuple[Stage, ...]:
    """Join: the file's cluster, which serves on what former ones did. Move away: pods and members of who leaves, and
    names that nobody is told any more. Leave: the file's cluster alone.
    """
    kept = _kept(context)
    acts = tuple(leaving.away(context))
    new = frozenset(host.name for host in context.cluster.hosts if not context.dispensable(host))
    found = [Stage(JOIN, replace(context, kept=kept), answering=new)]
    if acts or kept.names:
        # Names go before what they lead to: nobody looks up an endpoint that goes now.
        gone = [each.host.name for each in context.leaving if each.loses(Role.ETCD)]
        told = f"members of etcd are taken out: {', '.join(gone)}" if gone else ""
        found.append(Stage(AWAY, replace(context, kept=replace(kept, names=())), acts, no_return=told))
    if _olds(context) or kept != Kept() or context.behind.keys() - context.absent:
        whole = [each.host.name for each in context.leaving if each.whole and each.host.name not in context.absent]
        told = f"hosts are cleaned, with all data of the cluster: {', '.join(whole)}" if whole else ""
        found.append(Stage(LEAVE, context, tuple(leaving.forgotten(context)), clears=True, no_return=told))
    return tuple(found)


def refusals(context: Context) -> Iterator[Refusal]:
    """A balancer keeps the old port until everybody has moved, and takes the new one before: on all addresses and on
    loopback alone they can't be the same.
    """
    now, was = context.cluster, context.established
    if was is None:
        return
    both = [host.name for host in was.balancing if any(host.name == n.name and now.balances(n) for n in now.hosts)]
    if both and was.endpoint.local != now.endpoint.local and was.balancer_port == now.balancer_port:
        field = "local_port" if now.endpoint.local else "port"
        yield Refusal(
            f"endpoint.{field}: the balancers of {', '.join(both)} can't serve {now.balancer_port} on loopback and on "
            "all addresses while clients move from one to the other",
            f"write another `endpoint.{field}`",
        )


def _olds(context: Context) -> list[Cluster]:
    return [cluster for cluster in context.former if cluster != context.cluster]


def _kept(context: Context) -> Kept:
    olds = _olds(context)
    going = [each for each in context.leaving if each.host.name not in context.absent]
    return Kept(
        retiring(context.cluster, olds),
        retiring_lines(context.cluster, olds),
        standing(context.cluster, context.established),
        tuple(each.host for each in going if each.loses(Role.WORKER)),
        tuple(each.host for each in going),
    )
