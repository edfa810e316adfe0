"""A service that does not come up is told with the end of its journal, and nothing is done before it has failed."""

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hosts_in_memory import Daemon, Gate, Hosts, Thing
from own_journal import THERE, said

from quorate.core import Action, Blob, CommandFailed, Key
from quorate.execute.apply import Executor, Outcome
from quorate.execute.observe import look
from quorate.plan import graph
from quorate.plan.show import show
from quorate.plan.step import Plan, Step
from quorate.render import journal
from quorate.report import console, lines, result
from quorate.report.board import Board
from quorate.report.event import Event, PartDone, StepDone, StepFailed
from quorate.resource.resource import Resource
from quorate.spec.logins import HIDDEN

KEY = "MHcCAQEEIDx3Vq8vYw1ZkT5n"
WORDS = ("E1129 failed to load the configuration", f"it holds {KEY}")
SYSTEMCTL = (
    "Job for etcd.service failed because the control process exited with error code.\n"
    'See "systemctl status etcd.service" and "journalctl -xeu etcd.service" for details.'
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: real(0))


@pytest.mark.skipif(os.geteuid() != 0 or not THERE, reason="needs root and journald")
def test_the_real_journal_is_read_without_what_systemd_says_of_every_start() -> None:
    etcd = "etcd.service"
    entries = [
        ("kubelet.service", "kubelet", "of another unit"),
        (etcd, "systemd", "Starting etcd.service - etcd..."),
        *((etcd, "etcd", f"word {number}") for number in range(20)),
        (etcd, "systemd", "etcd.service: Main process exited, code=exited, status=1/FAILURE"),
        (etcd, "systemd", "etcd.service: Scheduled restart job, restart counter is at 3."),
        (etcd, "systemd", "Stopped etcd.service - etcd."),
    ]
    heading, *words = said(entries, journal.last(etcd)).splitlines()
    assert heading == "the last lines of etcd.service:"
    assert [each.partition("]: ")[2] for each in words] == [
        *(f"word {number}" for number in range(11, 20)),
        "etcd.service: Main process exited, code=exited, status=1/FAILURE",
    ]
    assert said(entries, journal.last("nginx.service")) == ""


@dataclass(frozen=True, kw_only=True)
class Broken(Daemon):
    """A service that does not come up: systemctl says so, or only a look does."""

    seen: ClassVar[bool] = True

    def converge(self, actual: object) -> list[Action]:
        return [Action("@fail Job" if self.seen else "@set other 1")]

    @property
    def secrets(self) -> tuple[str, ...]:
        return (KEY,)


class Silent(Broken):
    seen = False


@dataclass
class Talking(Hosts):
    """Hosts whose journals say something."""

    asked: list[str] = field(default_factory=list)
    mute: bool = False
    systemctl: str = SYSTEMCTL

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        if script == journal.last("etcd.service"):
            self.asked.append(host)
            if self.mute:
                raise CommandFailed("failed", host=host, code=124)
            return "\n".join(("the last lines of etcd.service:", *WORDS)) + "\n"
        return await super().run(host, script, blob=blob, on_line=on_line, timeout=timeout)

    def _order(self, host: str, order: str, told: list[str]) -> int:
        if order.startswith("@fail Job"):
            told += self.systemctl.splitlines()
            return 1
        return super()._order(host, order, told)


async def walked(resources: Iterable[Resource], hosts: Hosts, part: str = "etcd") -> tuple[Plan, Outcome, list[Event]]:
    resources, events = list(resources), list[Event]()
    states, _ = await look(resources, hosts)
    by_key = {resource.key: resource for resource in resources}
    needs = {resource.key: resource.needs for resource in resources}
    steps = {key: Step(by_key[key], states[key]) for key in graph.topological_order(needs)}
    plan = Plan(steps, needs, component_of=dict.fromkeys(steps, part))
    return plan, await Executor(plan, hosts, events.append).run(), events


@pytest.mark.parametrize(("kind", "first"), [(Broken, SYSTEMCTL.splitlines()[0]), (Silent, "not as wanted after")])
async def test_a_failed_start_shows_the_journal(kind: type[Broken], first: str) -> None:
    hosts = Talking(values={"m1": {"conf": "1"}})
    unit = kind(host="m1", unit="etcd.service")
    _, outcome, events = await walked([unit], hosts)
    heading, *words = outcome.failed[unit.key].splitlines()
    assert heading.startswith(first)
    assert words == ["the last lines of etcd.service:", WORDS[0], f"it holds {HIDDEN}"]
    assert [event.error for event in events if isinstance(event, StepFailed)] == [outcome.failed[unit.key]]
    assert hosts.asked == ["m1"]


