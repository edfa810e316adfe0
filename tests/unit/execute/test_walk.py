"""The walk: order, failures, lost connections, what is left alone, and how it ends."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hosts_in_memory import Daemon, Gate, Hosts, Thing, gzipped

from quorate.core import Key, State
from quorate.execute.apply import BATCHES, TRIES, UPLOADS_OF_HOST, Executor, Outcome
from quorate.execute.observe import look
from quorate.plan import graph
from quorate.plan.step import Plan, Step
from quorate.report.event import Event, StepFailed, StepSkipped, StepStarted
from quorate.resource.resource import Resource


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: real(0))


async def plan(resources: Iterable[Resource], hosts: Hosts) -> Plan:
    resources = list(resources)
    by_key = {resource.key: resource for resource in resources}
    needs = {resource.key: resource.needs for resource in resources}
    states, _ = await look(resources, hosts)
    return Plan({key: Step(by_key[key], states[key]) for key in graph.topological_order(needs)}, needs)


async def walk(resources: Iterable[Resource], hosts: Hosts, events: list[Event] | None = None) -> Outcome:
    return await Executor(await plan(resources, hosts), hosts, (events if events is not None else []).append).run()


def chain(*names: str, host: str = "a") -> list[Thing]:
    """Each needs the one before it."""
    made: list[Thing] = []
    for name in names:
        made.append(Thing(host=host, thing=name, explicit=frozenset(resource.key for resource in made[-1:])))
    return made


def names(keys: Iterable[Key]) -> list[str]:
    return [key.name for key in keys]


async def test_needs_come_first_also_on_another_host() -> None:
    hosts = Hosts()
    first, second = chain("x", "y", host="a"), chain("z", host="b")
    last = Thing(host="b", thing="w", explicit=frozenset({first[-1].key, second[-1].key}))
    outcome = await walk([last, *second, *first], hosts)
    assert outcome.ok
    orders = [order for _, order in hosts.ran]
    assert orders.index("@set x 1") < orders.index("@set y 1") < orders.index("@set w 1")
    assert len(outcome.changed) == 4


async def test_a_run_of_steps_on_one_host_is_one_script() -> None:
    hosts = Hosts()
    assert (await walk(chain(*(f"s{i}" for i in range(50))), hosts)).ok
    assert hosts.scripts["a"] == 1
    assert [order for _, order in hosts.ran] == [f"@set s{i} 1" for i in range(50)]


async def test_the_second_apply_does_nothing() -> None:
    hosts = Hosts()
    resources = [
        *chain("conf", "y"),
        Daemon(host="a", unit="d.service", explicit=frozenset({Key("a", "thing", "conf")})),
    ]
    assert (await walk(resources, hosts)).ok
    hosts.ran.clear()
    again = await walk(resources, hosts)
    assert again.ok
    assert hosts.ran == []
    assert again.changed == []
    assert again.unchanged == 3


async def test_a_failed_step_blocks_what_needs_it_and_nothing_else() -> None:
    hosts, events = Hosts(), list[Event]()
    bad = Thing(host="a", thing="bad", broken=True)
    behind = Thing(host="a", thing="behind", explicit=frozenset({bad.key}))
    far = Thing(host="b", thing="far", explicit=frozenset({behind.key}))
    outcome = await walk([bad, behind, far, *chain("x", "y"), *chain("z", host="b")], hosts, events)
    assert not outcome.ok
    assert names(outcome.failed) == ["bad"]
    assert "bad is broken" in outcome.failed[bad.key]
    assert outcome.skipped == {behind.key: bad.key, far.key: bad.key}
    assert {"x", "y", "z"} == set(names(outcome.changed))
    assert [event.key for event in events if isinstance(event, StepFailed)] == [bad.key]
    assert {event.key for event in events if isinstance(event, StepSkipped)} == {behind.key, far.key}


async def test_what_is_as_wanted_is_not_run() -> None:
    hosts = Hosts(values={"a": {"x": "1", "z": "other"}})
    outcome = await walk(chain("x", "y", "z"), hosts)
    assert outcome.ok
    assert [order for _, order in hosts.ran] == ["@set y 1", "@set z 1"]
    assert outcome.unchanged == 1


async def test_a_changed_file_restarts_its_unit_and_no_other() -> None:
    conf, other = Thing(host="a", thing="conf", value="2"), Thing(host="a", thing="other")
    mine = Daemon(host="a", unit="mine.service", explicit=frozenset({conf.key}))
    gate = Gate(host="a", what="mine", explicit=frozenset({mine.key}))
    yours = Daemon(host="a", unit="yours.service", loads=("other",), explicit=frozenset({other.key}))
    running = {"conf": "1", "other": "1", "loaded-mine.service": "1", "loaded-yours.service": "1", "ready-mine": "yes"}
    hosts = Hosts(values={"a": running})
    found = await plan([conf, other, mine, gate, yours], hosts)
    assert names(step.key for step in found.changes) == ["conf"]
    outcome = await Executor(found, hosts, lambda event: None).run()
    assert outcome.ok
    orders = [order for _, order in hosts.ran]
    assert orders == ["@set conf 2", "@start mine.service conf", "@set ready-mine yes"]
    assert mine.key in outcome.changed


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("when", ["cut_before", "cut_after"])
async def test_a_lost_connection_is_followed_by_a_look(number: int, when: str) -> None:
    order = f"@set s{number} 1"
    hosts = Hosts(**{when: {("a", order)}})
    found = await plan(chain("s0", "s1", "s2", "s3"), hosts)
    hosts.looks.clear()
    outcome = await Executor(found, hosts, lambda event: None).run()
    assert outcome.ok
    assert hosts.looks["a"] == 1
    done = [order for _, order in hosts.ran]
    assert done == ["@set s0 1", "@set s1 1", "@set s2 1", "@set s3 1"], "something was done twice, or left out"


async def test_a_unit_whose_file_was_lost_on_the_way_is_still_restarted() -> None:
    conf = Thing(host="a", thing="conf", value="2")
    unit = Daemon(host="a", unit="d.service", explicit=frozenset({conf.key}))
    hosts = Hosts(values={"a": {"conf": "1", "loaded-d.service": "1"}}, cut_before={("a", "@set conf 2")})
    assert (await walk([conf, unit], hosts)).ok
    assert hosts.values["a"]["loaded-d.service"] == "2"


async def test_a_host_that_is_gone_fails_its_own_steps_only() -> None:
    hosts = Hosts()
    found = await plan([*chain("x", "y"), *chain("z", host="b")], hosts)
    hosts.dead = {"a"}
    outcome = await Executor(found, hosts, lambda event: None).run()
    assert set(names(outcome.changed)) == {"z"}
    assert {key.host for key in {*outcome.failed, *outcome.skipped}} == {"a"}


async def test_a_step_that_does_not_do_what_it_says_has_failed() -> None:
    class Liar(Thing):
        def converge(self, actual):  # type: ignore[no-untyped-def]
            return Thing(host="a", thing="x", value="2").converge(actual)

    outcome = await walk([Liar(host="a", thing="x")], Hosts())
    (error,) = outcome.failed.values()
    assert error == "not as wanted after the change: value: is '2', wanted '1'"


async def test_uploads_are_bounded_and_hold_nothing_up(tmp_path: Path) -> None:
    hosts = Hosts()
    large = [Thing(host="a", thing=f"l{i}", blob=gzipped(tmp_path, f"l{i}")) for i in range(20)]
    outcome = await walk([*large, *chain("x", "y")], hosts)
    assert outcome.ok
    assert 1 < hosts.most_uploads <= UPLOADS_OF_HOST
    assert outcome.sent == {"a": 20 * 4}
    assert BATCHES + UPLOADS_OF_HOST < 10, "sshd's MaxSessions"


async def test_a_lost_upload_is_sent_again(tmp_path: Path) -> None:
    hosts = Hosts(cut_before={("a", "@set l 1")})
    assert (await walk([Thing(host="a", thing="l", blob=gzipped(tmp_path, "l"))], hosts)).ok


async def test_stop_lets_what_runs_end_and_begins_nothing() -> None:
    hosts, events = Hosts(), list[Event]()
    first = Thing(host="a", thing="x")
    second = Thing(host="b", thing="y", explicit=frozenset({first.key}))
    found = await plan([first, second], hosts)
    walking = Executor(found, hosts, events.append)
    hosts.on_order = lambda host, order: walking.stop()
    outcome = await walking.run()
    assert outcome.stopped
    assert not outcome.ok
    assert outcome.failed == {}
    assert outcome.skipped == {}
    assert [order for _, order in hosts.ran] == ["@set x 1"]
    assert [event.key for event in events if isinstance(event, StepStarted)] == [first.key]
    assert (await walk([first, second], hosts)).ok, "the same again goes on"


async def test_times_are_told_by_component() -> None:
    hosts = Hosts()
    found = await plan(chain("x", "y"), hosts)
    found = Plan(found.steps, found.needs, component_of=dict.fromkeys(found.steps, "etcd"))
    outcome = await Executor(found, hosts, lambda event: None).run()
    begin, end = outcome.spans["etcd"]
    assert 0 <= begin <= end <= outcome.seconds


@dataclass(frozen=True, kw_only=True)
class Flicker(Gate):
    """A gate that has opened, and for so many looks after that is seen shut."""

    shut: list[int]

    def parse(self, answer: str) -> State | None:
        if "value=yes" in answer and self.shut[0]:
            self.shut[0] -= 1
            return {"ready": "no"}
        return super().parse(answer)


@pytest.mark.parametrize(("looks", "fails"), [(1, False), (TRIES - 1, False), (TRIES, True)])
async def test_what_has_answered_and_does_not_a_moment_later_is_waited_for_again(looks: int, fails: bool) -> None:
    hosts = Hosts()
    gate = Flicker(host="a", what="door", shut=[looks])
    behind = Thing(host="a", thing="behind", explicit=frozenset({gate.key}))
    outcome = await walk([gate, behind], hosts)
    assert outcome.ok is not fails
    assert names(outcome.failed) == (["door"] if fails else [])
    assert len([order for _, order in hosts.ran if order == "@set ready-door yes"]) == min(looks + 1, TRIES)
