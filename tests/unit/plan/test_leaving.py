"""Who leaves, what is taken away, and in which order; nothing here is a host."""

from dataclasses import replace

import staging
from past_clusters import THREE, E, L, M, W, ancestors, cluster, context, member, named, resource, without
from staging import compile_cluster

from quorate.core import Key
from quorate.operation import change
from quorate.operation.change import AWAY, JOIN, LEAVE
from quorate.resource.removal import Removal
from quorate.spec.cluster import Cluster, Endpoint, LoadBalancer
from quorate.spec.leaving import FormerEndpoint, leaving, retiring


def test_who_leaves() -> None:
    old = cluster(THREE)
    new = cluster({**without("m3"), "n1": (W, E)})
    (gone,) = leaving(new, [old])
    assert (gone.host.name, gone.roles, gone.whole) == ("m3", {M, E}, True)
    back = leaving(old, [new])
    assert [(each.host.name, each.roles, each.whole) for each in back] == [("n1", {E}, False)]
    assert leaving(old, [old]) == ()
    # What an apply began that did not end counts too.
    tried = cluster({**THREE, "n3": (W,)})
    assert [each.host.name for each in leaving(old, [old, tried])] == ["n3"]


def test_the_old_endpoint_is_kept_meanwhile() -> None:
    old, new = cluster(THREE), cluster(THREE, vip="10.0.9.101")
    assert retiring(new, [old, new]) == (FormerEndpoint("10.0.9.100", 6443, hosts=("10.0.9.16", "10.0.9.17")),)
    assert staging.names(context(new, old)) == [JOIN, LEAVE]
    conf = resource(compile_cluster(context(new, old)), Key("b1", "file", "/etc/quorate/keepalived.conf"))
    last = resource(staging.named(context(new, old), LEAVE), conf.key)
    assert "10.0.9.100/" in conf.content  # type: ignore[attr-defined]
    assert "10.0.9.101/" in conf.content  # type: ignore[attr-defined]
    assert "10.0.9.100/" not in last.content  # type: ignore[attr-defined]


def test_the_only_api_server_stays_up_while_everybody_moves_away_from_it() -> None:
    old = cluster({"m1": (M, E), "n1": (W,)}, endpoint=Endpoint())
    given = context(cluster(THREE), old)
    join, leave = compile_cluster(given), staging.named(given, LEAVE)
    unit = Key("m1", "file", "/etc/systemd/system/kube-apiserver.service")
    assert "--goaway-chance" not in resource(join, unit).content  # type: ignore[attr-defined]
    assert "--goaway-chance" in resource(join, unit._replace(host="m2")).content  # type: ignore[attr-defined]
    assert "--goaway-chance" in resource(leave, unit).content  # type: ignore[attr-defined]


def test_nothing_leaves_when_nothing_changed() -> None:
    assert staging.names(context(cluster(THREE))) == [JOIN]
    assert not [each for each in compile_cluster(context(cluster(THREE))).resources if isinstance(each, Removal)]


def test_a_worker_is_drained_cleaned_and_forgotten_in_this_order() -> None:
    given = context(cluster(without("n2")), cluster(THREE))
    assert staging.names(given) == [JOIN, AWAY, LEAVE]
    assert staging.stage_of(given, Key("m1", "setting", "drain of n2")) == AWAY
    compiled = staging.named(given, LEAVE)
    clean = Key("n2", "removal", "everything")
    assert clean in compiled.needs[Key("m1", "setting", "node n2")]
    gone = resource(compiled, clean)
    assert isinstance(gone, Removal)
    units = [each.name for each in gone.resources if each.kind == "unit"]
    assert units.index("kubelet.service") < units.index("containerd.service")


def test_pods_are_reached_until_they_are_drained() -> None:
    old = context(cluster(THREE))
    new = context(cluster(without("n2")), cluster(THREE))
    given = replace(new, facts=replace(new.facts, pod_cidrs=old.facts.pod_cidrs))
    routes = Key("n1", "file", "/etc/quorate/routes.list")
    for name, there in ((JOIN, True), (AWAY, True), (LEAVE, False)):
        assert ("10.0.9.15" in resource(staging.named(given, name), routes).content) is there  # type: ignore[attr-defined]


def test_a_dead_worker_is_only_forgotten() -> None:
    given = context(cluster(without("n2")), cluster(THREE), absent=frozenset({"n2"}))
    assert staging.names(given) == [JOIN, LEAVE]
    compiled = staging.named(given, LEAVE)
    assert [key for key in compiled.needs if key.host == "n2"] == []
    assert named(compiled, "node n2") == [Key("m1", "setting", "node n2")]


def test_a_host_of_the_file_that_does_not_answer_is_left_alone() -> None:
    compiled = compile_cluster(context(cluster(THREE), absent=frozenset({"m3"})))
    assert [key for key in compiled.needs if key.host == "m3"] == []
    assert named(compiled, "etcd member") == []


def test_members_join_one_by_one_after_those_that_run() -> None:
    old = cluster({"m1": (M, E), "n1": (W,), "n2": (W,), "b1": (L,), "b2": (L,)})
    compiled = compile_cluster(context(cluster(THREE), old))
    second, third = (Key(host, "setting", "membership in etcd") for host in ("m2", "m3"))
    assert Key("m1", "ready", "etcd") in ancestors(compiled, second)
    assert {Key("m2", "setting", "vote in etcd"), Key("m2", "ready", "etcd")} <= ancestors(compiled, third)
    assert Key("m2", "setting", "vote in etcd") in ancestors(compiled, Key("m2", "ready", "etcd"))
    assert Key("m1", "setting", "membership in etcd") not in compiled.needs


