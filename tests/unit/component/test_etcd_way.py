"""The way to etcd as a part of the cluster: who has it, who waits for it, and when it goes."""

import pytest
import staging
from past_clusters import THREE, E, L, M, W, ancestors, cluster, context, named, resource
from staging import compile_cluster
from verify_door import Door
from verify_model import Model

from quorate.component import etcd_way
from quorate.core import Key
from quorate.execute import survey
from quorate.operation.change import AWAY, LEAVE
from quorate.plan.compile import Compiled
from quorate.report.findings import Status
from quorate.resource.removal import Removal
from quorate.spec.cluster import Etcd, LoadBalancer
from quorate.spec.processes import listeners
from quorate.verify.runner import verify

DESCRIBED = {"m1": (M, E), "m2": (M,), "n1": (W, E), "n2": (W, E), "b1": (L,), "b2": (L,)}
"""Two masters, one with a member; the other members are on the workers."""
UNIT, API = Key("m2", "unit", "quorate-etcd.service"), Key("m2", "unit", "kube-apiserver.service")
FLAGS = Key("m2", "file", "/etc/systemd/system/kube-apiserver.service")
READY, GONE = Key("m2", "ready", "way to etcd"), Key("m2", "removal", "etcd_way")


def test_masters_have_it_and_nobody_else() -> None:
    now = cluster(DESCRIBED)
    compiled = compile_cluster(context(now))
    assert [key.host for key in named(compiled, "quorate-etcd.service") if key.kind == "unit"] == ["m1", "m2"]
    for host in now.hosts:
        has = host in now.masters
        assert ("quorate-etcd.service" in survey.units(now, host)) is has
        assert ("quorate-etcd.service" in survey.health(now, host)) is has
        taken = {listener.port for listener in listeners(now, host)}
        assert ({2382, 2383, 2385} & taken == {2382, 2383, 2385}) is has


def served(compiled: Compiled, host: str) -> list[str]:
    """The members of etcd to which the way of a host leads, those that come second in brackets."""
    conf = resource(compiled, Key(host, "file", etcd_way.CONF)).content  # type: ignore[attr-defined]
    (backend,) = [part for part in conf.split("\n\n") if part.startswith("backend etcd\n")]
    lines = [line.split() for line in backend.splitlines() if ":2379 " in line]
    return [f"({words[1]})" if words[-1] == "backup" else words[1] for words in lines]


def test_its_own_member_comes_first() -> None:
    compiled = compile_cluster(context(cluster(DESCRIBED)))
    assert served(compiled, "m1") == ["m1", "(n1)", "(n2)"]
    assert served(compiled, "m2") == ["m1", "n1", "n2"]
    assert served(compile_cluster(context(cluster(THREE))), "m2")[0] == "m2"


def test_members_are_proven_before_it_and_it_before_the_api_server() -> None:
    compiled = compile_cluster(context(cluster(DESCRIBED)))
    assert {Key(name, "ready", "etcd") for name in ("m1", "n1", "n2")} <= ancestors(compiled, UNIT)
    assert READY in ancestors(compiled, API)
    unit = resource(compiled, FLAGS).content  # type: ignore[attr-defined]
    assert "--etcd-servers=https://127.0.0.1:2382" in unit
    assert "After=network-online.target quorate-etcd.service\n" in unit


def test_a_member_comes_to_its_host() -> None:
    """The way leads to it once it is proven; the API server's own flags know of no member."""
    compiled = compile_cluster(context(cluster(THREE), cluster(DESCRIBED)))
    assert Key("m2", "ready", "etcd") in ancestors(compiled, UNIT)
    assert served(compiled, "m2")[0] == "m2"
    before = compile_cluster(context(cluster(DESCRIBED)))
    assert resource(compiled, FLAGS) == resource(before, FLAGS)


def test_a_member_leaves_its_host() -> None:
    """The way leads past it, and only then it goes."""
    given = context(cluster(DESCRIBED), cluster(THREE))
    compiled = compile_cluster(given)
    assert {Key("n1", "ready", "etcd"), Key("n2", "ready", "etcd")} <= ancestors(compiled, READY)
    assert named(staging.named(given, AWAY), "etcd member m2")
    assert staging.stage_of(given, Key("m2", "removal", "etcd")) == LEAVE


def test_it_goes_with_the_master_and_leaves_the_package_to_the_balancer() -> None:
    beside = {**DESCRIBED, "m2": (M, L)}
    for kind, left in (("haproxy", []), ("nginx", [("haproxy",)])):
        old = cluster(beside, load_balancer=LoadBalancer(kind=kind))
        new = cluster({**beside, "m2": (L,), "m3": (M,)}, load_balancer=LoadBalancer(kind=kind))
        gone = resource(staging.named(context(new, old), LEAVE), GONE)
        assert isinstance(gone, Removal)
        assert [each.packages for each in gone.resources if each.kind == "packages"] == left  # type: ignore[attr-defined]
        assert [each.kind for each in gone.resources][:2] == ["ready", "unit"]
        assert "/etc/quorate/etcd-way.cfg" in {each.name for each in gone.resources}


def test_patience_is_two_elections_and_more() -> None:
    assert etcd_way.patience(cluster(DESCRIBED)) == 3
    assert etcd_way.patience(cluster(DESCRIBED, etcd=Etcd(heartbeat_ms=250, election_ms=2500))) == 11


@pytest.mark.parametrize(
    ("uses", "status"), [("https://127.0.0.1:2382", Status.PASSED), ("https://10.0.9.11:2379", Status.FAILED)]
)
async def test_verify_knows_who_goes_past_it(uses: str, status: Status) -> None:
    def spoil(_host: str, _script: str, text: str) -> str:
        return text.replace("https://127.0.0.1:2382", uses)

    model = Model(cluster(DESCRIBED), spoil)
    found = await verify(model.cluster, Door(model), disruptive=False, on_finding=lambda _finding: None)
    (independent,) = [each for each in found if each.id == "independent"]
    assert independent.status is status, independent
    assert status is Status.PASSED or "kube-apiserver of m1 uses 10.0.9.11, not its way" in independent.detail
