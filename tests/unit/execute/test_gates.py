"""Gates in the walk: they open when enough is done and the rest is over, and say why when they can't."""

import asyncio

import pytest
from hosts_in_memory import Daemon, Gate, Hosts, Thing
from test_walk import names

from quorate.core import Key
from quorate.execute.apply import Executor, Outcome
from quorate.execute.observe import look
from quorate.execute.schedule import Schedule
from quorate.plan import graph
from quorate.plan.graph import After, Part
from quorate.plan.step import Plan, Step
from quorate.resource.resource import Company, Resource
from quorate.resource.system import Encounter


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: real(0))


async def walk(parts: list[Part], rules: dict[str, After]) -> tuple[Outcome, Hosts]:
    made, hosts = graph.edges(parts, rules), Hosts()
    resources: dict[Key, Resource] = {resource.key: resource for part in parts for resource in part.resources}
    sequence = graph.topological_order(made.needs)
    states, _ = await look(list(resources.values()), hosts)
    steps = {key: Step(resources[key], states[key]) for key in sequence if key in resources}
    plan = Plan(steps, {key: frozenset(made.needs[key]) for key in sequence}, gates=made.gates)
    return await Executor(plan, hosts, lambda event: None).run(), hosts


SECOND = Key("z", "unit", "second.service")


async def two(hosts: str, enough: int | None, broken: tuple[str, ...] = ()) -> tuple[Outcome, Hosts]:
    """A component on some hosts, and one on another that waits for it at a gate."""
    firsts = [
        Part("first", host, (Thing(host=host, thing="service", broken=host in broken), Gate(host=host, what="first")))
        for host in hosts
    ]
    parts = [*firsts, Part("second", "z", (Daemon(host="z", unit="second.service"),))]
    return await walk(parts, {"first": After(), "second": After(everywhere={"first": enough})})


@pytest.mark.parametrize(
    ("enough", "broken", "begins"),
    [
        (None, (), True),
        (None, ("b",), False),
        (2, ("b",), True),
        (2, ("a", "b"), False),
        (1, ("a", "b"), True),
        (1, ("a", "b", "c"), False),
        (0, ("a", "b", "c"), True),
    ],
)
async def test_a_gate_opens_when_enough_is_done(enough: int | None, broken: tuple[str, ...], begins: bool) -> None:
    outcome, hosts = await two("abc", enough, broken)
    assert set(names(outcome.failed)) == ({"service"} if broken else set())
    assert (SECOND in outcome.changed) == begins
    assert (SECOND in outcome.skipped) != begins
    if not begins:
        assert outcome.skipped[SECOND] in outcome.failed, "it is said for want of whom"
    orders = [order for _, order in hosts.ran]
    if begins:
        last = max(number for number, order in enumerate(orders) if "service" in order and "second" not in order)
        assert orders.index("@start second.service conf") > last, "who can still come is waited for"


async def test_as_many_as_there_are_is_enough() -> None:
    outcome, _ = await two("ab", 3)
    assert SECOND in outcome.changed


async def test_company_is_waited_for_and_may_fail() -> None:
    for broken in ("", "a", "b"):
        firsts = [Thing(host=host, thing="service", broken=host == broken) for host in "ab"]
        ready = [
            Gate(host=host, what="up", company=(Company(frozenset(each.key for each in firsts), 0),)) for host in "ab"
        ]
        parts = [Part("p", host, (first, gate)) for host, first, gate in zip("ab", firsts, ready, strict=True)]
        outcome, hosts = await walk(parts, {"p": After()})
        up = {host for host, order in hosts.ran if "ready-up" in order}
        assert up == {"a", "b"} - set(broken)
        assert {key.host for key in outcome.skipped} == set(broken)


async def test_who_is_proven_on_a_host_is_asked_again_when_a_service_before_it_changed() -> None:
    """But not when something else did: a list that grew is no reason to look at all nodes."""
    for felt in (True, False):
        parts = [
            Part("under", "a", (Thing(host="a", thing="conf"),)),
            Part("over", "a", (Gate(host="a", what="over"),)),
        ]
        made = graph.edges(parts, {"under": After(felt=felt), "over": After(here=("under",))})
        steps = {
            resource.key: Step(resource, None if isinstance(resource, Thing) else resource.desired)
            for part in parts
            for resource in part.resources
        }
        hosts = Hosts()
        plan = Plan(
            steps, {key: frozenset(made.needs[key]) for key in graph.topological_order(made.needs)}, gates=made.gates
        )  # fmt: skip
        assert (await Executor(plan, hosts, lambda event: None).run()).ok
        assert (("a", "@set ready-over yes") in hosts.ran) == felt


async def test_a_run_of_one_host_through_its_gates_is_one_script() -> None:
    parts = [Part(name, "a", (Thing(host="a", thing=name),)) for name in ("one", "two", "three")]
    actives = [Part(part.component, "a", (Active(host="a", thing=part.component),)) for part in parts]
    _, hosts = await walk(actives, {"one": After(), "two": After(here=("one",)), "three": After(here=("two",))})
    assert hosts.scripts["a"] == 1
    assert [order for _, order in hosts.ran] == ["@set one 1", "@set two 1", "@set three 1"]


class Active(Thing):
    """Something that acts."""

    passive = False


def met(host: str) -> Encounter:
    return Encounter(host=host, what="VRRP", want=(("heard", "all"),), check="", script="")


@pytest.mark.parametrize("again", [(), ("b",), ("a", "b")])
def test_who_has_met_the_others_meets_them_again_when_one_has_not(again: tuple[str, ...]) -> None:
    """One that was rebooted in the middle hears nobody, if those that have heard it say nothing."""
    steps = {
        met(host).key: Step(met(host), {} if host in again else {"heard": "all"}) for host in ("a", "b", "c")
    }  # fmt: skip
    order = Schedule(Plan(steps, dict.fromkeys(steps, frozenset())))
    assert sorted(order.ready) == (["a", "b", "c"] if again else [])


def test_a_long_cluster_of_which_nothing_changes_is_no_deep_recursion() -> None:
    parts = [Part("p", f"h{number:04}", (Active(host=f"h{number:04}", thing="x"),)) for number in range(3000)]
    made = graph.edges(parts, {"p": After()})
    graph.in_turn(made, graph.Lane("p", strict=True), [], [[part] for part in parts])
    steps = {resource.key: Step(resource, resource.desired) for part in parts for resource in part.resources}
    order = Schedule(
        Plan(steps, {k: frozenset(made.needs[k]) for k in graph.topological_order(made.needs)}, gates=made.gates)
    )
    assert order.untouched == 3000
    assert not order.rest
