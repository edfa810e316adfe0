"""What is away for a while because nothing takes its place is said in the plan, with how long."""

from past_clusters import THREE, E, L, M, W, cluster

from quorate.core import Key
from quorate.plan.outages import AWAY_S, BALANCER_S, outages
from quorate.plan.show import Line, Shown, Sort
from quorate.spec.cluster import Cluster, Endpoint

ALONE = cluster({"m1": (M, E), "n1": (W,)}, endpoint=Endpoint())


def told(of: Cluster, *changes: tuple[str, str, Sort]) -> list[str]:
    lines = (Line(Key(host, "unit", unit), "x", sort, "unit", unit, "") for host, unit, sort in changes)
    return list(outages(Shown(tuple(lines)), of))


def test_the_only_one_of_its_kind() -> None:
    (said,) = told(ALONE, ("m1", "kube-apiserver.service", Sort.RESTART))
    assert said.startswith("m1 alone runs kube-apiserver: while that restarts the API is away for some")
    assert f"some {AWAY_S} s" in said
    (said,) = told(ALONE, *(("m1", "etcd.service", Sort.RESTART),) * 2)
    assert f"some {AWAY_S} s, 2 times" in said
    balanced = cluster({**THREE, "m1": (M, E, L), "m3": (M, E)})
    one = [host for host in balanced.hosts if L not in host.roles or host.name == "m1"]
    balanced = balanced.model_copy(update={"hosts": tuple(one)})
    (said,) = told(balanced, ("m1", f"{balanced.load_balancer.kind}.service", Sort.RESTART))
    assert f"some {BALANCER_S} s" in said


def test_what_others_go_on_with_or_what_does_not_stop_is_no_outage() -> None:
    for unit in ("kube-apiserver.service", "etcd.service"):
        assert told(cluster(THREE), ("m1", unit, Sort.RESTART)) == []
        assert told(ALONE, ("m1", unit, Sort.CREATE)) == []
    assert told(ALONE, ("n1", "kubelet.service", Sort.RESTART), ("m1", "kube-scheduler.service", Sort.RESTART)) == []
    assert told(ALONE, ("m1", "haproxy.service", Sort.RELOAD)) == []
