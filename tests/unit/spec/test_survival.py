"""What is left of a cluster: single losses, cuts, addresses; and the same in words."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from quorate.spec import whatif
from quorate.spec.cluster import Cluster, Endpoint, Host, Role
from quorate.spec.load import load
from quorate.spec.losses import fatal, hosts_may_fail, may_fail, some, whole
from quorate.spec.outlook import outlook
from quorate.spec.survival import Part, Parts, Reads, after, between, parts

EXAMPLES = Path(__file__).parents[3] / "examples"
LETTERS = {"m": Role.CONTROL_PLANE, "e": Role.ETCD, "b": Role.LOAD_BALANCER, "w": Role.WORKER}


def example(name: str) -> Cluster:
    return load(EXAMPLES / f"{name}.yaml")


def cluster(roles: Sequence[str], endpoint: Endpoint | None = None) -> Cluster:
    """Hosts h1, h2 and so on, each with roles by their first letters; rules do not look at it."""
    hosts = tuple(
        Host(name=f"h{at}", address=IPv4Address(f"10.0.0.{at}"), roles=tuple(LETTERS[letter] for letter in letters))
        for at, letters in enumerate(roles, 1)
    )
    return Cluster(name="c", hosts=hosts, endpoint=endpoint or Endpoint(vip=IPv4Address("10.0.0.100")))


def lose(c: Cluster, *names: str) -> Parts:
    return frozenset[Part]().union(*(parts(c, c.host(name)) for name in names))


def two(c: Cluster) -> set[frozenset[str]]:
    return {frozenset(host.name for host in each) for loss in fatal(c, 2, whole(c)) for each in loss.sets()}


def test_described_survives_any_one_host_and_ten_of_fifteen_pairs() -> None:
    c = example("described")
    assert hosts_may_fail(c) == 1
    assert {role: may_fail(c, role) for role in Role} == dict.fromkeys(Role, 1)
    assert two(c) == {
        frozenset(pair)
        for pair in (
            ("master01", "master02"),
            ("master01", "node01"),
            ("master01", "node02"),
            ("node01", "node02"),
            ("nginx01", "nginx02"),
        )
    }
    assert str(whatif.pairs(c)).startswith("10 of 15 pairs are survived; not master01 with master02, nor master01 with")


def test_a_master_is_out_with_its_way_to_etcd_and_not_with_its_own_member() -> None:
    c = example("described")
    assert after(c, frozenset({Part("master01", "etcd")})).ready == ("master01", "master02")
    now = after(c, frozenset({Part("master01", "quorate-etcd")}))
    assert now.ok
    assert now.ready == ("master02",)
    told = {case.what: case.meaning for case in whatif.cases(c)}
    assert told["quorate-etcd on one host"] == "1 of 2 API servers serves on, the one beside it is left out"
    assert told["etcd on one host"] == "etcd keeps 2 of 3 members, no further one may fail"


def test_an_address_outside_is_the_users() -> None:
    c = cluster(["me", "me", "e", "w"], Endpoint(address="api.example.org"))
    assert whatif.weaknesses(c)[-1].startswith("api.example.org is yours")


def test_three_masters() -> None:
    c = example("three-masters")
    assert hosts_may_fail(c) == 1
    assert may_fail(c, Role.CONTROL_PLANE) == 2
    masters = {frozenset({one, other}) for one in "123" for other in "123" if one < other}
    assert two(c) == {frozenset({"node01", "node02"})} | {frozenset(f"master0{n}" for n in pair) for pair in masters}
    assert whatif.weaknesses(c) == []


def test_smallest_survives_nothing() -> None:
    c = example("smallest")
    assert hosts_may_fail(c) == 0
    assert outlook(c).text == "losing node01 would take the API away"
    assert not any(case.outcome.ok for case in whatif.cases(c))
    assert [each.partition(":")[0] for each in whatif.weaknesses(c)] == [
        "one etcd member only",
        "one master only",
        "one worker only",
    ]


def test_the_guide_says_how_many_hosts_it_takes() -> None:
    one = cluster(["meb", "meb", "ew", "w"])
    assert hosts_may_fail(one) == 1
    spread = cluster(["m", "m", "m", "e", "e", "e", "e", "e", "b", "b", "b", "w", "w", "w"])
    assert hosts_may_fail(spread) == 2
    assert hosts_may_fail(cluster(["meb", "meb", "meb", "ew", "ew", "w"])) == 2
    assert outlook(spread).text == "survives the loss of any 2 hosts"


def test_without_a_quorum_nothing_is_written_and_without_api_servers_nothing_read() -> None:
    c = example("described")
    no_quorum = after(c, lose(c, "node01", "node02"))
    assert (no_quorum.reads, no_quorum.writes, no_quorum.loops, no_quorum.pods) == (Reads.MEMORY, False, False, False)
    no_master = after(c, lose(c, "master01", "master02"))
    assert (no_master.reads, no_master.writes, no_master.loops, no_master.pods) == (Reads.NO, False, False, True)
    no_balancer = after(c, lose(c, "nginx01", "nginx02"))
    assert (no_balancer.reads, no_balancer.loops, no_balancer.pods) == (Reads.NO, True, True)


def test_control_loops_may_be_led_on_different_masters() -> None:
    c = example("described")
    split = frozenset({Part("master01", "kube-scheduler"), Part("master02", "kube-controller-manager")})
    assert after(c, split).ok
    none = after(c, split | {Part("master02", "kube-scheduler")})
    assert none.idle == ("kube-scheduler",)
    assert none.writes


def test_keepalived_is_needed_for_a_virtual_ip_alone() -> None:
    c = example("described")
    lost = frozenset({Part("nginx01", "keepalived"), Part("nginx02", "nginx")})
    assert after(c, lost).reads is Reads.NO
    outside = c.model_copy(update={"endpoint": Endpoint(address="api.example.org")})
    assert after(outside, frozenset({Part("nginx01", "keepalived")})).entry_points == ("nginx01", "nginx02")


@pytest.mark.parametrize(
    ("address", "spare"), [("10.0.0.4", 0), ("10.0.0.5", 0), ("10.0.0.77", 1), ("api.example.org", 1)]
)
def test_an_address_of_ones_own(address: str, spare: int) -> None:
    c = cluster(["me", "me", "e", "b", "b", "w", "w"], Endpoint(address=address))
    assert may_fail(c, Role.LOAD_BALANCER) == spare
    assert after(c, lose(c, "h4", "h5")).reads is Reads.NO
    told = "".join(whatif.weaknesses(c))
    assert ("not every balancer may fail" in told) is (spare == 0)
    assert (f"{address} is yours" in told) is (spare == 1)


def test_a_cut_between_balancers_counts_by_its_worst_case() -> None:
    assert after(example("described"), frozenset(), between(example("described").balancers)).ready == (
        "master01",
        "master02",
    )
    three = example("three-masters")
    at_worst = after(three, frozenset(), between(three.balancers))
    assert at_worst.ok
    assert len(at_worst.ready) == 3
    # Whoever does not reach etcd's leader holds the address too, and reaches etcd by the member between them.
    pair = cluster(["meb", "meb", "e", "w", "w"])
    assert after(pair, frozenset(), between(pair.balancers)).ready == ("h1", "h2")
    # Of two members that do not see each other, neither has a quorum, and nobody is between them.
    alone = cluster(["meb", "meb", "meb", "w", "w"])
    assert after(alone, frozenset()).ok
    assert after(alone, frozenset(), between(alone.balancers)).reads is Reads.MEMORY
    link = whatif.cases(alone)[-1]
    assert (link.what, link.verdict) == ("the link between the balancers", "fails")
    assert link.meaning == "no API server is left; pods that run go on"


def test_an_even_member_adds_nothing() -> None:
    for many in (3, 4):
        c = cluster(["mb", "mb", "w", "w", *["e"] * many])
        assert may_fail(c, Role.ETCD) == 1
    assert "4 etcd members survive the loss of 1, as 3 do: an even one adds nothing" in whatif.weaknesses(c)
    assert may_fail(cluster(["mb", "mb", "w", "w", "e", "e"]), Role.ETCD) == 0


def test_rows_for_a_report() -> None:
    rows = whatif.rows(example("described"))
    assert rows[0] == (
        "master01",
        "survives",
        "etcd keeps 2 of 3 members, no further one may fail; 1 of 2 API servers serves on",
    )
    assert rows[2][0] == "node01 or node02"
    assert rows[-1][:2] == ("any two hosts at once", "fails")
    assert {verdict for _, verdict, _ in rows[:-1]} == {"survives"}
    assert [verdict for _, verdict, _ in whatif.rows(example("smallest"))] == ["fails"] * 8


def test_five_hundred_workers_are_one_row() -> None:
    c = cluster(["meb", "meb", "e", *["w"] * 200])
    assert whatif.cases(c)[2].what == "1 of h4, h5, h6, h7 and 196 more"
    assert len(whatif.cases(c)[2].hosts) == 200
    assert may_fail(c, Role.WORKER) == 199
    assert whatif.pairs(c).all == 203 * 202 / 2


def test_hosts_in_words() -> None:
    assert some(["a"]) == "a"
    assert some(["a", "b", "c"]) == "a, b or c"
    assert some(["a", "b"], 2) == "a and b"
    assert some(["a", "b", "c"], 2) == "2 of a, b, c"


def test_the_outlook_counts_what_is_gone() -> None:
    c = example("described")
    assert outlook(c).text == "survives the loss of any one host"
    ahead = outlook(c, lose(c, "node01"))
    assert ahead.text == "node01 is away: losing master01 or node02 would stop writes"
    assert ahead.as_dict()["fatal"] == {"master01": "stop writes", "node02": "stop writes"}
    assert (ahead.ok, ahead.may_fail) == (True, 0)
    assert outlook(c, lose(c, "nginx01")).text == "nginx01 is away: losing nginx02 would take the API away"
    member = outlook(c, frozenset({Part("master01", "etcd")}))
    assert member.text == "master01 is without etcd: losing node01 or node02 would stop writes"
    broken = outlook(c, lose(c, "node01", "master01"))
    assert not broken.ok
    assert broken.text == (
        "not all works: etcd has 1 of 3 members and needs 2: nothing is written, "
        "API servers answer from memory at best; pods that run go on"
    )
    three = example("three-masters")
    idle = frozenset({Part("master01", "kube-scheduler"), Part("master02", "kube-scheduler")})
    assert outlook(three, idle).fatal == (("master03", "stop the control loops"),)
    assert outlook(three, lose(three, "node01")).text == "node01 is away: losing node02 would leave no worker"
