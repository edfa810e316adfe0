"""Which hosts an apply leaves out of the cluster: dead ones that were named, now or before."""

from collections.abc import Collection

from quorate.core import PlanError
from quorate.spec import rules
from quorate.spec.cluster import Cluster
from quorate.spec.fewer_hosts import cluster_without
from quorate.state.past import Past


def left_out(cluster: Cluster, past: Past, named: Collection[str], lost: Collection[str]) -> frozenset[str]:
    """Those of the cluster's hosts that are left out.

    Raises PlanError for one that is `named` and answers, and where the others alone are no cluster.
    """
    if named and past.established is None:
        fix = f"take {', '.join(sorted(named))} out of the file"
        raise PlanError("--without is for a cluster that runs, and this one was not built yet", fix)
    if alive := sorted(set(named) - set(lost)):
        raise PlanError(
            f"{', '.join(alive)} answers: --without is for hosts that do not",
            "apply takes along who answers; take a host out of the file and it leaves in good order",
        )
    out = frozenset(host.name for host in cluster.hosts if host.name in past.out | set(named)) & set(lost)
    if faults := rules.check(cluster_without(cluster, out), runs=True, offline=True) if out else ():
        faults_text = "; ".join(f"{'.'.join(map(str, fault.where))} {fault.rule}" for fault in faults)
        raise PlanError(f"without {', '.join(sorted(out))} the others are no cluster: {faults_text}", faults[0].fix)
    return out


def left_out_notes(past: Past, out: Collection[str]) -> tuple[str, ...]:
    """What the operator should know of hosts that are left out, and of those that come back."""
    gone = (
        f"{name} does not answer and is left out of the cluster; see to it that it stays off until `quorate apply` "
        "reaches it, which takes it in as a new host"
        for name in sorted(out)
    )
    back = (f"{name} answers again: it comes in as a new host" for name in sorted(past.out - set(out)))
    return (*gone, *back)
