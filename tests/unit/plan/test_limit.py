"""`--limit`: some hosts of a plan, where nothing on others must come first."""

from collections.abc import Callable

import pytest
from past_clusters import cluster
from staging import compile_cluster
from test_who_waits import change, first_build

from quorate.cli.names import selected_hosts
from quorate.component.context import Context
from quorate.core import Key, PlanError, UsageError
from quorate.execute.schedule import Schedule
from quorate.plan.limit import limited
from quorate.plan.staged import foreseen
from quorate.plan.step import Plan, Step


def plan(given: Context, differs: Callable[[Key], bool]) -> Plan:
    compiled = compile_cluster(given)
    steps = {
        resource.key: Step(resource, {} if differs(resource.key) else resource.desired) for resource in compiled.ordered
    }
    return Plan(steps, compiled.needs, component_of=compiled.component_of, gates=compiled.gates, turns=compiled.turns)


def named(*names: str) -> Callable[[Key], bool]:
    return lambda key: key.name in names


def walked(found: Plan) -> list[Key]:
    """Everything that begins, in order; nothing may be left."""
    order, did = Schedule(found), list[Key]()
    while ready := [key for keys in order.ready.values() for key in keys]:
        for step in order.start(*ready):
            did.append(step.key)
            order.close(step.key, changed=bool(step.diff))
    assert order.rest == []
    return did


def test_one_of_the_workers_can_go_first_by_hand() -> None:
    """Whose turn it would be counts no more; its own order does."""
    whole = plan(change(), named("kubelet.service", "node", "/etc/kubernetes/kubelet.yaml"))
    did = walked(limited(whole, {"n2"}))
    assert {key.host for key in did} == {"n2"}
    assert did.index(Key("n2", "unit", "kubelet.service")) < did.index(Key("n2", "ready", "node"))
    assert {key.host for key in walked(whole)} >= {"n1", "n2"}


def test_one_of_the_members_and_one_of_the_api_servers() -> None:
    whole = plan(change(), named("etcd.service", "kube-apiserver.service"))
    did = walked(limited(whole, {"m2"}))
    assert Key("m2", "unit", "etcd.service") in did
    assert Key("m2", "unit", "kube-apiserver.service") in did, "the other members run as they are"
    assert {key.host for key in did} == {"m2"}


def test_what_waits_for_others_is_refused_and_says_for_whom() -> None:
    whole = plan(first_build(), lambda key: True)
    with pytest.raises(PlanError, match="these hosts alone can't be changed:\n  n1/") as refused:
        limited(whole, {"n1"})
    assert "waits for m" in refused.value.message
    assert "and" in refused.value.message.splitlines()[-1]
    assert "name " in refused.value.hint


def test_what_others_wait_for_can_go_alone() -> None:
    """Members of etcd wait for nobody, API servers for a quorum of them."""
    whole = plan(first_build(), named("etcd.service", "etcd", "kube-apiserver.service"))
    with pytest.raises(PlanError, match="waits for m"):
        limited(whole, {"m1"})
    only = plan(first_build(), named("etcd.service"))
    did = walked(limited(only, {"m1", "m2"}))
    assert {Key(host, "unit", "etcd.service") for host in ("m1", "m2")} <= set(did)
    assert {key.host for key in did} == {"m1", "m2"}


def test_hosts_with_nothing_to_do_are_a_plan_without_changes() -> None:
    whole = plan(change(), lambda key: key.host == "m1" and key.name == "etcd.service")
    assert limited(whole, {"n1", "n2"}).changes == ()


def test_hosts_and_roles_are_named() -> None:
    from past_clusters import THREE

    three = cluster(THREE)
    assert selected_hosts(three, ("worker", "m1")) == {"n1", "n2", "m1"}
    assert selected_hosts(three, ("load-balancer",)) == {"b1", "b2"}
    assert selected_hosts(three, ()) == frozenset()
    with pytest.raises(UsageError, match="no host or role m9"):
        selected_hosts(three, ("m9",))


def test_what_is_done_elsewhere_for_a_host_goes_with_it_and_with_no_other() -> None:
    from test_around import ALL
    from test_who_waits import workers

    compiled = compile_cluster(workers(3, **ALL))
    states = {b.key: {} if b.key.kind in ("drained", "hook") else b.desired for b in compiled.resources}
    states |= {Key(f"n{n}", "file", "/etc/systemd/system/kubelet.service"): {} for n in (1, 2, 3)}
    whole, _ = foreseen(compiled, (), states)
    did = walked(limited(whole, {"n2"}))
    assert {key for key in did if key.host == "m1"} == {Key("m1", "drained", "n2"), Key("m1", "uncordoned", "n2")}
    assert {key.host for key in did} == {"m1", "n2"}
    assert not [key for key in walked(limited(whole, {"m1"})) if key.kind in ("drained", "uncordoned")]
