"""Histories that one order explains, and those that none does."""

import pytest

from quorate.drill.attribution import attributed
from quorate.drill.history import History, faults
from quorate.drill.record import Acknowledged, Event, Result, Stream, Try
from quorate.report.drill.report import Fault, Run


def told(history: History) -> list[tuple[int, str]]:
    return [(each.number, each.what) for each in faults(history)]


@pytest.mark.parametrize(
    "history",
    [
        History({}),
        History({1: 10, 2: 12, 3: 15}, events=[(1, 10), (2, 12), (3, 15)]),
        # 2 got no answer: it was done, or it was not.
        History({1: 10, 3: 15}, events=[(1, 10), (2, 12), (3, 15)]),
        History({1: 10, 3: 15}, events=[(1, 10), (3, 15)]),
        # The watch could not go on, and a list showed what it missed.
        History({1: 10, 2: 12, 3: 15}, events=[(1, 10), (2, 0), (3, 15)]),
        History({1: 10, 3: 15}, refused=[2]),
        # 99 got no answer, and was done when the way was free again; the writer was with the next ConfigMap by then.
        History({98: 10, 101: 15, 102: 16}, events=[(98, 10), (101, 15), (102, 16), (99, 17)]),
        History({98: 10, 101: 15, 103: 19}, events=[(98, 10), (101, 15), (102, 16), (99, 17), (103, 19)]),
    ],
)
def test_one_order_explains_it(history: History) -> None:
    assert faults(history) == []


@pytest.mark.parametrize(
    ("history", "number", "what"),
    [
        (History({1: 10, 2: 12}, lost=[1]), 1, "was confirmed, and was not there in the end"),
        (History({1: 10, 2: 12}, undone=[1]), 1, "was confirmed, and a later answer did not have it"),
        (History({1: 10, 2: 9}), 2, "comes before a number that is lower"),
        (History({1: 10, 2: 10}), 2, "comes before a number that is lower"),
        # A write that was given up, done later over a newer one.
        (History({1: 10, 3: 15}, events=[(1, 10), (3, 15), (2, 17)]), 2, "was shown after a later one"),
        # Two leaders: the watch hangs on another history than the answers.
        (History({1: 10, 2: 12}, events=[(1, 10), (2, 11)]), 2, "was confirmed as 12 and shown as 11"),
        (History({1: 10, 2: 12}, events=[(2, 12), (1, 10)]), 1, "was shown after a later one"),
        (History({1: 10, 2: 12}, events=[(1, 10), (1, 10)]), 1, "was shown after a later one"),
        (History({1: 10}, refused=[2], events=[(1, 10), (2, 12)]), 2, "was refused, and is there"),
        (History({1: 10}, refused=[2], events=[(1, 10), (2, 0)]), 2, "was refused, and is there"),
        # That holds for what nobody answered, and over newer ones nowhere.
        (History({98: 10, 99: 17, 101: 15}), 101, "comes before a number that is lower"),
        (History({98: 10, 101: 15}, events=[(101, 15), (98, 10)]), 98, "was shown after a later one"),
        (
            History({98: 10, 100: 12, 101: 15}, events=[(100, 12), (101, 15), (99, 17)]),
            99,
            "was shown after a later one",
        ),
        (History({98: 10, 101: 15}, events=[(98, 10), (101, 15), (99, 14)]), 99, "was shown after a later one"),
        # 2 was done at 20, though 3, which began when 2 had ended, is at 15.
        (History({1: 10, 3: 15}, events=[(1, 10), (2, 20)]), 3, "comes before a number that is lower"),
    ],
)
def test_no_order_explains_it(history: History, number: int, what: str) -> None:
    assert (number, what) in told(history)


def seen(*, lost: tuple[int, ...] = (), undone: tuple[int, ...] = (), events: tuple[Event, ...] = ()) -> Result:
    """Ten writes, one a second, all confirmed but the fourth, which is refused, and the sixth, without an answer."""
    words = {4: "http-409", 6: "unknown-timeout"}
    tries = tuple(Try(float(n), 0.1, n not in words, words.get(n, "")) for n in range(1, 11))
    acks = tuple(Acknowledged(n, n + 0.1, 100 + n) for n in range(1, 11) if n not in words)
    quiet = Stream((), 0, 11)
    return Result(0, 11, quiet, quiet, Stream(tries, 0, 11), quiet, acks, events, lost=lost, undone=undone)


def test_what_the_probe_saw_is_a_history() -> None:
    history = History.of(seen(events=(Event(1, 1.1, 101),)))
    assert history.refused == {4}
    assert history.acknowledged[10] == 110
    assert 6 not in history.acknowledged
    assert faults(history) == []
    assert told(History.of(seen(events=(Event(4, 4.2, 104),)))) == [(4, "was refused, and is there")]


def test_each_run_is_blamed_for_what_came_after_its_fault() -> None:
    def run(number: int) -> Run:
        return Run(number, 0, "m1", 1)

    tried = [Fault("a", "A", runs=[run(1), run(2)]), Fault("b", "B", runs=[run(1)]), Fault("c", "C", skipped="no")]
    moments = {("a", 1): 3.0, ("a", 2): 5.5, ("b", 1): 8.0}
    result = seen(lost=(1, 5, 10), undone=(7,), events=(Event(4, 4.2, 104),))
    a, b, c = attributed(tried, moments, result)
    assert [(one.lost, one.disorder) for one in (*a.runs, *b.runs)] == [(2, 1), (0, 1), (1, 0)]
    assert list(c.runs) == []
    assert [list(each.runs) for each in attributed(tried, {}, result)] == [list(each.runs) for each in tried]
