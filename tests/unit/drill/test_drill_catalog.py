"""Which faults there are, and whom they hit in which cluster."""

import re
from pathlib import Path
from random import Random

import pytest
from drill_world import cluster
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from worlds import contexts

from quorate.component.context import Context
from quorate.core import QuorateError
from quorate.drill.catalog import FAULTS, Fault, fitted, named
from quorate.drill.scene import ELECTED, Scene, Skip, probed
from quorate.drill.targets import Experiment
from quorate.spec.cluster import Cluster, Endpoint, Role
from quorate.spec.load import load

EXAMPLES = Path(__file__).parents[3] / "examples"
BY_NAME = {fault.name: fault for fault in FAULTS}


def scene(c: Cluster, **more: object) -> Scene:
    """As it is after an apply: the first of each kind leads."""
    leases = dict.fromkeys(ELECTED, c.masters[0])
    known = {"owner": c.balancers[0] if c.endpoint.vip else None, "leader": c.members[0], "leases": leases}
    return Scene(c, **{**known, **more})  # type: ignore[arg-type]


def hits(fault: str, one: Scene, times: int = 40) -> set[str]:
    """Whom a fault hits in many runs."""
    rng = Random(1)
    return {BY_NAME[fault].select(one, rng).label for _ in range(times)}


def test_names_are_said_once_and_found() -> None:
    assert len(BY_NAME) == len(FAULTS)
    assert [fault.name for fault in named(["leader-lost", "balancer-killed"])] == ["balancer-killed", "leader-lost"]
    assert named([]) == tuple(FAULTS)
    with pytest.raises(QuorateError, match="no fault rm -rf"):
        named(["rm -rf"])


def test_the_document_tells_each_fault_and_how_long_it_lasts() -> None:
    text = (EXAMPLES.parent / "docs/tasks/drill.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| .* \| (\d+) s \|$", text, re.MULTILINE)
    assert rows == [(fault.name, f"{fault.seconds:g}") for fault in FAULTS]


def test_the_goals_are_those_of_the_project() -> None:
    goals = {name: tuple(fault.goals.values()) for name, fault in BY_NAME.items() if fault.goals}
    assert goals["balancer-killed"] == (0.15, 0.5, 0.5)
    assert goals["balancer-lost"] == (0.4, 1, 1)
    assert goals["apiserver-killed"] == (0.05, 0.5, 0.5)
    assert goals["apiserver-terminated"] == (0, 0, 0)
    assert goals["apiserver-hung"] == (1, 2, 2)
    assert goals["master-lost"] == goals["leader-lost"] == (0.5, 1, 1.5)
    assert goals["balancers-split"] == goals["address-renewed"] == (0.5, 1, 1)
    assert goals["network-restarted"] == goals["firewall-reloaded"] == (2, 2, 2)
    heard = {name: fault.kubelets for name, fault in BY_NAME.items() if fault.kubelets}
    assert set(heard.values()) == {10}
    # All that has goals, but for the loops: whoever leads in them, kubelets do not ask.
    assert {name for name, fault in BY_NAME.items() if fault.goals and not fault.loops} < set(heard)
    loops = {name: fault.loops for name, fault in BY_NAME.items() if fault.loops}
    assert loops == {
        "controller-manager-killed": 6,
        "controller-manager-terminated": 1,
        "scheduler-killed": 6,
        "scheduler-terminated": 1,
    }


def test_whom_faults_hit_with_three_masters() -> None:
    c = load(EXAMPLES / "three-masters.yaml")
    one = scene(c, owner=c.host("master02"), leader=c.host("master03"), leases={ELECTED[1]: c.host("master01")})
    assert hits("balancer-killed", one) == {"master02 haproxy"}
    assert hits("balancer-lost", one) == {"master02"}
    assert hits("keepalived-killed", one) == {"master02 keepalived"}
    assert hits("network-restarted", one) == hits("address-renewed", one) == {"master02"}
    assert hits("firewall-reloaded", one) == {"master02, node01", "master02, node02"}
    renewed = BY_NAME["address-renewed"].select(one, Random(1)).injections[0]
    assert "systemctl start --no-block haproxy.service" in renewed.heal
    assert hits("apiserver-hung", one) == {f"master0{number} kube-apiserver" for number in (1, 2, 3)}
    assert hits("master-lost", one) == {"master01", "master03"}
    assert hits("leader-lost", one) == {"master03"}
    assert hits("member-lost", one) == {"master01"}
    assert hits("scheduler-terminated", one) == {"master01 kube-scheduler"}
    assert hits("worker-lost", one) == {"node01", "node02"}
    with pytest.raises(Skip, match="not known where kube-controller-manager leads"):
        hits("controller-manager-killed", one)


def test_whom_faults_hit_in_the_described_cluster() -> None:
    c = load(EXAMPLES / "described.yaml")
    one = scene(c, leader=c.host("node01"))
    assert hits("balancer-stopped", one) == {"nginx01 nginx"}
    assert hits("master-lost", one) == {"master01", "master02"}
    assert hits("leader-lost", one) == {"node01"}
    assert hits("member-lost", one) == {"master01", "node02"}
    # Both workers are members too; each of them may go.
    assert hits("worker-lost", one) == {"node01", "node02"}
    split = BY_NAME["balancers-split"].select(one, Random(1)).injections[0]
    assert split.host.name == "nginx01"
    assert "192.168.109.137" in split.begin
    assert "192.168.109.135" not in split.begin


