"""A whole drill against a cluster in memory: order, healing, what a report tells, what ends it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from api_in_memory import Pki
from drill_world import Hosts, World, cluster, failing

from quorate.core import QuorateError, TransportError
from quorate.drill import catalog, one, outage, runner
from quorate.drill.catalog import Fault
from quorate.drill.order import Pace, Target
from quorate.drill.packets import CANNOT
from quorate.report.drilled import Drilled, Run
from quorate.report.event import Said

PACE = Pace(new=0.02, kept=0.02, writes=0.02, watch=0.02, timeout=1, patience=5)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def world(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The API; a drill's waits are short."""
    for module, name, value in (
        (runner, "CALM", 0.3),
        (runner, "SECOND", 0.05),
        (one, "PHASE", 0.05),
        (one, "SURE", 0.0),
        (one, "PAUSE", 0.05),
        (one, "PATIENCE", 2.0),
    ):
        monkeypatch.setattr(module, name, value)
    async with World(pki, cluster()) as world:
        monkeypatch.setattr(Target, "of", lambda _cluster, _secrets: world.target())
        short = [Fault(each.name, each.title, each.choose, 0.3, each.goals) for each in catalog.FAULTS]
        monkeypatch.setattr(catalog, "FAULTS", short)
        yield world


async def drilled(world: World, hosts: Hosts, *faults: str, runs: int = 1, **more: Any) -> Drilled:
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
        "virtual IP", "etcd leader", "kube-controller-manager", "kube-scheduler"
    }  # fmt: skip
    assert any(not tick.ok and 0 <= tick.at < 0.5 for tick in run.ticks["new"])
    assert any(tick.ok and tick.at < 0 for tick in run.ticks["new"])
    assert found.calm["new"].failed == 0
    assert found.ok
    assert len(told) == 1
    assert hosts.broken == {}
    assert len(hosts.healed) == 1
    assert Drilled.read(found.text()).faults[0].runs[0].target == "b1 nginx"
    assert world.namespaces == {}