async def test_older_ones_point_there_in_the_same_line() -> None:
    hosts = Talking(values={"m1": {"conf": "1"}}, systemctl=SYSTEMCTL.replace("\n", " "))
    unit = Broken(host="m1", unit="etcd.service")
    _, outcome, _ = await walked([unit], hosts)
    assert outcome.failed[unit.key].splitlines()[:2] == [
        SYSTEMCTL.splitlines()[0],
        "the last lines of etcd.service:",
    ]


async def test_all_of_it_is_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    ten = "\n".join(f"line {number}" for number in range(journal.LINES))
    error = f"Job for etcd.service failed.\nthe last lines of etcd.service:\n{ten}"
    result.failures(console.make(), {Key("m1", "unit", "etcd.service"): error}, {})
    told = capsys.readouterr().out
    assert "m1/unit/etcd.service" in told
    assert [line.strip() for line in told.splitlines()[1:13]] == error.splitlines()


async def test_a_journal_that_can_not_be_had_hides_nothing() -> None:
    unit = Broken(host="m1", unit="etcd.service")
    _, outcome, _ = await walked([unit], Talking(mute=True))
    assert outcome.failed[unit.key] == SYSTEMCTL


def printed(plan: Plan, events: Iterable[Event], capsys: pytest.CaptureFixture[str]) -> list[str]:
    emit = lines.to(console.make(), Board.of(show(plan, {}, lambda blob: blob.size, {})))
    for event in events:
        emit(event)
    return capsys.readouterr().out.splitlines()


async def test_done_is_never_said_before_a_service_that_only_follows_has_come_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The restart is not in the plan: the file that the service loads is."""
    conf = Thing(host="m1", thing="conf", value="2")
    unit = Broken(host="m1", unit="etcd.service", explicit=frozenset({conf.key}))
    hosts = Talking(values={"m1": {"conf": "1", "loaded-etcd.service": "1"}})
    plan, outcome, events = await walked([conf, unit], hosts)
    assert [step.key for step in plan.changes] == [conf.key]
    assert list(outcome.failed) == [unit.key]
    told = printed(plan, events, capsys)
    assert any("FAILED" in line for line in told)
    assert not any("done" in line for line in told)


async def test_done_is_never_said_after_a_failure_of_the_same_part(capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = Thing(host="m1", thing="bad", broken=True), Thing(host="m1", thing="good")
    plan, outcome, events = await walked([bad, good], Talking())
    assert [key.name for key in outcome.failed] == ["bad"]
    assert good.key in outcome.changed
    assert not any("done" in line for line in printed(plan, events, capsys))


async def test_done_is_said_once_and_last_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    conf = Thing(host="m1", thing="conf", value="2")
    unit = Daemon(host="m1", unit="etcd.service", explicit=frozenset({conf.key}))
    gate = Gate(host="m1", what="etcd", explicit=frozenset({unit.key}))
    running = {"conf": "1", "loaded-etcd.service": "1", "ready-etcd": "yes"}
    hosts = Talking(values={"m1": dict(running), "m2": {"x": "1"}})
    plan, outcome, events = await walked([conf, unit, gate, Thing(host="m2", thing="x")], hosts)
    assert outcome.ok
    assert [type(event) for event in events[-3:]] == [StepDone, PartDone, PartDone]
    assert events[-2:] == [PartDone("m1", "etcd"), PartDone("m1")]
    assert [line.split()[-2:] for line in printed(plan, events, capsys)] == [["etcd", "done"]]


async def test_a_host_is_over_when_all_that_follows_is() -> None:
    conf = Thing(host="m1", thing="conf", value="2")
    unit = Daemon(host="m1", unit="etcd.service", explicit=frozenset({conf.key}))
    hosts = Talking(values={"m1": {"conf": "1", "loaded-etcd.service": "1"}})
    plan, _, events = await walked([conf, unit], hosts)
    board, over = Board.of(show(plan, {}, lambda blob: blob.size, {})), []
    for event in events:
        board.take(event)
        over.append(board.rows["m1"].over)
    assert over == [isinstance(event, PartDone) and not event.component for event in events]
