"""Verify: the catalogue, how checks end, what is always put back; hosts are a scripted door."""

import asyncio
import contextlib

import pytest
from verify_door import Door, cluster, env

from quorate.core import CommandFailed, TransportError
from quorate.report.findings import Finding, Status, Verdict, failed, passed, skipped
from quorate.spec.cluster import Cluster
from quorate.verify import outage
from quorate.verify.catalog import CHECKS
from quorate.verify.check import Check, LookFailed, examine
from quorate.verify.env import Env
from quorate.verify.runner import verify


def given(_cluster: Cluster, seen: Verdict) -> Verdict:
    """The judge of a look that knows already."""
    return seen


def all_passed(findings: list[Finding]) -> bool:
    return {finding.status for finding in findings} == {Status.PASSED}


def test_the_catalogue_begins_with_the_sixteen_in_their_order() -> None:
    ids = [check.id for check in CHECKS]
    assert ids[:16] == [str(number) for number in range(1, 17)]
    assert len(set(ids)) == len(ids)
    assert [check.id for check in CHECKS if check.disruptive] == ["6", "7", "8", "15", "16", "all-members"]
    assert all(len(check.title) <= 72 for check in CHECKS)


@pytest.mark.parametrize(
    ("seen", "status", "detail"),
    [
        (passed("all good"), Status.PASSED, "all good"),
        (failed("two\nlines"), Status.FAILED, "two lines"),
        (skipped("nothing to look at"), Status.SKIPPED, "nothing to look at"),
        (LookFailed("no\npods"), Status.FAILED, "no pods"),
        (CommandFailed("command failed", host="m1", code=7, stderr="a\nb\n"), Status.FAILED, "m1: exit 7: b"),
        (TransportError("no route", host="w1"), Status.FAILED, "w1: no route"),
        (KeyError("ip"), Status.FAILED, "an answer that can't be read (KeyError: 'ip')"),
    ],
)
async def test_how_checks_end(seen: Verdict | Exception, status: Status, detail: str) -> None:
    """A look that comes to nothing is a finding, too; so is an answer that only the judge can't read."""

    async def look(_env: Env) -> Verdict:
        if isinstance(seen, Exception):
            raise seen
        return seen

    async def blind(_env: Env) -> Verdict | Exception:
        return seen

    def judge(_cluster: Cluster, seen: Verdict | Exception) -> Verdict:
        if isinstance(seen, Exception):
            raise seen
        return seen

    for check in (Check("x", "a title", look, given), Check("x", "a title", blind, judge)):
        finding = await examine(check, env(Door()))
        assert (finding.id, finding.title, finding.status, finding.detail) == ("x", "a title", status, detail)


async def test_what_the_file_leaves_nothing_of_is_not_looked_at() -> None:
    async def look(_env: Env) -> Verdict:
        raise AssertionError

    finding = await examine(Check("x", "a title", look, given, lambda cluster: f"none in {cluster.name}"), env(Door()))
    assert (finding.status, finding.detail) == (Status.SKIPPED, "none in c")


async def test_a_bug_in_a_check_is_no_finding() -> None:
    async def look(_env: Env) -> Verdict:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await examine(Check("x", "a title", look, given), env(Door()))


async def test_what_is_shared_is_looked_at_once_and_fails_for_all() -> None:
    calls = []

    async def make(_env: Env) -> int:
        calls.append(1)
        raise LookFailed("no")

    one = env(Door())
    found = await asyncio.gather(one.once(make), one.once(make), return_exceptions=True)
    assert [str(each) for each in found] == ["no", "no"]
    assert len(calls) == 1


async def test_findings_come_in_the_order_of_the_catalogue_and_disruptive_ones_last() -> None:
    told: list[str] = []

    def check(id: str, disruptive: bool = False) -> Check:
        async def look(_env: Env) -> Verdict:
            return passed(id)

        return Check(id, id, look, given, disruptive=disruptive)

    checks = (check("stop", True), check("a"), check("b"))

    def tell(finding: Finding) -> None:
        told.append(finding.id)

    found = await verify(cluster(), Door(), disruptive=True, on_finding=tell, checks=checks)
    assert told == ["a", "b", "stop"]
    assert [finding.id for finding in found] == ["stop", "a", "b"]
    assert all_passed(found)
    found = await verify(cluster(), Door(), disruptive=False, on_finding=tell, checks=checks)
    assert [finding.id for finding in found] == ["a", "b"]