def test_a_member_leaves_after_everything_and_before_its_host_is_cleaned() -> None:
    new = cluster({**without("m3"), "n1": (W, E)})
    given = context(new, cluster(THREE))
    compiled = staging.named(given, AWAY)
    (out,) = named(compiled, "etcd member m3")
    assert out.host == "m1"
    assert Key("m3", "stopped", "control plane at rest") in compiled.needs[out]
    assert staging.stage_of(given, out) == AWAY
    assert staging.stage_of(given, Key("m3", "removal", "everything")) == LEAVE


def test_a_role_that_is_lost_takes_its_things_along_last_started_first() -> None:
    given = context(cluster(THREE), cluster({**THREE, "n1": (W, E)}))
    assert named(staging.named(given, AWAY), "etcd member n1")
    compiled = staging.named(given, LEAVE)
    etcd, trust = Key("n1", "removal", "etcd"), Key("n1", "removal", "trust")
    # Its certificates stay until it is stopped, and what goes on running there may use both.
    assert etcd in compiled.needs[trust]
    assert Key("n1", "unit", "kubelet.service") in ancestors(compiled, etcd)


def test_the_old_balancer_goes_before_the_new_one_starts() -> None:
    new = cluster(THREE, load_balancer=LoadBalancer(kind="haproxy"))
    compiled = compile_cluster(context(new, cluster(THREE)))
    gone = Key("b1", "removal", "balancer")
    assert gone in ancestors(compiled, Key("b1", "unit", "haproxy.service"))
    removal = resource(compiled, gone)
    assert isinstance(removal, Removal)
    packages = [each for each in removal.resources if each.kind == "packages"]
    assert [each.packages for each in packages] == [("nginx", "libnginx-mod-stream")]  # type: ignore[attr-defined]
    # One after the other, so that one of both always has the virtual IP.
    assert Key("b1", "ready", "haproxy") in ancestors(compiled, Key("b2", "removal", "balancer"))


def test_a_replaced_member_is_taken_out_and_joins_anew() -> None:
    new = context(cluster(THREE), empty=frozenset({"m1"}), replaced=frozenset({"m1"}))
    compiled = compile_cluster(new)
    (out,) = named(compiled, "etcd member m1")
    assert out.host == "m2"
    assert out in ancestors(compiled, Key("m1", "setting", "membership in etcd"))
    # The API's objects are written through a master that works.
    assert new.api_host.name == "m2"


def test_an_interrupted_join_goes_on() -> None:
    """Added, never started: its entry is used, not removed."""
    old = cluster({**without("m3"), "m3": (M,)})
    listed = (member("m1"), member("m2"), member("m3", learner=True, started=False))
    compiled = compile_cluster(context(cluster(THREE), old, listed=listed))
    assert named(compiled, "etcd member") == []
    assert named(compiled, "membership in etcd") == [Key("m3", "setting", "membership in etcd")]


def test_somebody_elses_member_stays() -> None:
    listed = (*(member(name) for name in ("m1", "m2", "m3")), member("m4"))
    assert named(compile_cluster(context(cluster(THREE), listed=listed)), "etcd member") == []


def test_who_leaves_is_let_in_until_then() -> None:
    """A node that is drained still asks for its pods' API, a member still has its vote."""
    given = context(cluster({**without("m3", "n2"), "n1": (W, E)}), cluster(THREE))
    hosts = {name: replace(facts, firewall="iptables") for name, facts in given.facts.hosts.items()}
    given = replace(given, facts=replace(given.facts, hosts=hosts))
    rules = Key("m1", "file", "/etc/quorate/firewall")
    for name, there in ((JOIN, True), (AWAY, True), (LEAVE, False)):
        text = resource(staging.named(given, name), rules).content  # type: ignore[attr-defined]
        assert ("10.0.9.13" in text, "10.0.9.15" in text) == (there, there), name
    back = context(cluster(THREE), cluster({**THREE, "n1": (W, E)}))
    hosts = {name: replace(facts, firewall="iptables") for name, facts in back.facts.hosts.items()}
    back = replace(back, facts=replace(back.facts, hosts=hosts))
    own = Key("n1", "file", "/etc/quorate/firewall")
    for name, there in ((JOIN, True), (AWAY, True), (LEAVE, False)):
        assert ("2380" in resource(staging.named(back, name), own).content) is there, name  # type: ignore[attr-defined]


def test_what_no_edit_brings_back_is_told() -> None:
    """Members that are taken out, and hosts that are cleaned; not pods that move, nor an address that goes."""

    def told(now: Cluster, was: Cluster, **more: object) -> dict[str, str]:
        given = context(now, was, **more)  # type: ignore[arg-type]
        return {stage.name: stage.no_return for stage in change.stages(given) if stage.no_return}

    three = cluster(THREE)
    assert told(cluster({**without("m3"), "n1": (W, E)}), three) == {
        AWAY: "members of etcd are taken out: m3",
        LEAVE: "hosts are cleaned, with all data of the cluster: m3",
    }
    assert told(cluster({**THREE, "n1": (W, E)}), three) == {}
    assert told(cluster(without("n2")), three).keys() == {LEAVE}
    assert told(cluster(without("n2")), three, absent=frozenset({"n2"})) == {}
    assert told(cluster(THREE, vip="10.0.9.101"), three) == {}


def test_a_replaced_workers_node_goes_once_however_many_files_named_it() -> None:
    """A first file, and one that began with another address and has not ended."""
    was = cluster(THREE)
    moved = cluster(THREE, vip="10.0.9.101")
    given = replace(context(moved, was), former=(was, moved), replaced=frozenset({"n1"}))
    assert len(named(compile_cluster(given), "node n1 of the old machine")) == 1
