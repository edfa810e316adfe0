"""A whole drill against a cluster in memory: order, healing, what a report tells, what ends it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from api_in_memory import Pki
from drill_world import Hosts, World, cluster, failing

from quorate.core import QuorateError, TransportError
from quorate.drill import catalog, one, runner, watchers
from quorate.drill.probe_config import Pace, Target
from quorate.render.drill.packets import CANNOT
from quorate.report.drill.report import DrillReport, Run
from quorate.spec.cluster import Cluster, Endpoint

PACE = Pace(new=0.02, kept=0.02, writes=0.02, watch=0.02, timeout=1, patience=5)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def world(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The API; a drill's waits are short."""
    for module, name, value in (
        (runner, "UNDISTURBED_S", 0.3),
        (runner, "GAP_BETWEEN_RUNS_S", 0.05),
        (one, "BEGIN_WITHIN_S", 0.05),
        (one, "LEASE_ANSWER_S", 0.0),
        (one, "BETWEEN_LOOKS_S", 0.05),
        (one, "WELL_WITHIN_S", 2.0),
    ):
        monkeypatch.setattr(module, name, value)
    async with World(pki, cluster()) as world:
        monkeypatch.setattr(Target, "of", lambda _cluster, _secrets: world.target())
        short = [replace(each, seconds=0.3) for each in catalog.FAULTS]
        monkeypatch.setattr(catalog, "FAULTS", short)
        yield world


async def drilled(world: World, hosts: Hosts, *faults: str, runs: int = 1, **more: Any) -> DrillReport:
    secrets: Any = None
    return await runner.drill(world.cluster, secrets, hosts, faults=faults, runs=runs, pace=PACE, **more)


async def test_a_fault_is_broken_felt_and_healed(world: World) -> None:
    hosts, told = Hosts(world.cluster), list[Run]()

    def on_break(_host: str) -> None:
        world.refuse()
        asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(world.accept()))

    hosts.on_break = on_break
    found = await drilled(world, hosts, "balancer-killed", on_run=lambda _fault, run: told.append(run))
    (fault,) = found.faults
    (run,) = fault.runs
    assert (fault.name, fault.skipped, run.problem) == ("balancer-killed", "", "")
    assert run.target == "b1 nginx"
    assert 0.3 <= run.outage < 1
    assert 0.2 <= run.felt["new"].gap < 1
    assert run.felt["new"].words.get("refused", 0) > 3
    assert run.felt["kept"].failed > 0
    assert run.healthy is not None
    assert (run.lost, run.disorder, run.moved) == (0, 0, ())
    assert run.one_owner == 0
    assert {span.lane for span in run.spans} == {
        "virtual IP", "etcd leader", "kube-controller-manager leader", "kube-scheduler leader"
    }  # fmt: skip
    assert any(not tick.ok and 0 <= tick.at < 0.5 for tick in run.ticks["new"])
    assert any(tick.ok and tick.at < 0 for tick in run.ticks["new"])
    assert found.calm["new"].failed == 0
    assert found.ok
    assert len(told) == 1
    assert hosts.broken == {}
    assert len(hosts.healed) == 1
    assert DrillReport.read(found.text()).faults[0].runs[0].target == "b1 nginx"
    assert world.namespaces == {}


async def test_runs_are_repeated_and_the_worst_keeps_its_ticks(world: World) -> None:
    hosts, breaks = Hosts(world.cluster), []

    def on_break(_host: str) -> None:
        breaks.append(1)
        if len(breaks) == 2:
            world.refuse()
            asyncio.get_running_loop().call_later(0.25, lambda: asyncio.ensure_future(world.accept()))

    hosts.on_break = on_break
    found = await drilled(world, hosts, "apiserver-killed", "scheduler-killed", runs=3, seed=5)
    first, second = found.faults
    assert [run.number for run in first.runs] == [1, 2, 3]
    assert [bool(run.ticks) for run in first.runs] == [False, True, False]
    assert first.worst is first.runs[1]
    assert [run.at for run in first.runs] == sorted(run.at for run in first.runs)
    assert {run.target for run in second.runs} == {"m2 kube-scheduler"}
    assert second.loops == 6
    assert len(hosts.healed) == 6
    assert found.about["seed"] == "5"
    assert found.survival