async def test_namespace_is_deleted_and_stopped_services_start_even_when_a_check_is_a_bug() -> None:
    door = Door()

    async def look(one: Env) -> Verdict:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        raise ZeroDivisionError

    checks = (Check("x", "x", look, given, disruptive=True),)
    with pytest.raises(ZeroDivisionError):
        await verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    assert door.sent("b1", "systemctl start --no-block nginx.service")
    assert door.sent("m1", "delete namespace quorate-verify-")


async def test_a_cancelled_run_puts_back_what_it_stopped() -> None:
    door, stopped = Door(), asyncio.Event()

    async def look(one: Env) -> Verdict:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        stopped.set()
        await asyncio.sleep(60)
        return passed()

    checks = (Check("x", "x", look, given, disruptive=True),)
    task = asyncio.create_task(
        verify(cluster(), door, disruptive=True, on_finding=lambda _finding: None, checks=checks)
    )
    await stopped.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    last = [script for host, script in door.scripts if host == "b1"][-1]
    assert "systemctl start --no-block nginx.service" in last
    assert door.sent("m1", "delete namespace quorate-verify-")


async def test_the_guard_is_set_before_the_stop_and_put_away_after_the_start() -> None:
    door = Door()
    one = env(door)
    b1 = one.cluster.host("b1")
    await outage.stop(one, b1, ["nginx.service"])
    script = door.scripts[0][1]
    assert script.startswith("set -e\nsystemd-run ")
    assert script.index("--on-active=180") < script.index("systemctl stop nginx.service")
    guard = one.outages.open[0].guard
    await outage.start(one, b1)
    assert f"systemctl stop {guard}.timer" in door.scripts[1][1]
    assert one.outages.open == []


async def test_no_stop_without_a_guard() -> None:
    def answer(_host: str, script: str) -> str:
        if "systemd-run" in script:
            raise CommandFailed("command failed", host="b1", code=1, stderr="systemd-run: not found")
        return ""

    one = env(Door(answer))
    with pytest.raises(CommandFailed):
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
    assert one.outages.open == []


async def test_what_can_not_be_started_again_is_told() -> None:
    def answer(_host: str, script: str) -> str:
        if "reset-failed" in script and "systemd-run" not in script:
            raise TransportError("no route", host="b1")
        return ""

    async def look(one: Env) -> Verdict:
        await outage.stop(one, one.cluster.host("b1"), ["nginx.service"])
        return passed()

    told: list[Finding] = []
    checks = (Check("x", "x", look, given, disruptive=True),)
    found = await verify(cluster(), Door(answer), disruptive=True, on_finding=told.append, checks=checks)
    assert found == told
    assert [(each.id, each.status) for each in told] == [("x", Status.PASSED), ("restored", Status.FAILED)]
    assert "within 180 s" in told[1].detail


async def test_what_fails_once_is_looked_at_again_when_all_others_are_over() -> None:
    """A busy machine is slow, not broken; the finding says so. What fails twice has failed."""
    order: list[str] = []

    def check(id: str, fails: int, *, final: bool = False) -> Check:
        async def look(_env: Env) -> int:
            order.append(id)
            return order.count(id)

        def judge(_cluster: Cluster, seen: int) -> Verdict:
            return passed("fine") if seen > fails else failed(f"no {seen}")

        return Check(id, id, look, judge, final=final)

    told: list[Finding] = []
    checks = (check("slow", 1), check("broken", 9), check("good", 0), check("rights", 1, final=True))
    found = await verify(cluster(), Door(), disruptive=False, on_finding=told.append, checks=checks)
    assert order == ["slow", "broken", "good", "rights", "slow", "broken"]
    assert [(each.id, each.status, each.detail) for each in found] == [
        ("slow", Status.PASSED, "fine (at the second look; the first: no 1)"),
        ("broken", Status.FAILED, "no 2"),
        ("good", Status.PASSED, "fine"),
        ("rights", Status.FAILED, "no 1"),
    ]
    assert sorted(each.id for each in told) == ["broken", "good", "rights", "slow"]
