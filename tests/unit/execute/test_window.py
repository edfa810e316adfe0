"""A time by which changes shall have ended: who begins, and who is left for the next apply."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from hosts_in_memory import Hosts, Thing

from quorate.core import Key
from quorate.execute.apply import Executor, Outcome
from quorate.execute.observe import look
from quorate.execute.window import Window
from quorate.plan import graph
from quorate.plan.graph import After, Lane, Part
from quorate.plan.step import Plan, Step
from quorate.resource.resource import Resource


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: real(0))


@dataclass(frozen=True, kw_only=True)
class Act(Thing):
    """Something that acts, and sets itself a limit."""

    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True
    limit: int = 0

    @property
    def may_take(self) -> int:
        return self.limit


LIMIT = 600
"""Seconds that a drain may take."""


@dataclass
class Site:
    """Hosts whose clock stands still but for what is done on them."""

    takes: int = 60
    """Seconds that a drain takes."""
    hosts: Hosts = field(default_factory=Hosts)
    now: float = 0.0
    lasted: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts.on_order = self._pass

    def _pass(self, host: str, order: str) -> None:
        self.now += self.takes if "drained" in order else 1

    def parts(self, *names: str) -> list[Part]:
        """What a worker does in its turn: its node is emptied, something changes, the node takes pods again."""
        found = []
        for name in names:
            drain = Act(host="m1", thing=f"drained-{name}", limit=LIMIT)
            new = Act(host=name, thing="kubelet", explicit=frozenset({drain.key}))
            back = Act(host="m1", thing=f"back-{name}", explicit=frozenset({new.key}))
            found.append(Part("node", name, (new,)))
            found += [Part("rollout", "m1", (one,), name) for one in (drain, back)]
        return found

    async def apply(self, parts: list[Part], until: float | None, *, strict: bool = False, width: int = 1) -> Outcome:
        made = graph.edges(parts, {part.component: After() for part in parts})
        by_host: dict[str, list[Part]] = {}
        for part in parts:
            by_host.setdefault(part.worker or part.host, []).append(part)
        lane = Lane("etcd" if strict else "node", strict, width)
        graph.in_turn(made, lane, [], [each for host, each in by_host.items() if host != "new"])
        resources: dict[Key, Resource] = {one.key: one for part in parts for one in part.resources}
        states, _ = await look(list(resources.values()), self.hosts)
        order = graph.topological_order(made.needs)
        steps = {key: Step(resources[key], states[key]) for key in order if key in resources}
        needs = {key: frozenset(made.needs[key]) for key in order}
        plan = Plan(steps, needs, gates=made.gates, turns=made.turns)
        window = None
        if until is not None:
            window = Window(datetime.fromtimestamp(until, UTC), lambda: self.now, self.lasted)
        return await Executor(plan, self.hosts, lambda _event: None, window=window).run()

    @property
    def changed(self) -> list[str]:
        return [host for host, order in self.hosts.ran if "kubelet" in order]

    @property
    def cordoned(self) -> set[str]:
        orders = [order.split()[1] for _, order in self.hosts.ran if order.startswith("@set")]
        sides = {
            side: {each[len(side) :] for each in orders if each.startswith(side)} for side in ("drained-", "back-")
        }
        return sides["drained-"] - sides["back-"]


async def test_none_begins_that_would_not_end_and_the_next_apply_goes_on() -> None:
    site = Site(takes=200)
    parts = site.parts("n1", "n2", "n3", "n4")
    # The first by its limit, the others as long as the first took: 202 s.
    outcome = await site.apply(parts, 202 * 3 + 100)
    assert site.changed == ["n1", "n2", "n3"]
    assert site.now <= 202 * 3 + 100
    assert (outcome.ok, outcome.failed, outcome.skipped, outcome.stopped) == (False, {}, {}, False)
    assert outcome.postponed == ["n4 (node)"]
    assert {key.name for key in outcome.left} == {"drained-n4", "kubelet", "back-n4"}
    assert site.cordoned == set()
    again = await site.apply(parts, None)
    assert (again.ok, again.postponed, site.changed) == (True, [], ["n1", "n2", "n3", "n4"])


async def test_the_first_is_expected_to_need_what_its_limits_allow() -> None:
    for until, begun in ((LIMIT - 1, []), (LIMIT, ["n1"])):
        site = Site(takes=LIMIT)
        outcome = await site.apply(site.parts("n1", "n2"), until)
        assert site.changed == begun
        assert outcome.postponed == (["n2 (node)"] if begun else ["n1 (node)", "n2 (node)"])
        assert site.cordoned == set()


async def test_what_has_begun_is_finished_though_it_takes_longer_than_expected() -> None:
    site = Site(takes=2 * LIMIT)
    outcome = await site.apply(site.parts("n1", "n2"), LIMIT + 5)
    assert site.now > LIMIT + 5
    assert (site.changed, site.cordoned) == (["n1"], set())
    assert outcome.postponed == ["n2 (node)"]


async def test_what_was_seen_in_a_stage_before_counts() -> None:
    site = Site(lasted={"node": 62})
    await site.apply(site.parts("n1", "n2"), 62)
    assert site.changed == ["n1"]


async def test_several_at_once() -> None:
    site = Site(takes=200)
    outcome = await site.apply(site.parts("n1", "n2", "n3", "n4", "n5"), 700, width=2)
    assert sorted(site.changed) == ["n1", "n2", "n3"]
    assert outcome.postponed == ["n4 (node)", "n5 (node)"]
    assert site.cordoned == set()


async def test_members_begin_only_where_all_of_them_would_end() -> None:
    for until, begun in ((3 * LIMIT - 1, []), (3 * LIMIT, ["n1", "n2", "n3"])):
        site = Site()
        outcome = await site.apply(site.parts("n1", "n2", "n3"), until, strict=True)
        assert site.changed == begun
        assert outcome.ok == bool(begun)


async def test_one_of_them_that_took_too_long_keeps_the_next_from_beginning() -> None:
    site = Site(takes=2 * LIMIT)
    outcome = await site.apply(site.parts("n1", "n2", "n3"), 3 * LIMIT, strict=True)
    assert site.changed == ["n1"]
    assert outcome.postponed == ["n2 (etcd)", "n3 (etcd)"]


async def test_what_waits_for_no_turn_begins_until_the_time_itself_and_is_finished() -> None:
    new = Part("system", "new", (Act(host="new", thing="one"), Act(host="new", thing="two")))
    for now, done in ((0.0, ["@set one 1", "@set two 1"]), (101.0, [])):
        site = Site(now=now)
        outcome = await site.apply([*site.parts("n1"), new], 100)
        assert [order for host, order in site.hosts.ran if host == "new"] == done
        assert outcome.postponed == ["n1 (node)"], "whose turn it was is named"


async def test_a_failed_canary_is_a_failure_and_no_postponement() -> None:
    site = Site()
    parts = site.parts("n1", "n2", "n3")
    kubelet = parts[0].resources[0]
    assert isinstance(kubelet, Act)
    parts[0] = replace(parts[0], resources=(replace(kubelet, broken=True),))
    outcome = await site.apply(parts, 10 * LIMIT)
    assert {key.host for key in outcome.failed} == {"n1"}
    assert (outcome.postponed, outcome.left) == ([], [])
    assert {key.host for key in outcome.skipped} == {"m1", "n2", "n3"}


async def test_who_failed_and_whose_turn_did_not_come_are_told_apart() -> None:
    site = Site(takes=200, lasted={"node": 202})
    parts = site.parts("n1", "n2", "n3")
    kubelet = parts[3].resources[0]
    assert isinstance(kubelet, Act)
    parts[3] = replace(parts[3], resources=(replace(kubelet, broken=True),))
    outcome = await site.apply(parts, 500)
    assert {key.host for key in outcome.failed} == {"n2"}
    assert {key.name for key in outcome.skipped} == {"back-n2"}
    assert outcome.postponed == ["n3 (node)"]