async def test_leaders_and_owners_that_change_are_timed(world: World) -> None:
    hosts = Hosts(world.cluster)

    def on_break(_host: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, hosts.tell, "b1", "vip no")
        loop.call_later(0.10, hosts.tell, "b2", "vip yes")
        for member in ("m1", "m2", "m3"):
            loop.call_later(0.15, hosts.tell, member, f"etcd {member[1]} 1")
        loop.call_later(0.10, world.holders.update, {"kube-controller-manager": "m3_z"})

    hosts.on_break = on_break
    found = await drilled(world, hosts, "balancer-lost")
    (run,) = found.faults[0].runs
    assert run.one_owner is not None
    assert 0.05 <= run.one_owner < 0.3
    assert 0.1 <= run.takeovers["etcd"] < 0.4
    assert 0.1 <= run.takeovers["kube-controller-manager"] < 0.7
    assert "kube-scheduler" not in run.takeovers
    owners = [span.label for span in run.spans if span.lane == "virtual IP"]
    assert owners == ["b1", "b2"]


async def test_it_is_told_when_each_kubelet_hears_the_api_again(world: World) -> None:
    hosts = Hosts(world.cluster)
    hosts.hearing = True

    def on_break(_host: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, hosts.heard, "w1")
        loop.call_later(0.9, hosts.heard, "w2")

    hosts.on_break = on_break
    found = await drilled(world, hosts, "balancer-hung")
    (fault,) = found.faults
    kubelets = fault.runs[0].kubelets
    assert set(kubelets) == {"w1", "w2"}
    assert kubelets["w1"] is not None
    assert kubelets["w2"] is not None
    assert 0 <= kubelets["w1"] < 0.6 < kubelets["w2"] < 1.6
    assert fault.kubelets == 10
    assert not fault.unheard
    assert DrillReport.read(found.text()).faults[0].heard == fault.heard


async def test_a_kubelet_that_hears_nothing_more_misses_its_goal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one, "KUBELETS_BACK_S", 0.3)
    hosts = Hosts(world.cluster)
    hosts.hearing = True
    hosts.on_break = lambda _host: asyncio.get_running_loop().call_later(0.1, hosts.heard, "w1")  # type: ignore[assignment]
    found = await drilled(world, hosts, "balancer-hung")
    (fault,) = found.faults
    assert fault.runs[0].kubelets["w2"] is None
    assert fault.unheard
    assert found.ok, "it is a goal that is missed, and nothing lost"


async def test_where_nodes_have_balancers_the_probe_goes_through_one(world: World) -> None:
    c = cluster()
    world.cluster = Cluster(**{**dict(c), "hosts": (*c.masters, *c.workers), "endpoint": Endpoint(local=True)})
    hosts = Hosts(world.cluster)
    hosts.api_port = world.port
    found = await drilled(world, hosts, "balancer-hung", "keepalived-killed", seconds={"balancer-hung": 0.3})
    assert hosts.forwarded == [("w1", 6444)]
    assert found.about["probe"] == "by SSH to w1, through its own balancer"
    hung, skipped = found.faults
    assert hung.runs[0].target == "w1 nginx"
    assert hung.runs[0].felt["new"].total > 0
    assert hung.goals["new"] == 6
    assert hung.runs[0].one_owner is None
    assert skipped.skipped == "there is no virtual IP: each node has a balancer of its own"
    assert found.ok
    assert "left out" in next(script for host, script in hosts.log if host == "w2" and "echo alive" in script)


async def test_what_a_host_says_of_it_is_told(world: World) -> None:
    hosts = Hosts(world.cluster)
    hosts.says = {"--unit=": "quorate-drill-did NetworkManager.service restarted"}
    found = await drilled(world, hosts, "network-restarted")
    assert found.faults[0].runs[0].target == "b1: NetworkManager.service restarted"
    assert found.ok
    hosts = Hosts(world.cluster)
    hosts.says = {"systemctl stop": "quorate-drill-found the host's own address was gone, and was put back"}
    found = await drilled(world, hosts, "address-renewed")
    assert found.faults[0].runs[0].problem == "b1: the host's own address was gone, and was put back"
    assert not found.ok


async def test_pods_that_move_though_their_host_lives_are_told(world: World) -> None:
    hosts = Hosts(world.cluster)

    def on_break(_host: str) -> None:
        world.pods["uid-0"] = world.pod("stays-0", "w1", restarts=1)
        world.pods["uid-9"] = world.pod("stays-9", "w2")
        del world.pods["uid-1"]

    hosts.on_break = on_break
    found = await drilled(world, hosts, "apiserver-hung")
    assert list(found.faults[0].runs[0].moved) == ["stays-0", "stays-1"]
    assert not found.ok


