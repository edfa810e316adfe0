"""Who is looked at again: what does not answer though nothing that it needs would change."""

from quorate.core import Key, State
from quorate.plan.step import Plan, Step
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit

UNIT = Unit(host="h", unit="u.service")
RUNS: State = {"active": "active", "enabled": "enabled", "reload": "no"}
OWN, FAR = Ready(host="h", what="own", check=":"), Ready(host="k", what="far", check=":")


def late(unit: State, own: str, far: str, unreachable: tuple[str, ...] = ()) -> list[Key]:
    found: dict[Resource, State] = {UNIT: unit, OWN: {"ready": own}, FAR: {"ready": far}}
    steps = {resource.key: Step(resource, state) for resource, state in found.items()}
    needs = {OWN.key: frozenset({UNIT.key}), FAR.key: frozenset({OWN.key})}
    return [resource.key for resource in Plan(steps, needs, unreachable=unreachable).late()]


def test_only_what_nothing_explains() -> None:
    assert late(RUNS, "yes", "yes") == []
    assert late(RUNS, "yes", "no") == [FAR.key]
    assert late(RUNS, "no", "no") == [OWN.key, FAR.key]


def test_what_waits_for_a_change_is_not() -> None:
    assert late({**RUNS, "active": "inactive"}, "no", "no") == []
    assert late({}, "no", "no") == []


def test_a_host_that_does_not_answer_is_not() -> None:
    assert late(RUNS, "yes", "no", ("k",)) == []
