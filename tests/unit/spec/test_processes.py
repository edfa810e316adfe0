"""The table of processes: what derives from it, and that a service more is one entry beside its component."""

from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest
from past_clusters import THREE, cluster, context

from quorate.component import COMPONENTS
from quorate.component.context import Context
from quorate.component.service import service
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.drill import hostwatch
from quorate.drill.scene import ELECTED
from quorate.execute import facts, survey
from quorate.operation import change
from quorate.plan import compile as compiling
from quorate.procedure import status
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import processes
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.ports import Listener
from quorate.spec.processes import Process
from quorate.spec.rules.endpoint import ports
from quorate.spec.survival import LOOPS, Part, after
from quorate.spec.whatif import cases

TOY = Process(
    "toy.service",
    Role.WORKER,
    lambda _cluster, host: host.has(Role.WORKER),
    lambda _cluster: frozenset({Role.WORKER}),
    health=lambda _cluster, host: f"http://{host.ip}:7001/well",
    listens=lambda _cluster, _host: (Listener(7001, "toy"),),
)


def toy() -> ModuleType:
    """A component that runs it."""

    def resources(context: Context, host: Host) -> Iterator[Resource]:
        if host.has(Role.WORKER):
            yield from service(context, host, TOY.unit, description="a toy", exec_start=["/bin/toy"])
            yield Ready(host=host.name, what="toy", check="true")

    made = ModuleType("toy")
    meets: Mapping[str, Enough] = {}
    vars(made).update(NAME="toy", AFTER=("system",), MEETS=meets, TURNS=Turns.CANARY, resources=resources)
    return made


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROCESSES", (*processes.PROCESSES, TOY))
    monkeypatch.setattr(compiling, "COMPONENTS", (*COMPONENTS, toy()))


@pytest.mark.usefixtures("with_toy")
def test_a_service_more_is_a_component_and_an_entry() -> None:
    """Status asks for it, its port is taken, its loss is told, drills watch it, the plan places it."""
    now = cluster(THREE)
    worker, master = now.host("n1"), now.host("m1")
    assert survey.units(now, worker)[-2:] == ("toy.service", "quorate-routes.service")
    assert "toy.service" not in survey.units(now, master)
    assert survey.health(now, worker)["toy.service"].endswith(f"http://{worker.ip}:7001/well")
    assert "toy.service" in facts.script(now, worker)
    assert "toy.service" in hostwatch.script(now, worker)
    assert Listener(7001, "toy") in processes.listeners(now, worker)
    moved = now.model_copy(update={"apiserver": now.apiserver.model_copy(update={"port": 7001})})
    both = moved.model_copy(update={"hosts": (master.model_copy(update={"roles": (*master.roles, Role.WORKER)}),)})
    assert [fault for fault in ports(both) if "is also that of toy" in fault.rule]
    lost = frozenset({Part("n1", "toy")})
    assert after(now, lost).workers == ("n2",)
    assert "toy on one host" in [case.what for case in cases(now)]
    compiled = compiling.compile_stage(change.stages(context(now))[0])
    assert Key("n1", "unit", "toy.service") in compiled.needs
    assert Key("n1", "ready", "toy") in compiled.needs


def test_every_unit_of_a_component_is_in_the_table() -> None:
    """And every service that a host must have is one that some component puts there."""
    for kind in ("nginx", "haproxy"):
        for endpoint in ({"vip": "10.0.9.100"}, {"local": True}):
            given = {"endpoint": endpoint, "load_balancer": {"kind": kind}}
            now = Cluster.model_validate(cluster(THREE).model_dump() | given)
            compiled = compiling.compile_stage(change.stages(context(now))[0])
            for host in now.hosts:
                put = {key.name for key in compiled.needs if (key.host, key.kind) == (host.name, "unit")}
                assert put <= set(processes.unit_names())
                assert {process.unit for process in processes.on(now, host)} <= put


def test_who_leads_is_said_once() -> None:
    assert ELECTED == LOOPS == status.ELECTED == processes.elected()
    assert processes.control_plane() == (
        *("kube-apiserver.service", "kube-controller-manager.service", "kube-scheduler.service"),
    )


def test_services_start_after_those_that_come_before_them() -> None:
    names = processes.unit_names()
    assert len(set(names)) == len(names) == len(processes.PROCESSES)
    for process in processes.PROCESSES:
        for unit in process.starts_after:
            assert names.index(unit) < names.index(process.unit)
