"""An upgrade in stages: what each of them touches, in which order, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace

from past_clusters import THREE, W, cluster, context, ids, without
from worlds import blob

from quorate.component.context import Context, Stop
from quorate.operation import upgrade
from quorate.plan import guard
from quorate.plan.compile import Compiled, compile_stage
from quorate.plan.staged import foreseen
from quorate.plan.step import Plan
from quorate.resource.drain import Drained
from quorate.resource.file import Binary
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Network, Runtime
from quorate.spec.facts import Facts
from quorate.spec.supply import Supply
from quorate.spec.upgrade_path import cluster_at, way
from quorate.spec.versions import table

PATCHES = {"1.35": "1.35.4", "1.36": "1.36.3"}
OF = {"etcd": ("etcd", "etcdctl"), "containerd": ("containerd", "containerd-shim-runc-v2", "ctr")}


def versions(kubernetes: str, **more: str) -> dict[str, str]:
    minor = table(kubernetes)
    return {"kubernetes": kubernetes, "etcd": minor.etcd, "containerd": minor.containerd, "runc": minor.runc, **more}


def brought(given: Supply, at: Mapping[str, str]) -> Supply:
    """Programs that differ as their versions do."""
    part_of = {name: part for part, names in OF.items() for name in names}
    binaries = {name: blob(f"{name} {at[part_of.get(name, 'kubernetes')]}") for name in given.binaries}
    return replace(given, binaries=binaries, versions=at)


def upgrading(now: Mapping[str, str], goal: Mapping[str, str], was: Cluster | None = None) -> Context:
    """What is known when an upgrade begins."""
    then = cluster_at(was or cluster(THREE, runtime=Runtime(kind="containerd")), goal, pinned=False)
    given = context(then, was or cluster_at(then, now, pinned=False))
    stops = tuple(
        Stop(
            move,
            cluster_at(then, move.versions, pinned=False),
            brought(given.supply, move.versions),
            table(move.versions["kubernetes"]),
        )
        for move in way(now, goal, PATCHES)
    )
    running = {"etcd.service", "kube-apiserver.service", "kubelet.service", "kube-proxy.service", "containerd.service"}
    hosts = {name: replace(facts, running=frozenset(running)) for name, facts in given.facts.hosts.items()}
    given = replace(given, facts=Facts(hosts, given.facts.pod_cidrs))
    return replace(
        given, supply=brought(given.supply, goal), minor=table(goal["kubernetes"]), releases=now, stops=stops
    )


def walked(given: Context) -> list[tuple[str, Compiled, Plan]]:
    """Each stage against what the one before has left, from a cluster as `given` found it."""
    start = replace(given, **as_of(given), stops=())
    states = {resource.key: resource.desired for resource in compile_stage(upgrade.change.stages(start)[0]).resources}
    found = []
    for stage in upgrade.stages(given):
        compiled = compile_stage(stage)
        plan, _ = foreseen(compiled, (), states)
        found.append((stage.name, compiled, plan))
        states |= {resource.key: resource.desired for resource in compiled.resources}
    return found


def as_of(given: Context) -> dict[str, object]:
    before = cluster_at(given.cluster, given.releases, pinned=False)
    return {
        "cluster": before,
        "supply": brought(given.supply, given.releases),
        "minor": table(given.releases["kubernetes"]),
    }


def exchanged(plan: Plan) -> set[str]:
    """Programs that change."""
    return {step.resource.path.rpartition("/")[2] for step in plan.changes if isinstance(step.resource, Binary)}


def test_each_part_moves_in_its_own_stage_and_nothing_twice() -> None:
    now, goal = versions("1.34.4"), versions("1.36.3", etcd="3.7.3")
    found = walked(upgrading(now, goal))
    control = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"}
    assert {name: exchanged(plan) for name, _, plan in found} == {
        "etcd 3.7.3": {"etcd", "etcdctl"},
        "control plane 1.35.4": control,
        "control plane 1.36.3": control,
        "nodes 1.36.3": {"kubelet", "kube-proxy", "runc", "bridge", "host-local", "loopback", "portmap"},
        "join": set(),
        "leave": set(),
    }


def test_workers_are_drained_for_a_minor_and_not_for_a_patch() -> None:
    for now, drains in ((versions("1.35.4"), True), (versions("1.36.1"), False)):
        found = walked(upgrading(now, versions("1.36.3", etcd=now["etcd"])))
        nodes = next(plan for name, _, plan in found if name.startswith("nodes"))
        assert any(isinstance(step.resource, Drained) for step in nodes.steps.values()) is drains


def test_a_member_has_its_hosts_api_server_rest_though_that_is_of_another_stage() -> None:
    (_, compiled, _), *_ = walked(upgrading(versions("1.36.3"), versions("1.36.3", etcd="3.7.3")))
    units = {each.host: each.dependants for each in compiled.resources if isinstance(each, Unit)}
    assert units == dict.fromkeys(("m1", "m2", "m3"), ("kube-apiserver.service",))


def test_masters_change_one_after_the_other() -> None:
    found = walked(upgrading(versions("1.35.4"), versions("1.36.3")))
    _, compiled, plan = next(each for each in found if each[0].startswith("control"))
    order = [key.host for key in compiled.needs if key in plan.steps and key.name == "kube-apiserver.service"]
    assert order == ["m1", "m2", "m3"]


def test_the_leader_of_etcd_is_the_last() -> None:
    given = upgrading(versions("1.36.3"), versions("1.36.3", etcd="3.7.3"))
    hosts = {name: replace(facts, etcd_leads=name == "m1") for name, facts in given.facts.hosts.items()}
    (_, compiled, plan), *_ = walked(replace(given, facts=Facts(hosts, given.facts.pod_cidrs)))
    order = [key.host for key in compiled.needs if key in plan.steps and key.name == "etcd.service"]
    assert order == ["m2", "m3", "m1"]


def said(given: Context) -> str:
    return "\n".join(str(each) for each in guard.refusals(given, ids(given.cluster), upgrade))


def test_what_is_refused_before_anything_is_touched() -> None:
    given = upgrading(versions("1.35.4"), versions("1.36.3"))
    assert said(given) == ""
    assert "m2 does not answer" in said(replace(given, absent=frozenset({"m2"})))
    assert said(replace(given, absent=frozenset({"n1"}))) == ""
    assert "versions.etcd: no way" in said(replace(given, astray=(("etcd", "no way", "another"),)))
    for changed in (
        {"hosts": cluster({**without("n2"), "n3": (W,)}).hosts},
        {"network": Network(proxy_mode="ipvs")},
        {"runtime": Runtime(kind="docker")},
    ):
        other = given.cluster.model_copy(update=changed)
        assert f"and another {next(iter(changed))}" in said(replace(given, cluster=other))
