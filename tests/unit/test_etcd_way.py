"""The way to etcd as a part of the cluster: who has it, who waits for it, and when it goes."""

import pytest
from past_clusters import THREE, E, L, M, W, ancestors, brick, cluster, context, named
from verify_door import Door
from verify_model import Model

from quorate.component import etcd_way
from quorate.core import Key
from quorate.execute import survey
from quorate.plan.compile import compile_cluster
from quorate.resource.removal import Removal
from quorate.spec.cluster import Endpoint, Etcd, LoadBalancer
from quorate.spec.ports import listeners
from quorate.verify.check import Status
from quorate.verify.runner import verify

DESCRIBED = {"m1": (M, E), "m2": (M,), "n1": (W, E), "n2": (W, E), "b1": (L,), "b2": (L,)}
"""Two masters, one with a member; the other members are on the workers."""
UNIT, API = Key("m2", "unit", "quorate-etcd.service"), Key("m2", "unit", "kube-apiserver.service")
FLAGS = Key("m2", "file", "/etc/systemd/system/kube-apiserver.service")
READY, GONE = Key("m2", "ready", "way to etcd"), Key("m2", "removal", "etcd_way")


def test_a_master_without_a_member_has_it_and_nobody_else() -> None:
    now = cluster(DESCRIBED)
    compiled = compile_cluster(context(now))
    assert named(compiled, "quorate-etcd.service") == [
        Key("m2", "file", "/etc/systemd/system/quorate-etcd.service"), UNIT,
    ]  # fmt: skip
    for host in now.hosts:
        has = host.name == "m2"
        assert ("quorate-etcd.service" in survey.units(now, host)) is has
        assert ("quorate-etcd.service" in survey.health(now, host)) is has
        assert (2382 in {listener.port for listener in listeners(now, host)}) is has
    conf = brick(compiled, Key("m2", "file", etcd_way.CONF)).content  # type: ignore[attr-defined]
    assert conf.count("10.0.9.11:2379") == conf.count("10.0.9.14:2379") == conf.count("10.0.9.15:2379") == 4


def test_members_are_proven_before_it_and_it_before_the_api_server() -> None:
    compiled = compile_cluster(context(cluster(DESCRIBED)))
    assert {Key(name, "ready", "etcd") for name in ("m1", "n1", "n2")} <= ancestors(compiled, UNIT)
    assert READY in ancestors(compiled, API)
    unit = brick(compiled, FLAGS).content  # type: ignore[attr-defined]
    assert "--etcd-servers=https://127.0.0.1:2382" in unit
    assert "After=network-online.target quorate-etcd.service\n" in unit
    other = brick(compiled, Key("m1", "file", FLAGS.name)).content  # type: ignore[attr-defined]
    assert "quorate-etcd" not in other


def test_a_member_comes_to_its_host() -> None:
    """The API server moves to its own member; then the way goes, with the package that it alone had."""
    compiled = compile_cluster(context(cluster(THREE), cluster(DESCRIBED)))
    assert "--etcd-servers=https://10.0.9.12:2379" in brick(compiled, FLAGS).content  # type: ignore[attr-defined]
    gone = brick(compiled, GONE)
    assert isinstance(gone, Removal)
    assert {Key("m2", "ready", "kube-apiserver"), Key("m2", "ready", "etcd")} <= ancestors(compiled, gone.key)
    assert [each.kind for each in gone.bricks][:2] == ["ready", "unit"]
    assert [each.packages for each in gone.bricks if each.kind == "packages"] == [("haproxy",)]  # type: ignore[attr-defined]
    assert "/etc/quorate/etcd-way.cfg" in {each.name for each in gone.bricks}


def test_a_member_leaves_its_host() -> None:
    """The way is proven before the API server takes it, and only then the member goes."""
    compiled = compile_cluster(context(cluster(DESCRIBED), cluster(THREE)))
    (out,) = named(compiled, "etcd member m2")
    assert {Key("n1", "ready", "etcd"), Key("n2", "ready", "etcd")} <= ancestors(compiled, READY)
    assert READY in ancestors(compiled, API)
    assert Key("m2", "ready", "kube-apiserver") in ancestors(compiled, out)
    assert out in ancestors(compiled, Key("m2", "removal", "etcd"))


def test_the_balancer_beside_it_keeps_the_package() -> None:
    beside = {**DESCRIBED, "m2": (M, L)}
    old = cluster(beside, load_balancer=LoadBalancer(kind="haproxy"))
    new = cluster({**beside, "m2": (M, L, E), "n2": (W,)}, load_balancer=LoadBalancer(kind="haproxy"))
    gone = brick(compile_cluster(context(new, old)), GONE)
    assert isinstance(gone, Removal)
    assert [each for each in gone.bricks if each.kind == "packages"] == []


def test_the_only_api_server_keeps_its_way_until_nobody_needs_it() -> None:
    """The cluster grows, and a member comes to the one master: it restarts in the end, and loses its way after that."""
    old = cluster({"m1": (M,), "n1": (W, E)}, endpoint=Endpoint())
    new = cluster({**THREE, "n1": (W, E), "m3": (M,)})
    compiled = compile_cluster(context(new, old))
    flags = Key("m1", "file", FLAGS.name)
    last = Key("m1", "file", f"{FLAGS.name} in the end")
    assert "--etcd-servers=https://127.0.0.1:2382" in brick(compiled, flags).content  # type: ignore[attr-defined]
    assert "--etcd-servers=https://10.0.9.11:2379" in brick(compiled, last).content  # type: ignore[attr-defined]
    assert Key("m1", "ready", "kube-apiserver in the end") in ancestors(compiled, Key("m1", "removal", "etcd_way"))


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
    assert status is Status.PASSED or "kube-apiserver of m2 uses 10.0.9.11, not its way" in independent.detail
