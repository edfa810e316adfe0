"""One bad host: what must wait for it waits, and nothing else. A row each of the table in docs/architecture.md."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
import staging
from past_clusters import THREE, E, M, W, ancestors, cluster, context
from staging import compile_cluster
from worlds import secrets

from quorate.component.context import Context
from quorate.core import Key
from quorate.execute.schedule import Schedule
from quorate.operation.change import AWAY, JOIN, LEAVE
from quorate.plan.compile import Compiled
from quorate.plan.step import Plan, Step
from quorate.resource.kube import NodeMarks
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Endpoint, Host, Rollout
from quorate.spec.facts import HostFacts
from quorate.state.subnets import Subnets, allocate

EVERYTHING = ("etcd", "kube-apiserver", "nginx", "containerd", "kubelet", "kube-proxy", "kube-scheduler")


def first_build(**more: object) -> Context:
    begun = context(cluster(THREE, **more))  # type: ignore[arg-type]
    empty = {name: HostFacts(machine_id=name) for name in begun.facts.hosts}
    return replace(begun, established=None, former=(), facts=replace(begun.facts, hosts=empty))


def change() -> Context:
    begun = context(cluster(THREE))
    running = frozenset(f"{name}.service" for name in (*EVERYTHING, "kube-controller-manager", "keepalived"))
    hosts = {name: replace(facts, running=running) for name, facts in begun.facts.hosts.items()}
    return replace(begun, facts=replace(begun.facts, hosts=hosts))


def ordered(compiled: Compiled, differs: Callable[[Key], bool]) -> Schedule:
    """A plan in which some things are not as wanted."""
    steps = {
        resource.key: Step(resource, None if differs(resource.key) else resource.desired)
        for resource in compiled.ordered
    }
    return Schedule(Plan(steps, compiled.needs, component_of=compiled.component_of, gates=compiled.gates))


def walked(compiled: Compiled, bad: Callable[[Key], bool]) -> tuple[set[Key], dict[Key, Key]]:
    """Do all that can be done where everything differs; what failed, and what never began with its cause."""
    order, failed = ordered(compiled, lambda key: True), set[Key]()
    while ready := [key for found in order.ready.values() for key in found]:
        for step in order.start(*ready):
            if bad(step.key):
                failed.add(step.key)
                order.fail(step.key)
            else:
                order.close(step.key, changed=bool(step.diff))
    return failed, {key: order.cause(key) for key in order.rest if key not in failed}


def of(host: str, what: str = "") -> Callable[[Key], bool]:
    """What runs there under that name, or its packages."""

    def matches(key: Key) -> bool:
        if key.host != host or key.kind not in (Unit.kind, Ready.kind, "setting", "packages"):
            return False
        return key.name == what if what else key.kind == "packages"

    return matches


def skipped(given: Context, bad: Callable[[Key], bool]) -> set[str]:
    """`host kind name` of what never began, of the kinds that run."""
    failed, waits = walked(compile_cluster(given), bad)
    assert failed
    assert set(waits.values()) <= failed, "skipped without a reason"
    return {str(key) for key in waits if key.kind in (Unit.kind, Ready.kind, "manifest")}


def hosts(found: set[str]) -> set[str]:
    return {each.partition("/")[0] for each in found}


def test_nothing_waits_when_nothing_fails() -> None:
    for given in (first_build(), change()):
        failed, waits = walked(compile_cluster(given), lambda key: False)
        assert (failed, waits) == (set(), {})


@pytest.mark.parametrize("what", ["containerd.service", "kubelet.service", "node", ""])
def test_a_bad_worker_in_a_first_build_is_alone(what: str) -> None:
    assert hosts(skipped(first_build(), of("n1", what))) <= {"n1"}


def test_a_bad_worker_in_a_change_is_alone_unless_it_is_the_canary() -> None:
    six = {**THREE, "n3": (W,)}
    given = change()
    wide = context(cluster(six))
    facts = {**given.facts.hosts, "n3": replace(given.facts.hosts["n1"], machine_id="id-n3")}
    wide = replace(wide, facts=replace(wide.facts, hosts=facts))
    assert hosts(skipped(wide, of("n2", "kubelet.service"))) == {"n2"}
    canary = skipped(wide, of("n1", "kubelet.service"))
    assert {"n2/unit/kubelet.service", "n3/unit/kubelet.service"} <= canary
    assert hosts(canary) == {"n1", "n2", "n3"}


def test_a_bad_new_worker_holds_up_none_that_runs() -> None:
    given = change()
    new = context(cluster({**THREE, "n3": (W,)}), cluster(THREE))
    facts = {**given.facts.hosts, "n3": HostFacts(machine_id="id-n3")}
    new = replace(new, facts=replace(new.facts, hosts=facts))
    assert hosts(skipped(new, of("n3", "kubelet.service"))) == {"n3"}


def test_a_bad_member_in_a_first_build_leaves_a_quorum() -> None:
    """The others go on, its own API server by their members too: the way to etcd leads to all of them."""
    found = skipped(first_build(), of("m2", "etcd.service"))
    assert found == {"m2/ready/etcd"}


def test_members_of_a_first_build_are_asked_when_all_have_begun() -> None:
    others = {Key(host, "unit", "etcd.service") for host in ("m2", "m3")}
    asked = Key("m1", "ready", "etcd")
    assert others <= ancestors(compile_cluster(first_build()), asked)
    assert not others & ancestors(compile_cluster(change()), asked), "who changes first waits for none that comes later"


def test_a_node_that_is_new_comes_after_the_old_ones_name_is_forgotten() -> None:
    kubelet = Key("n1", "unit", "kubelet.service")
    assert Key("m1", "manifest", "access") in ancestors(compile_cluster(first_build()), kubelet)


def test_marks_wait_for_their_own_node_alone() -> None:
    given = first_build()
    marked = [
        host.model_copy(update={"labels": {"disk": "ssd"}}) if W in host.roles else host for host in given.cluster.hosts
    ]
    given = replace(given, cluster=given.cluster.model_copy(update={"hosts": tuple(marked)}))
    _, waits = walked(compile_cluster(given), of("n1", "kubelet.service"))
    assert {key.name for key in waits if key.kind == NodeMarks.kind} == {"n1"}


def test_two_bad_members_in_a_first_build_are_no_quorum() -> None:
    found = skipped(first_build(), lambda key: key.host in ("m2", "m3") and key.name == "etcd.service")
    assert {"m1/unit/kube-apiserver.service", "n1/unit/kubelet.service", "b1/ready/endpoint"} <= found
    assert not {"m1/ready/etcd", "b1/ready/nginx", "b1/unit/keepalived.service", "n1/ready/containerd"} & found


def test_a_bad_member_in_a_change_stops_the_other_members() -> None:
    found = skipped(change(), of("m1", "etcd"))
    assert {"m2/unit/etcd.service", "m3/unit/etcd.service"} <= found
    assert {each for each in found if "etcd" not in each} == set(), "a quorum is enough for all others"


def test_a_bad_master_in_a_first_build_leaves_an_endpoint() -> None:
    found = skipped(first_build(), of("m2", "kube-apiserver"))
    assert hosts(found) == {"m2"}
    assert found == {"m2/unit/kube-controller-manager.service", "m2/unit/kube-scheduler.service"} | {
        each for each in found if each.startswith("m2/ready/")
    }


def test_the_master_that_writes_is_missed_by_what_it_writes_alone() -> None:
    found = skipped(first_build(), of("m1", "kube-apiserver"))
    assert hosts(found) == {"m1"}
    assert {"m1/manifest/access"} <= found


def test_a_bad_master_in_a_change_stops_the_other_masters() -> None:
    found = skipped(change(), of("m1", "kube-apiserver"))
    assert {"m2/unit/kube-apiserver.service", "m3/unit/kube-apiserver.service"} <= found
    assert not {each for each in found if each.split("/")[0] in ("n1", "n2", "b1", "b2")}


def test_a_bad_balancer_in_a_first_build_leaves_the_other() -> None:
    assert hosts(skipped(first_build(), of("b1", "nginx.service"))) == {"b1"}


def test_balancers_of_which_one_has_no_keepalived_are_not_proven_to_hear_each_other() -> None:
    """Both might hold the virtual IP; so it and all that asks for it waits."""
    found = skipped(first_build(), of("b1", "virtual IP"))
    assert {"b2/unit/keepalived.service", "n1/unit/kubelet.service"} <= found
    assert not {"m1/ready/kube-apiserver", "b2/ready/nginx"} & found


def test_a_keepalived_that_can_not_be_had_in_a_change_stops_the_other() -> None:
    found = skipped(change(), of("b1", "virtual IP"))
    assert "b2/unit/keepalived.service" in found
    assert hosts(found) == {"b1", "b2"}


def test_a_bad_balancer_in_a_change_stops_the_other() -> None:
    found = skipped(change(), of("b1", "nginx"))
    assert {"b2/unit/nginx.service", "b2/unit/keepalived.service"} <= found
    assert hosts(found) == {"b1", "b2"}


def test_all_masters_bad_is_no_endpoint() -> None:
    found = skipped(first_build(), lambda key: key.name == "kube-apiserver" and key.kind == Ready.kind)
    assert {"n1/ready/endpoint", "n1/unit/kubelet.service", "n2/unit/kube-proxy.service"} <= found


def test_an_endpoint_that_no_master_reaches_is_asked_by_nobody_else() -> None:
    found = skipped(first_build(), lambda key: key.host in ("m1", "m2", "m3") and key.name == "endpoint")
    assert {"n1/ready/endpoint", "n2/ready/endpoint", "b1/ready/endpoint"} <= found


def test_balancers_of_their_own_hosts_alone_do_not_stop_each_other() -> None:
    local = Endpoint(local=True)
    given = context(cluster({name: roles for name, roles in THREE.items() if name[0] != "b"}, endpoint=local))
    found = skipped(given, of("n1", "nginx"))
    assert hosts(found) == {"n1"}


def test_api_servers_are_asked_again_when_a_member_changed() -> None:
    order = ordered(compile_cluster(change()), lambda key: key == Key("m2", "unit", "etcd.service"))
    asked = set()
    while ready := [key for found in order.ready.values() for key in found]:
        for step in order.start(*ready):
            asked.add(step.key)
            order.close(step.key, changed=bool(step.diff))
    assert {Key(host, "ready", "kube-apiserver") for host in ("m1", "m2", "m3")} <= asked
    assert not {key for key in asked if key.kind == Unit.kind and key.name == "kube-apiserver.service"}


def test_what_leaves_waits_until_all_that_stays_is_proven() -> None:
    """It is a stage of its own, and no stage begins before the one before has come to its end (tests/cli)."""
    new = context(cluster({name: roles for name, roles in THREE.items() if name != "n2"}), cluster(THREE))
    assert staging.stage_of(new, Key("m1", "setting", "drain of n2")) == AWAY
    assert staging.names(new) == [JOIN, AWAY, LEAVE]


def test_a_member_alone_on_its_host_goes_first() -> None:
    """m4 is one that has to be let in: a running cluster waits for nothing of it but what comes after it."""
    roles = {**THREE, "m4": (M, E), "n3": (E,)}
    new = context(cluster(roles), cluster(THREE))
    found = skipped(new, of("m4", "membership in etcd"))
    assert {"n3/unit/etcd.service"} <= found
    assert "m1/unit/etcd.service" not in found


@pytest.mark.parametrize("count", [6, 60])
def test_one_worker_more_touches_itself_alone(count: int) -> None:
    """Of a cluster whose other hosts are as wanted, whatever its size."""
    base = cluster(THREE)
    more = [
        Host(name=f"w{number:03}", address=IPv4Address(f"10.0.8.{number}"), roles=(W,)) for number in range(1, count)
    ]
    wide = base.model_copy(update={"hosts": (*base.hosts, *more)})
    given = change()
    facts = dict(given.facts.hosts)
    for host in more:
        facts[host.name] = replace(given.facts.hosts["n1"], machine_id=host.name)
    new = more[-1].name
    facts[new] = HostFacts(machine_id=new)
    whole = replace(
        context(wide, base), cluster=wide, secrets=secrets(wide),
        facts=replace(given.facts, hosts=facts, pod_cidrs=allocate(wide, Subnets({}, {})).given),
    )  # fmt: skip
    order, touched = ordered(compile_cluster(whole), lambda key: key.host == new), set[str]()
    while ready := [key for found in order.ready.values() for key in found]:
        for step in order.start(*ready):
            touched.add(step.key.host)
            order.close(step.key, changed=bool(step.diff))
    assert touched == {new}


def workers(count: int, **rollout: object) -> Context:
    """A cluster that runs, with so many workers."""
    names = [f"n{number}" for number in range(1, count + 1)]
    wide = context(cluster(THREE))
    hosts = [host for host in wide.cluster.hosts if not host.has(W)]
    hosts += [Host(name=name, address=IPv4Address(f"10.0.9.{20 + n}"), roles=(W,)) for n, name in enumerate(names)]
    now = wide.cluster.model_copy(update={"hosts": tuple(hosts), "rollout": Rollout(**rollout)})  # type: ignore[arg-type]
    running = frozenset(f"{name}.service" for name in (*EVERYTHING, "kube-controller-manager", "keepalived"))
    facts = {host.name: replace(wide.facts.hosts["m1"], machine_id=host.name, running=running) for host in hosts}
    cidrs = allocate(now, Subnets({}, {})).given
    facts_of = replace(wide.facts, hosts=facts, pod_cidrs=cidrs)
    return replace(wide, cluster=now, established=now, former=(now,), facts=facts_of, secrets=secrets(now))


def in_waves(given: Context) -> list[set[str]]:
    """The workers whose kubelets are restarted, those of each moment that go on side by side."""
    order, waves = ordered(compile_cluster(given), lambda key: True), list[set[str]]()
    while ready := [key for found in order.ready.values() for key in found]:
        wave = {key.host for key in ready if key.name == "kubelet.service"}
        waves += [wave] if wave else []
        for step in order.start(*ready):
            order.close(step.key, changed=True)
    return waves


@pytest.mark.parametrize(
    ("rollout", "sizes"),
    [
        ({}, [1] * 7),
        ({"max_unavailable": "3"}, [1, 3, 3]),
        ({"max_unavailable": "30%"}, [1, 2, 2, 2]),
        ({"max_unavailable": "1%"}, [1] * 7),
        ({"max_unavailable": "100%"}, [1, 6]),
        ({"max_unavailable": "5", "canaries": 2}, [1, 1, 5]),
        ({"canaries": 9, "max_unavailable": "5"}, [1] * 7),
    ],
)
def test_so_many_workers_change_at_once_after_the_canaries(rollout: dict[str, object], sizes: list[int]) -> None:
    assert [len(wave) for wave in in_waves(workers(7, **rollout))] == sizes


def test_a_worker_is_disturbed_once_whatever_changes_on_it() -> None:
    needs = {
        host: ancestors(compile_cluster(workers(3)), Key(host, "unit", "containerd.service")) for host in ("n2", "n3")
    }
    for host, before in (("n2", "n1"), ("n3", "n2")):
        for unit in ("containerd.service", "kubelet.service", "kube-proxy.service"):
            assert Key(before, "unit", unit) in needs[host], f"{before} is over before {host} begins"


def test_every_canary_stops_the_others_and_no_other_worker_does() -> None:
    given = workers(6, canaries=2, max_unavailable="2")
    for bad, hit in (("n1", {2, 3, 4, 5, 6}), ("n2", {3, 4, 5, 6}), ("n3", set()), ("n4", set())):
        _, waits = walked(compile_cluster(given), of(bad, "kubelet.service"))
        late = {key.host for key in waits if key.name == "kubelet.service"} - {bad}
        assert late == {f"n{number}" for number in hit}, bad


def test_what_does_not_run_yet_waits_as_well_where_the_service_runs() -> None:
    """A reboot between must never start a kubelet that is newer than its API servers."""
    binary = next(
        key
        for key in compile_cluster(change()).needs
        if key.host == "n1" and key.name.endswith("/kubelet") and key.kind == "binary"
    )
    waits = Key("m1", "ready", "endpoint")
    assert waits in ancestors(compile_cluster(change()), binary)
    assert waits not in ancestors(compile_cluster(first_build()), binary)
