"""What a run tells of owners, leaders and services, from what the watches have seen."""

import pytest

from quorate.drill.board import ETCD, LEASE, UNIT, VIP, Board, Topic
from quorate.drill.hostwatch import take
from quorate.drill.lanes import leader, one_owner, spans, takeovers, talks


def board(*seen: tuple[float, str, str]) -> Board:
    made = Board()
    for at, host, line in seen:
        take(made, host, line, at)
    return made


def test_lines_that_say_nothing_are_passed_over() -> None:
    made = board((0, "b1", "alive"), (0, "b1", ""), (0, "b1", "vip perhaps"), (0, "b1", "what is this"))
    assert [made.topics(kind) for kind in (VIP, ETCD, LEASE, UNIT)] == [[], [], [], []]


def test_the_same_again_is_no_change() -> None:
    made = board((1, "b1", "vip yes"), (2, "b1", "vip yes"), (3, "b1", "vip no"))
    found = list(made.stretches(Topic(VIP, "b1"), 1.5, 9))
    assert [(each.begin, each.end, each.value) for each in found] == [(1.5, 3, "yes"), (3, 9, "no")]
    assert made.now(Topic(VIP, "b1")) == "no"
    assert made.now(Topic(VIP, "b2")) == ""


@pytest.mark.parametrize(
    ("cut", "changes", "seconds"),
    [
        # Nothing happens.
        ((), [], 0.0),
        # The owner gives it up, the other takes it.
        ((), [(10.1, "b1", "vip no"), (10.3, "b2", "vip yes")], 0.3),
        # The owner is cut off, and keeps it for itself; it gives it up after the healing.
        (("b1",), [(10.4, "b2", "vip yes"), (13.2, "b1", "vip no")], 0.4),
        # The link is cut: both have it, until it is healed.
        ((), [(10.4, "b2", "vip yes"), (13.3, "b2", "vip no")], 3.3),
        # Both have it in the end.
        ((), [(10.4, "b2", "vip yes")], None),
        # It comes and goes: what counts is from when on it stayed.
        ((), [(10.1, "b1", "vip no"), (10.2, "b2", "vip yes"), (11, "b1", "vip yes"), (11.5, "b1", "vip no")], 1.5),
        # Nobody has it.
        ((), [(10.1, "b1", "vip no")], None),
    ],
)
def test_seconds_until_there_is_one_owner(
    cut: tuple[str, ...], changes: list[tuple[float, str, str]], seconds: float | None
) -> None:
    made = board((0, "b1", "vip yes"), (0, "b2", "vip no"), *changes)
    found = one_owner(made, ["b1", "b2"], cut, (10, 13, 15))
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("heard", "seconds"),
    [
        # It never stops, and what comes in the very moment of the fault proves nothing.
        ([9, 10.1, 10.8, 12, 15], 0.8),
        # It has nothing to say for a while, as always.
        ([9, 14.5, 19], 4.5),
        # Its connection hangs: right after the fault something still came.
        ([9, 10.6, 18.4, 19], 8.4),
        # It hangs later, by another host's doing.
        ([11, 12, 20, 22], 10),
        # It has not come again yet.
        ([8, 9, 10.2], None),
    ],
)
def test_seconds_until_a_kubelet_hears_the_api_for_good(heard: list[float], seconds: float | None) -> None:
    made = board((0, "w1", "alive 0"), *((at, "w1", f"heard {at * 100:.0f}") for at in heard))
    found = talks(made, ["w2"], since=10.5, fault=10, silence=7)
    assert found == {"w1": None if seconds is None else pytest.approx(seconds)}
    assert talks(made, ["w1"], since=10.5, fault=10, silence=7) == {}


def test_what_a_kubelet_heard_counts_when_it_was_heard_not_when_it_is_told() -> None:
    # The host booted 100 s before our clock began; its line stands still from 11 to 14.
    made = board(
        (9.0, "w1", "heard 10880"),
        (9.02, "w1", "alive 10900"),
        (10.3, "w1", "alive 11000"),
        (14.0, "w1", "alive 11100"),
        (14.0, "w1", "heard 11160"),
        (14.0, "w1", "heard 11380"),
        (14.1, "w1", "heard what"),
        (14.1, "w2", "heard 3"),
    )
    assert made.heard("w1") == pytest.approx([8.82, 11.62, 13.82])
    assert made.kubelets == ["w1"]


MEMBERS = [(0.0, "m1", "etcd 11 11"), (0.0, "m2", "etcd 22 11"), (0.0, "m3", "etcd 33 11")]


def test_the_leader_is_whom_most_of_those_follow_that_can_be_reached() -> None:
    lost = [(10.5, "m2", "etcd 22 0"), (10.6, "m3", "etcd 33 0"), (10.9, "m3", "etcd 33 22"), (11, "m2", "etcd 22 22")]
    made = board(*MEMBERS, *lost)
    found = leader(made, ("m1",), 9, 12)
    assert [(each.begin, each.value) for each in found] == [(9, "m1"), (10.5, "nobody"), (11, "m2")]
    assert takeovers(made, ("m1",), 10, 12) == {"etcd": pytest.approx(1.0)}
    # For those who ask all three, the old one leads until two follow the new one.
    assert [each.value for each in leader(made, (), 9, 12)] == ["m1", "nobody", "m2"]


def test_a_leader_that_comes_back_is_no_takeover() -> None:
    made = board(*MEMBERS, (10.2, "m1", "etcd - -"), (10.8, "m1", "etcd 11 11"))
    assert takeovers(made, (), 10, 12) == {}


def test_whoever_begins_anew_is_another_leader() -> None:
    made = board((0, "m1", "name machine-1"))
    lease = Topic(LEASE, name="kube-scheduler")
    made.note(lease, 0, "machine-1_a")
    made.note(lease, 12, "machine-1_b")
    made.note(Topic(LEASE, name="kube-controller-manager"), 0, "m2_x")
    assert takeovers(made, (), 10, 15) == {"kube-scheduler": 2}
    assert takeovers(made, (), 13, 15) == {}
    found = [(span.lane, span.begin, span.end, span.label) for span in spans(made, (), 10, 15)]
    assert found == [
        ("kube-controller-manager leader", -1, 5, "m2"),
        ("kube-scheduler leader", -1, 2, "m1"),
        ("kube-scheduler leader", 2, 5, "m1"),
    ]


def test_services_are_shown_where_something_became_of_them() -> None:
    made = board(
        (0, "b1", "unit nginx.service running 100"),
        (0, "b1", "unit keepalived.service running 200"),
        (10.1, "b1", "unit nginx.service down"),
        (10.7, "b1", "unit nginx.service running 300"),
        (0, "b1", "vip yes"),
        (0, "b2", "vip no"),
    )
    found = [(span.lane, span.begin, span.end, span.label) for span in spans(made, (), 10, 12)]
    assert found == [
        ("nginx on b1", -1, 0.1, "running"),
        ("nginx on b1", 0.1, 0.7, "down"),
        ("nginx on b1", 0.7, 2, "running"),
        ("virtual IP", -1, 2, "b1"),
    ]
