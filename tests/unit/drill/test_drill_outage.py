"""What is broken is healed: by us, also when we are cut off; else by the host's own timer, which is set before."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from drill_world import Hosts, cluster, failing

from quorate.core import CommandFailed, TransportError
from quorate.drill import injections
from quorate.drill.outage import Outages
from quorate.drill.scene import Skip
from quorate.execute.outage import GUARD, NOW, break_script, heal_script
from quorate.render.drill.packets import CANNOT
from quorate.spec.cluster import Host, Role

B1 = Host(name="b1", address=IPv4Address("10.0.9.21"), roles=(Role.LOAD_BALANCER,))
B2 = Host(name="b2", address=IPv4Address("10.0.9.22"), roles=(Role.LOAD_BALANCER,))
ALL: tuple[Callable[[], injections.Injection], ...] = (
    lambda: injections.killed(B1, "nginx.service"),
    lambda: injections.killed_whole(B1, "nginx.service"),
    lambda: injections.hung(B1, "nginx.service"),
    lambda: injections.terminated(B1, "nginx.service"),
    lambda: injections.stopped(B1, "nginx.service"),
    lambda: injections.cut(B1),
    lambda: injections.apart(B1, [B1, B2]),
    lambda: injections.deaf(B1, [B1, B2]),
    lambda: injections.lossy(B1, 30),
    lambda: injections.slow(B1, 100),
)


@pytest.mark.parametrize("make", ALL)
def test_the_timer_is_set_before_anything_is_broken(make: Callable[[], injections.Injection]) -> None:
    what = make()
    script = break_script(what, "quorate-drill-x", 35)
    assert script.startswith("set -e\nsystemd-run --quiet --on-active=35 --timer-property=AccuracySec=1s ")
    timer, now, begin = (script.index(part) for part in ("--on-active", f"echo {NOW}\n", what.begin))
    assert timer < now < begin
    assert script.index(what.prepare) < now
    healing = heal_script(what, "quorate-drill-x")
    assert healing.index(what.heal) < healing.index("systemctl stop quorate-drill-x.timer")


def test_what_a_timer_runs_is_not_changed_by_systemd() -> None:
    assert all("$" not in make().heal for make in ALL)
    with pytest.raises(ValueError, match="expand"):
        injections.Injection(B1, ":", 'rm "$x"')


def test_hostile_names_stay_words() -> None:
    evil = "x; reboot #.service"
    for make in (
        injections.killed,
        injections.killed_whole,
        injections.hung,
        injections.terminated,
        injections.stopped,
    ):
        what = make(B1, evil)
        for script in (what.prepare, what.begin, what.heal):
            assert evil not in script.replace(f"'{evil}'", "").replace(f"'{evil} does not run'", "")
    with pytest.raises(ValueError, match="not an IPv4 address"):
        injections.packets.Drop(("1.2.3.4 } drop; reboot",))
    with pytest.raises(ValueError, match="not a share"):
        injections.packets.Drop(percent=0)


async def test_all_is_broken_at_once_and_healed() -> None:
    hosts = Hosts(cluster())
    outages = Outages(hosts)
    await outages.begin([injections.cut(B1), injections.hung(B2, "nginx.service")], 5)
    assert sorted(hosts.broken.values()) == ["b1", "b2"]
    assert f"--on-active={5 + GUARD} " in hosts.log[0][1]
    assert len({outage.guard for outage in outages.open}) == 2
    assert await outages.heal() == []
    assert (hosts.broken, outages.open) == ({}, [])
    assert await outages.heal() == []


async def test_what_can_not_be_broken_is_skipped_and_its_timer_put_away() -> None:
    hosts = Hosts(cluster())

    def refuse(host: str, script: str) -> None:
        if "netem" in script and "--unit" in script:
            hosts.broken["guard"] = host
            raise failing("b1", CANNOT, "no delay can be made: Error: Specified qdisc\nkind is unknown.\n")

    hosts.refuse = refuse
    outages = Outages(hosts)
    with pytest.raises(Skip, match=r"b1: no delay can be made: Error: Specified qdisc kind is unknown\."):
        await outages.begin([injections.slow(B1, 100)], 5)
    (outage,) = outages.open
    assert await outages.heal() == []
    assert hosts.healed == [outage.guard]


async def test_one_host_fails_and_the_other_is_healed_all_the_same() -> None:
    hosts = Hosts(cluster())

    def refuse(host: str, script: str) -> None:
        if host == "b2" and "--unit" in script:
            raise failing("b2")

    hosts.refuse = refuse
    outages = Outages(hosts)
    with pytest.raises(CommandFailed):
        await outages.begin([injections.cut(B1), injections.cut(B2)], 5)
    assert list(hosts.broken.values()) == ["b1"]
    assert await outages.heal() == []
    assert hosts.broken == {}
    assert len(hosts.healed) == 2


async def test_a_healing_is_tried_again() -> None:
    hosts, fails = Hosts(cluster()), [1, 2]

    def refuse(_host: str, script: str) -> None:
        if "systemctl stop quorate-drill-" in script and fails:
            fails.pop()
            raise TransportError("connection lost", host="b1")

    hosts.refuse = refuse
    outages = Outages(hosts)
    await outages.begin([injections.cut(B1)], 5)
    assert await outages.heal() == []
    assert hosts.broken == {}


async def test_hosts_that_can_not_be_healed_are_named_with_their_timers() -> None:
    hosts = Hosts(cluster())

    def refuse(_host: str, script: str) -> None:
        if "systemctl stop quorate-drill-" in script:
            raise TransportError("no route", host="b1")

    hosts.refuse = refuse
    outages = Outages(hosts)
    await outages.begin([injections.cut(B1)], 5)
    (said,) = await outages.heal()
    assert said.startswith("b1: b1: no route; its own timer heals it within 3")


async def test_what_is_cut_off_while_it_is_broken_is_healed() -> None:
    hosts, waits = Hosts(cluster()), asyncio.Event()

    async def run(host: str, script: str, **more: object) -> str:
        if "--unit" in script:
            waits.set()
            await asyncio.sleep(60)
        return await Hosts.run(hosts, host, script, **more)  # type: ignore[arg-type]

    hosts.run = run  # type: ignore[method-assign]
    outages = Outages(hosts)
    task = asyncio.create_task(outages.begin([injections.cut(B1)], 5))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (outage,) = outages.open
    assert await outages.heal() == []
    assert hosts.healed == [outage.guard]
