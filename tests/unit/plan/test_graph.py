"""Edges that nobody writes: what each resource needs follows from what it is."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from past_clusters import THREE, ancestors, cluster, context
from staging import compile_cluster

from quorate.core import Key, PlanError
from quorate.plan import graph
from quorate.plan.gate import gate
from quorate.plan.graph import After
from quorate.resource.file import Directory, File, Symlink
from quorate.resource.resource import Resource
from quorate.resource.system import User
from quorate.resource.unit import Ready, Unit
from quorate.spec.facts import HostFacts
from quorate.spec.versions import table


def file(path: str, host: str = "h", owner: str = "root:root", explicit: frozenset[Key] = frozenset()) -> File:
    return File(host=host, path=path, content="", owner=owner, explicit=explicit)


def edges(*resources: Resource) -> dict[Key, set[Key]]:
    return graph.edges([graph.Part("one", "h", resources)], {"one": After()}).needs


def behind(needs: Mapping[Key, Iterable[Key]], key: Key) -> set[Key]:
    """All that comes before it."""
    found: set[Key] = set()
    waiting = [key]
    while waiting:
        new = set(needs[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def test_a_folder_comes_before_what_lies_in_it_the_nearest_first() -> None:
    outer, inner = Directory(host="h", path="/a"), Directory(host="h", path="/a/b")
    inside, link = file("/a/b/c/d"), Symlink(host="h", path="/a/l", target="x")
    needs = edges(link, inside, inner, outer)
    assert needs[inside.key] == {inner.key}
    assert needs[inner.key] == {outer.key}
    assert needs[link.key] == {outer.key}


def test_a_name_that_only_begins_alike_is_no_folder() -> None:
    folder, beside = Directory(host="h", path="/a"), file("/ab/c")
    assert edges(folder, beside)[beside.key] == set()


def test_an_owner_comes_before_what_is_his() -> None:
    user, his = User(host="h", user="etcd"), file("/x", owner="etcd:etcd")
    assert edges(his, user)[his.key] == {user.key}


def test_a_unit_comes_after_what_it_loads_also_of_another_part() -> None:
    early, late = file("/etc/early"), file("/etc/late")
    unit = Unit(host="h", unit="u.service", loads=("/etc/early", "/etc/late", "/etc/nobodys"))
    parts = [graph.Part("one", "h", (unit,)), graph.Part("two", "h", (early, late))]
    assert graph.edges(parts, {"one": After(), "two": After()}).needs[unit.key] == {early.key, late.key}


def test_nothing_crosses_hosts_but_at_a_gate() -> None:
    folder, other = Directory(host="h", path="/a"), file("/a/b", host="k")
    unit = Unit(host="h", unit="u.service")
    ready, far = Ready(host="h", what="u", check=":"), Unit(host="k", unit="far.service")
    parts = [graph.Part("one", "h", (folder, unit, ready)), graph.Part("two", "k", (other, far))]
    needs = graph.edges(parts, {"one": After(), "two": After(everywhere={"one": None})}).needs
    assert needs[other.key] == set()
    assert needs[far.key] == {other.key, gate("one on all")}
    assert needs[gate("one on all")] == {gate("one proven", "h")}
    assert needs[gate("one proven", "h")] == {unit.key, ready.key}
    assert needs[ready.key] == {folder.key, unit.key}


def test_what_comes_after_a_part_of_its_host_waits_for_that_of_no_other() -> None:
    parts = [
        graph.Part(part, host, (Unit(host=host, unit=f"{part}.service"),)) for part in ("one", "two") for host in "hk"
    ]
    needs = graph.edges(parts, {"one": After(), "two": After(here=("one", "nobody's"))}).needs
    assert behind(needs, Key("h", "unit", "two.service")) == {gate("one", "h"), Key("h", "unit", "one.service")}


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(PlanError, match="h/file//a") as error:
        edges(file("/a"), file("/a"))
    assert error.value.keys == (Key("h", "file", "/a"),)


def test_a_circle_is_refused_and_shown() -> None:
    one = file("/a", explicit=frozenset({Key("h", "file", "/b")}))
    two = file("/b", explicit=frozenset({Key("h", "file", "/a")}))
    with pytest.raises(PlanError, match="in a circle") as error:
        graph.topological_order(edges(one, two))
    assert {one.key, two.key} <= set(error.value.keys)


def test_running_parts_change_one_at_a_time_after_those_that_stand_still() -> None:
    def part(host: str) -> graph.Part:
        return graph.Part("p", host, (Unit(host=host, unit="u.service"), Ready(host=host, what="u", check=":")))

    a, b, c = part("a"), part("b"), part("c")
    tied = graph.edges([a, b, c], {"p": After()})
    graph.in_turn(tied, graph.Lane("p", strict=True), [[c]], [[a], [b]])
    ready = {host: Key(host, "ready", "u") for host in "abc"}
    assert ready["c"] in behind(tied.needs, Key("a", "unit", "u.service"))
    assert ready["a"] in behind(tied.needs, Key("b", "unit", "u.service"))
    assert behind(tied.needs, Key("c", "unit", "u.service")) == set()
    assert [key for key in graph.topological_order(tied.needs) if key not in tied.gates][-1] == ready["b"]


def test_the_order_does_not_depend_on_the_order_of_the_input() -> None:
    resources = [Directory(host="h", path="/a"), file("/a/b"), file("/a/c"), file("/z")]
    assert graph.topological_order(edges(*resources)) == graph.topological_order(edges(*reversed(resources)))


def test_the_next_host_waits_for_what_comes_after_the_proof() -> None:
    """keepalived follows its balancer's Ready: two of them must not change at once."""

    def part(host: str) -> graph.Part:
        resources = [Ready(host=host, what="nginx", check=":"), Unit(host=host, unit="keepalived.service")]
        return graph.Part("balancer", host, tuple(resources))

    first, second = part("lb01"), part("lb02")
    tied = graph.edges([first, second], {"balancer": After()})
    graph.in_turn(tied, graph.Lane("balancer", strict=True), [], [[first], [second]])
    assert all(
        Key("lb01", "unit", "keepalived.service") in behind(tied.needs, resource.key) for resource in second.resources
    )


@pytest.mark.parametrize(("version", "alone"), [("1.32", False), ("1.33", True), ("1.37", True)])
def test_one_api_server_goes_ahead_on_an_empty_cluster_where_several_race(version: str, alone: bool) -> None:
    begun = replace(context(cluster(THREE)), minor=table(version))
    nothing = {name: HostFacts(machine_id=name) for name in begun.facts.hosts}
    empty = replace(begun, established=None, former=(), facts=replace(begun.facts, hosts=nothing))
    compiled = compile_cluster(empty)
    ready, unit = Key("m1", "ready", "kube-apiserver"), "kube-apiserver.service"
    later = {name for name in ("m1", "m2", "m3") if ready in ancestors(compiled, Key(name, "unit", unit))}
    assert later == ({"m2", "m3"} if alone else set())
    # Their files do not wait, nor do they for each other.
    assert ready not in ancestors(compiled, Key("m2", "file", f"/etc/systemd/system/{unit}"))
    assert Key("m2", "ready", "kube-apiserver") not in ancestors(compiled, Key("m3", "unit", unit))
    # One that has run is none.
    assert ready not in ancestors(compile_cluster(replace(begun, facts=empty.facts)), Key("m2", "unit", unit))
