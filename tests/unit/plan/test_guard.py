"""What a plan may never do to a living cluster, and what etcd says of its members."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from past_clusters import THREE, E, L, M, W, cluster, context, ids, without

from quorate.component.context import Context
from quorate.core import PlanError
from quorate.execute.facts import members
from quorate.plan import guard
from quorate.spec.cluster import Network
from quorate.spec.facts import Facts, HostFacts, Member


def said(given: Context, machines: Mapping[str, str] | None = None) -> str:
    return "\n".join(str(each) for each in guard.refusals(given, machines or ids(given.cluster)))


def test_the_guard_lets_pass_what_is_safe() -> None:
    assert said(context(cluster(THREE))) == ""
    assert said(context(cluster({**without("m3"), "n1": (W, E)}), cluster(THREE))) == ""
    assert said(context(cluster(without("n2")), cluster(THREE), absent=frozenset({"n2"}))) == ""
    assert said(context(cluster(THREE), absent=frozenset({"m3"}))) == ""
    everything_off = replace(
        context(cluster(THREE)), facts=Facts({n: HostFacts(etcd_member=n[0] == "m") for n in THREE})
    )
    assert said(everything_off, {}) == ""
    grown = cluster(THREE, network=Network(pod_cidr=IPv4Network("10.244.0.0/15")))
    assert said(context(grown, cluster(THREE))) == ""


def test_the_guard_refuses() -> None:
    three = cluster(THREE)
    two_dead = said(context(three, absent=frozenset({"m2", "m3"})))
    assert "of its 3 members m2, m3 can't be reached" in two_dead
    assert "1 of the 2 needed" in two_dead
    fresh = said(context(cluster({"m4": (M, E), "n1": (W,), "b1": (L,)}), three))
    assert "no member of etcd stays" in fresh
    assert "no master stays" in fresh
    assert "its etcd data is gone" in said(context(three, empty=frozenset({"m1"})))
    assert "another machine" in said(context(three), ids(three) | {"n1": "other"})
    assert said(replace(context(three), replaced=frozenset({"n1"})), ids(three) | {"n1": "other"}) == ""
    moved = three.model_copy(
        update={"hosts": (three.hosts[0].model_copy(update={"address": IPv4Address("10.0.9.99")}), *three.hosts[1:])}
    )
    assert "address 10.0.9.11 -> 10.0.9.99" in said(context(moved, three))
    for changed in (
        cluster(THREE, network=Network(pod_cidr=IPv4Network("10.99.0.0/16"))),
        cluster(THREE, network=Network(service_cidr=IPv4Network("10.97.0.0/16"))),
    ):
        assert "can't change in a running cluster" in said(context(changed, three))
    with pytest.raises(PlanError, match="for the cluster's sake"):
        guard.check(context(three, absent=frozenset({"m2", "m3"})), {})


def test_notes() -> None:
    even = cluster(without("m3"))
    (note,) = guard.notes(context(even))
    assert note.startswith("2 etcd members survive the loss of 0")
    absent = list(guard.notes(context(cluster(without("n2")), cluster(THREE), absent=frozenset({"n2"}))))
    assert absent[0].startswith("n2 does not answer: it is forgotten")


def test_the_member_list_as_etcd_tells_it() -> None:
    text = (
        '{"header":{"cluster_id":"1"},"members":[{"ID":"1425620421340696270","name":"m1","peerURLs":'
        '["https://10.0.9.11:2380"],"clientURLs":["https://10.0.9.11:2379"]},'
        '{"ID":"10501334649042878790","peerURLs":["https://10.0.9.12:2380"],"isLearner":true}]}'
    )
    first, second = members(text)
    assert first == Member("13c8d2384e8e0ece", "m1", "https://10.0.9.11:2380")
    assert second == Member("91bc3c398fb3c146", "", "https://10.0.9.12:2380", True)
    for broken in ("", "{}", "null", '{"members":[{"ID":"x"}]}', "<html>"):
        assert members(broken) == ()
