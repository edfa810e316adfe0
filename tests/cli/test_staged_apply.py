"""An apply of several stages: each looked at anew, and none begins before the one before has come to its end."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hosts_in_memory import Hosts, Thing

from quorate.cli.look import Looked, size_on_wire
from quorate.cli.output import Output
from quorate.cli.sink import begins, sink
from quorate.component.context import Context
from quorate.core import PlanError, TransportError
from quorate.execute.apply import Outcome
from quorate.execute.observe import look
from quorate.execute.prepare import Prepared
from quorate.execute.protocol import Applied, ApplyRequest, Wishes, carry_out, demand
from quorate.execute.window import Window
from quorate.plan.compile import Compiled
from quorate.plan.graph import Part
from quorate.plan.show import show
from quorate.plan.staged import foreseen, later
from quorate.report.event import Ended, Event, Said
from quorate.resource.resource import Resource
from quorate.state.history import read
from quorate.state.past import Past
from quorate.state.store import Store

Run = Callable[..., tuple[Ended, Outcome, tuple[str, ...]]]


class Site:
    """Hosts in memory, and stages of a change of them."""

    def __init__(self, context: Context, folder: Path, **stages: list[Thing]) -> None:
        self.hosts, self.context, self.stages = Hosts(), context, stages
        self.file = folder / "cluster.yaml"
        self.file.write_text("name: c\n")
        self.store = Store.beside(self.file, "c")
        self.lost: dict[str, str] = {}
        self.answering: dict[str, frozenset[str]] = {}
        self.looks: list[str] = []
        self.events: list[Event] = []

    wishes: Wishes

    async def look(self, stage: str = "") -> Looked:
        self.looks.append(stage)
        names = list(self.stages)
        names = names[names.index(stage) if stage else 0 :]
        now, *rest = (
            Compiled(name, self._parts(self.stages[name]), self.context, self.answering.get(name, frozenset()))
            for name in names
        )
        further = later(now, rest)
        resources: dict[object, Resource] = {
            resource.key: resource for each in (now, *further) for resource in each.resources
        }
        states, _ = await look(list(resources.values()), self.hosts)
        plan, coming = foreseen(now, further, states)
        past = Past(self.store, self.file, self.context.cluster)
        prepared = Prepared(self.context, now, plan, coming, self.store, past, self.lost, self.file.read_text())
        shown = [show(plan, {}, size_on_wire, stage=now.stage)]
        shown += [show(each.plan, {}, size_on_wire, stage=each.name) for each in coming]
        return Looked(prepared, replace(shown[0], lines=tuple(line for one in shown for line in one.lines)), ())

    def _parts(self, things: list[Thing]) -> tuple[Part, ...]:
        return tuple(Part("system", thing.host, (thing,)) for thing in things)

    def apply(self, through: str = "", window: Window | None = None) -> tuple[Ended, Outcome, tuple[str, ...]]:
        @contextmanager
        def listening() -> Iterator[Wishes]:
            self.wishes = Wishes()
            yield self.wishes

        async def run() -> Applied:
            with Output(svg=None, title="") as out:
                return await carry_out(
                    await self.look(),
                    self.hosts,
                    ApplyRequest(self.file, self.file.read_text(), through, window=window),
                    sink=sink(out, self.events.append, verbose=False),
                    again=self.look,
                    emit=begins(out, self.events.append),
                    listening=listening,
                )

        done = asyncio.run(run())
        return done.ended, done.outcome, done.rest

    @property
    def ran(self) -> list[str]:
        return [order for _, order in self.hosts.ran]


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    from past_clusters import THREE, cluster, context

    given = context(cluster({"m1": THREE["m1"]}, endpoint={}))
    return lambda **stages: Site(given, tmp_path, **stages)


def thing(name: str, value: str, **more: object) -> Thing:
    return Thing(host="m1", thing=name, value=value, **more)  # type: ignore[arg-type]


BOTH = {"join": [thing("door", "both"), thing("node", "new")], "leave": [thing("door", "new"), thing("node", "new")]}


def test_stages_are_walked_one_after_the_other_each_looked_at_anew(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    ended, outcome, rest = made.apply()
    assert made.ran == ["@set door both", "@set node new", "@set door new"]
    assert (ended.ok, ended.changed, len(outcome.changed), rest) == (True, 3, 3, ())
    assert made.looks == ["", "leave"]
    begun = [(each.name, each.number, each.of) for each in made.events if type(each).__name__ == "StageBegun"]
    assert begun == [("join", 1, 2), ("leave", 2, 2)]
    lines = [json.loads(line) for line in (made.store.path / "journal.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines if line["event"] == "stage"] == ["join", "leave"]


def test_all_of_them_are_shown_before_anything_runs(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    shown = asyncio.run(made.look()).shown
    assert shown.stages == ("join", "leave")
    assert [(line.stage, line.key.name) for line in shown.lines] == [
        *(("join", "door"), ("join", "node")),
        ("leave", "door"),
    ]
    told = shown.as_dict()
    assert [(stage["name"], stage["create"] + stage["change"]) for stage in told["stages"]] == [
        ("join", 2),
        ("leave", 1),
    ]
    assert [line["stage"] for line in told["lines"]] == ["join", "join", "leave"]
    assert made.ran == []


def test_no_stage_begins_when_the_time_is_over(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    now = [0.0]
    window = Window(datetime.fromtimestamp(100, UTC), lambda: now[0])
    made.hosts.on_order = lambda _host, order: now.__setitem__(0, 101.0 if "node" in order else now[0])
    ended, outcome, rest = made.apply(window=window)
    assert made.ran == ["@set door both", "@set node new"]
    assert (ended.ok, ended.word, ended.postponed, ended.left) == (False, "postponed", ("stage leave",), 1)
    assert (outcome.postponed, rest) == (["stage leave"], ())
    (run,) = read(made.store.path / "journal.jsonl")
    assert (run.result, run.stages) == ("postponed", ["join"])
    begun = [each.text for each in made.events if isinstance(each, Said)]
    assert begun == []
    made.stages = {"leave": BOTH["leave"]}
    assert made.apply()[0].ok
    assert made.ran[2:] == ["@set door new"]


def test_the_time_may_be_over_before_the_yes(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    ended, _, rest = made.apply(window=Window(datetime.fromtimestamp(100, UTC), lambda: 101.0))
    assert (made.ran, ended.word, ended.postponed, rest) == ([], "postponed", ("stage join",), ("leave",))


def test_through_ends_after_a_stage_and_the_next_apply_goes_on(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    ended, _, rest = made.apply(through="join")
    assert (ended.ok, rest, made.looks) == (True, ("leave",), [""])
    made.hosts.ran.clear()
    made.stages = {"leave": BOTH["leave"]}
    assert made.apply()[2] == ()
    assert made.ran == ["@set door new"]


def test_a_stage_that_fails_keeps_the_next_one_from_beginning(site: Callable[..., Site]) -> None:
    made = site(join=[thing("door", "both"), thing("node", "new", broken=True)], leave=BOTH["leave"])
    ended, outcome, rest = made.apply()
    assert not ended.ok
    assert [key.name for key in outcome.failed] == ["node"]
    assert rest == ("leave",)
    assert "@set door new" not in made.ran


def test_a_host_that_was_lost_meanwhile_keeps_the_next_one_from_beginning(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    before = made.look

    async def again(stage: str = "") -> Looked:
        made.lost = {"n1": "n1: no route"} if stage else {}
        return await before(stage)

    made.look = again  # type: ignore[method-assign]
    with pytest.raises(TransportError, match="lost before the stage `leave`, which did not begin: n1: no route"):
        made.apply()
    assert "@set door new" not in made.ran


@pytest.mark.parametrize("wish", ["stop", "abort"])
def test_an_interruption_between_two_stages_keeps_the_next_one_from_beginning(
    site: Callable[..., Site], wish: str
) -> None:
    made = site(**BOTH)
    before = made.look

    async def again(stage: str = "") -> Looked:
        if stage:
            getattr(made.wishes, wish)()
        return await before(stage)

    made.look = again  # type: ignore[method-assign]
    ended, outcome, rest = made.apply()
    assert (ended.ok, ended.stopped, outcome.ok, rest) == (False, True, False, ("leave",))
    assert "@set door new" not in made.ran


def test_what_a_later_stage_wants_is_not_taken_back(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    made.hosts.values["m1"] = {"door": "new", "node": "old"}
    ended, _, _ = made.apply()
    assert ended.ok
    assert made.ran == ["@set node new"]


def test_a_stage_that_has_nothing_to_do_any_more_is_passed_over(site: Callable[..., Site]) -> None:
    made = site(**BOTH, more=[thing("door", "new"), thing("node", "new"), thing("last", "1")])
    made.hosts.values["m1"] = {"door": "new", "node": "new"}
    looked = asyncio.run(made.look())
    assert looked.shown.stages == ("more",)
    assert looked.prepared.todo == ("more",)


@pytest.mark.parametrize("retry", [False, True])
def test_what_did_not_hold_before_is_refused_in_a_later_stage_too(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, retry: bool
) -> None:
    from quorate.cli.apply import _looker

    made = site(**BOTH)
    looked = asyncio.run(made.look())

    async def look_again(*_words: object, **_more: object) -> Looked:
        return looked

    monkeypatch.setattr("quorate.cli.apply.look", look_again)
    monkeypatch.setattr("quorate.cli.apply.known_bad", lambda _plan: {thing("door", "new").key: "m1: tried"})
    with Output(svg=None, title="") as out:
        cluster, via = made.context.cluster, made.hosts
        again = _looker(out, looked, cluster, made.file, via, made.events.append, retry=retry)  # type: ignore[arg-type]
        if retry:
            assert asyncio.run(again("leave")) is looked  # type: ignore[arg-type]
        else:
            with pytest.raises(PlanError, match="tried before"):
                asyncio.run(again("leave"))  # type: ignore[arg-type]


def test_a_stage_does_not_begin_without_a_host_that_it_needs(site: Callable[..., Site]) -> None:
    """Be it away since the beginning; one that no stage needs keeps nothing from going on."""
    made = site(**BOTH)
    made.lost = {"m2": "m2: no route", "n1": "n1: no route"}
    made.answering = {"leave": frozenset({"m2"})}
    with pytest.raises(TransportError, match="lost before the stage `leave`, which did not begin: m2: no route"):
        made.apply()
    assert made.ran == ["@set door both", "@set node new"]
    made.answering, made.stages = {}, {"leave": BOTH["leave"]}
    assert made.apply()[2] == ()
    assert made.ran[-1] == "@set door new"


def test_the_first_stage_is_refused_without_a_host_that_it_needs(site: Callable[..., Site]) -> None:
    made = site(**BOTH)
    made.lost, made.answering = {"m1": "m1: no route"}, {"join": frozenset({"m1"})}
    prepared = asyncio.run(made.look()).prepared
    with pytest.raises(TransportError, match="1 of 1 hosts can't be reached; nothing was changed"):
        demand(prepared)
    made.answering = {}
    demand(asyncio.run(made.look()).prepared)
