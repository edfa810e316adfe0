"""What turns are expected to take, and that a whole cluster goes through where there is time."""

from datetime import UTC, datetime

from staging import compile_cluster
from test_around import ALL
from test_who_waits import change, workers

from quorate.core import Key
from quorate.execute.schedule import Schedule
from quorate.execute.window import Turns, Window
from quorate.plan.compile import Compiled
from quorate.plan.expected import expected
from quorate.plan.gate import Turn
from quorate.plan.step import Plan, Step
from quorate.resource.drain import Drained
from quorate.resource.unit import Ready

KUBELET = Key("n2", "binary", "/opt/kubernetes/bin/kubelet")


def plan(compiled: Compiled, *changes: Key) -> Plan:
    """One in which these differ; without any, all."""
    steps = {
        each.key: Step(each, None if not changes or each.key in changes else each.desired) for each in compiled.ordered
    }
    return Plan(steps, compiled.needs, component_of=compiled.component_of, gates=compiled.gates, turns=compiled.turns)


def walked(turns: Turns, order: Schedule) -> set[Key]:
    """What begins of a compiled cluster in which everything differs."""
    begun = set[Key]()
    while True:
        turns.admit(order)
        ready = [key for keys in order.ready.values() for key in keys if not turns.hold(key)]
        if not ready:
            return begun
        for step in order.start(*ready):
            begun.add(step.key)
            order.close(step.key, changed=True)


def all_differ(limit: float) -> tuple[Turns, Schedule]:
    made = plan(compile_cluster(workers(3, **ALL)))
    turns = Turns(made, Window(datetime.fromtimestamp(limit, UTC), lambda: 0.0))
    return turns, Schedule(made, turns.hold)


def test_a_whole_cluster_goes_through_where_there_is_time() -> None:
    """No turn waits for one that waits for it."""
    turns, order = all_differ(1e6)
    walked(turns, order)
    assert not order.open


def test_where_there_is_no_time_for_the_masters_no_worker_is_begun_that_would_wait_for_them() -> None:
    turns, order = all_differ(900)
    begun = walked(turns, order)
    assert not {key for key in begun if key.kind in (Drained.kind, "hook")}
    assert not {key for key in begun if key.name in ("kubelet.service", "kube-apiserver.service", "containerd.service")}


def test_what_is_expected_of_a_worker_is_the_sum_of_its_limits() -> None:
    compiled = compile_cluster(workers(3, **ALL))
    changes = (KUBELET, Key("m1", "drained", "n2"), Key("n2", "hook", "pause"))
    mine = [each for each in compiled.ordered if compiled.turns.get(each.key) == Turn("node", "n2")]
    proofs = sum(each.may_take for each in mine if isinstance(each, Ready))
    assert proofs > 100
    made = plan(compiled, *changes)
    assert expected(made) == {Turn("node", "n2"): 300 + 5 + proofs}
    told = Window(datetime(2026, 12, 1, 4, tzinfo=UTC), lambda: 0.0).told(made)
    assert told.startswith("nothing begins that would not end by 2026-12-01 04:00+00:00: node on 1 host up to ")


def test_a_file_that_services_load_is_a_change_of_theirs() -> None:
    compiled = compile_cluster(change())
    path = Key("m1", "file", "/etc/kubernetes/pki/ca.crt")
    found = expected(plan(compiled, path))
    assert Turn("apiserver", "m1", strict=True) in found
    assert {turn.host for turn in found} == {"m1"}