async def test_what_can_not_be_tried_is_skipped_with_the_hosts_own_words(world: World) -> None:
    hosts = Hosts(world.cluster)

    def refuse(_host: str, script: str) -> None:
        if "netem" in script and "--unit" in script:
            raise failing("m1", CANNOT, "no delay can be made: Error: Specified qdisc kind is unknown.")

    hosts.refuse = refuse
    found = await drilled(world, hosts, "apiserver-killed", "delay-100", runs=2)
    killed, slow = found.faults
    assert (len(killed.runs), killed.skipped) == (2, "")
    assert (list(slow.runs), slow.skipped) == (
        [],
        "m1: no delay can be made: Error: Specified qdisc kind is unknown.",
    )
    assert len(hosts.healed) == 3
    assert found.ok


async def test_a_sick_cluster_is_not_hurt_further(world: World) -> None:
    hosts = Hosts(world.cluster)

    def on_break(_host: str) -> None:
        hosts.sick = "kubelet.service"

    hosts.on_break = on_break
    found = await drilled(world, hosts, "apiserver-killed", "apiserver-hung", runs=2)
    killed, hung = found.faults
    assert [run.healthy for run in killed.runs] == [None]
    assert list(hung.runs) == []
    assert "kubelet on w1 is silent" in hung.skipped
    assert "kubelet on w1 is silent" in found.problem
    assert not found.ok
    assert hosts.broken == {}


async def test_writes_that_are_lost_are_those_of_the_fault_before_them(world: World) -> None:
    hosts = Hosts(world.cluster)

    def on_break(host: str) -> None:
        if len(hosts.healed) == 1:
            written = max(int(each["data"]["seq"]) for each in world.objects.values())
            world.lose = {written + 4}

    hosts.on_break = on_break
    found = await drilled(world, hosts, "apiserver-killed", runs=3)
    assert [run.lost for run in found.faults[0].runs] == [0, 1, 0]
    assert [run.disorder for run in found.faults[0].runs] == [0, 0, 0]
    assert not found.ok


async def test_a_break_that_fails_counts_for_nothing_and_is_healed(world: World) -> None:
    hosts = Hosts(world.cluster)

    def refuse(host: str, script: str) -> None:
        if "--unit" in script:
            raise failing(host, 1, "kube-apiserver.service does not run")

    hosts.refuse = refuse
    found = await drilled(world, hosts, "apiserver-killed")
    (run,) = found.faults[0].runs
    assert "does not run" in run.problem
    assert len(hosts.healed) == 1
    assert not found.ok


async def test_what_does_not_heal_is_named(world: World) -> None:
    hosts = Hosts(world.cluster)

    def refuse(host: str, script: str) -> None:
        if "systemctl stop quorate-drill-" in script:
            raise TransportError("no route", host=host)

    hosts.refuse = refuse
    found = await drilled(world, hosts, "balancer-killed")
    (run,) = found.faults[0].runs
    assert "its own timer heals it within" in run.problem
    assert not found.ok


async def test_a_cancelled_drill_heals_and_leaves_nothing(world: World) -> None:
    hosts, broken = Hosts(world.cluster), asyncio.Event()
    hosts.on_break = lambda _host: broken.set()
    task = asyncio.create_task(drilled(world, hosts, "balancer-lost"))
    await broken.wait()
    assert hosts.broken != {}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hosts.broken == {}
    assert len(hosts.healed) == 1
    assert world.namespaces == {}


async def test_watches_that_break_off_are_begun_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "REWATCH_S", 0.01)
    hosts, begun = Hosts(world.cluster), list[str]()

    def refuse(host: str, script: str) -> None:
        if "echo alive" in script:
            begun.append(host)
            if begun.count(host) == 1:
                raise TransportError("connection lost", host=host)

    hosts.refuse = refuse
    found = await drilled(world, hosts, "balancer-killed")
    assert {host: begun.count(host) for host in begun} == dict.fromkeys((each.name for each in world.cluster.hosts), 2)
    assert found.faults[0].runs[0].problem == ""


async def test_an_api_that_does_not_answer_is_no_drill(world: World) -> None:
    world.refuse()
    hosts = Hosts(world.cluster)
    with pytest.raises(QuorateError, match="could not be made"):
        await runner.drill(world.cluster, None, hosts, pace=Pace(patience=0.3))  # type: ignore[arg-type]
    assert hosts.log == []
    with pytest.raises(QuorateError, match="there is no fault x"):
        await drilled(world, hosts, "x")


async def test_a_control_experiment_has_its_own_times_and_its_own_way_in(world: World) -> None:
    hosts = Hosts(world.cluster)
    found = await drilled(world, hosts, "balancer-killed", settings="theirs", seconds={"balancer-killed": 0.8})
    assert found.settings == "theirs"
    assert found.faults[0].runs[0].outage >= 0.8
    elsewhere = replace(world.target(), port=9)
    with pytest.raises(QuorateError):
        await drilled(world, hosts, "balancer-killed", target=elsewhere)