def test_two_members_are_not_made_one() -> None:
    c = cluster()
    two = Cluster(**{**dict(c), "hosts": (*c.masters[:2], *c.workers, *c.balancers)})
    for fault in ("master-lost", "leader-lost", "member-killed", "member-lost", "loss-30", "loss-one-way"):
        with pytest.raises(Skip, match="2 etcd members survive no loss"):
            hits(fault, scene(two))
    assert hits("apiserver-killed", scene(two)) == {"m1 kube-apiserver", "m2 kube-apiserver"}


def test_what_is_the_only_one_is_not_broken() -> None:
    smallest = scene(load(EXAMPLES / "smallest.yaml"))
    skipped = set()
    for fault in FAULTS:
        try:
            fault.select(smallest, Random(1))
        except Skip:
            skipped.add(fault.name)
    controllers = {fault.name for fault in FAULTS if fault.loops}
    assert set(BY_NAME) - skipped == {*controllers, "kubelet-stopped", "firewall-reloaded"}
    assert hits("firewall-reloaded", smallest) == {smallest.cluster.workers[0].name}


def test_an_endpoint_that_is_a_master_is_not_taken_away() -> None:
    c = cluster(endpoint=Endpoint())
    for fault in ("apiserver-killed", "master-lost", "delay-100"):
        with pytest.raises(Skip, match="endpoint is the first master"):
            hits(fault, scene(c))
    with pytest.raises(Skip, match="no virtual IP"):
        hits("balancer-lost", scene(c))


def test_where_each_node_has_a_balancer_that_of_the_probe_is_hit() -> None:
    c = cluster()
    c = Cluster(**{**dict(c), "hosts": (*c.masters, *c.workers), "endpoint": Endpoint(local=True)})
    one = scene(c, leader=c.host("m2"))
    for fault in ("balancer-killed", "balancer-stopped", "balancer-hung"):
        assert hits(fault, one) == {"w1 nginx"}
    assert hits("apiserver-hung", one) == {f"m{number} kube-apiserver" for number in (1, 2, 3)}
    assert hits("master-lost", one) == {"m1", "m2", "m3"}
    assert hits("leader-lost", one) == {"m2"}
    assert hits("worker-lost", one) == hits("network-restarted", one) == hits("address-renewed", one) == {"w2"}
    assert hits("firewall-reloaded", one) == {f"m{m}, w{w}" for m in (1, 2, 3) for w in (1, 2)}
    for fault in ("balancer-lost", "balancers-split", "keepalived-killed"):
        with pytest.raises(Skip, match="each node has a balancer of its own"):
            hits(fault, one)
    renewed = BY_NAME["address-renewed"].select(one, Random(1)).injections[0]
    assert "nginx" not in renewed.begin + renewed.heal + renewed.prepare


def test_the_probe_s_own_host_is_never_taken_away() -> None:
    c = cluster()
    hosts = tuple(host.model_copy(update={"roles": (*host.roles, Role.WORKER)}) for host in c.masters)
    c = Cluster(**{**dict(c), "hosts": hosts, "endpoint": Endpoint(local=True)})
    one = scene(c, leader=c.host("m2"))
    assert probed(c) == c.host("m1")
    assert hits("master-lost", one) == hits("worker-lost", one) == {"m2", "m3"}
    assert hits("member-lost", one) == {"m3"}
    with pytest.raises(Skip, match="the probe goes through the balancer of m1"):
        hits("leader-lost", scene(c))


def test_nobody_takes_the_place_of_a_node_s_own_balancer() -> None:
    c = cluster()
    own = Cluster(**{**dict(c), "hosts": (*c.masters, *c.workers), "endpoint": Endpoint(local=True)})
    assert all(fitted(fault, c) is fault for fault in FAULTS)
    hung = fitted(BY_NAME["balancer-hung"], own)
    assert (hung.seconds, hung.goals["new"], hung.kubelets) == (10, 6, 10)
    assert fitted(BY_NAME["balancer-killed"], own).goals["writes"] == 2
    assert fitted(BY_NAME["address-renewed"], own).title == "own address renewed"
    assert fitted(BY_NAME["master-lost"], own) == BY_NAME["master-lost"]


def test_what_is_not_known_is_not_guessed() -> None:
    one = Scene(cluster())
    for fault in ("balancer-killed", "leader-lost", "member-lost", "scheduler-killed"):
        with pytest.raises(Skip, match="not known"):
            hits(fault, one)


def test_chance_is_that_of_the_seed() -> None:
    one = scene(cluster())

    def chosen(seed: int) -> list[str]:
        rng = Random(seed)
        return [BY_NAME["apiserver-killed"].select(one, rng).label for _ in range(12)]

    assert chosen(3) == chosen(3)
    assert chosen(3) != chosen(4)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(context=contexts(), seed=st.integers(0, 99))
def test_no_fault_takes_more_than_a_cluster_survives(context: Context, seed: int) -> None:
    for fault in FAULTS:
        survives(context.cluster, fault, seed)


def survives(c: Cluster, fault: Fault, seed: int) -> None:
    """Whether all else goes on, whomever a fault takes."""
    try:
        experiment: Experiment = fault.select(scene(c), Random(seed))
    except Skip:
        return
    assert experiment.label
    assert all("$" not in each.heal for each in experiment.injections)
    gone = [host for host in c.hosts if host.name in experiment.cut]
    left = [host for host in c.hosts if host not in gone]
    if gone:
        assert any(host.has(Role.CONTROL_PLANE) for host in left)
        members = sum(host.has(Role.ETCD) for host in left)
        assert members * 2 > len(c.members)
        assert not c.endpoint.vip or any(host.has(Role.LOAD_BALANCER) for host in left)
