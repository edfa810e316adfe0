"""Windows of what the probe reports: they hold what came in their time, whatever else there is."""

from random import Random

from quorate.drill.record import Result
from quorate.drill.recorder import STREAMS, Recorder


def recorder(seed: int) -> Recorder:
    """Some thousand lines in the order in which what they tell of ended, from 1000 on."""
    rng, made = Random(seed), Recorder()
    made.take("begin", 1000.0)
    at, number = 1000.0, 0
    for _ in range(4000):
        at += rng.choice([0.0, 0.001, 0.01, 0.2])
        seconds = rng.choice([0.001, 0.1, 1.0])
        made.take("try", rng.choice(STREAMS), at - seconds, seconds, rng.choice(["", "", "timeout"]))
        if rng.random() < 0.3:
            number += 1
            made.take("acknowledged", number, at, number)
            made.take("event", number, at, number)
    made.take("lost", 3)
    made.take("end", at)
    return made


def test_a_window_has_what_the_same_window_of_all_has() -> None:
    for seed in range(3):
        made = recorder(seed)
        whole: Result = made.result()
        for begin, end in ((0.0, 5.0), (7.3, 7.3), (50.0, 61.5), (90.0, 9999.0), (-5.0, 1.0)):
            wanted, found = whole.window(begin, end), made.window(1000 + begin, 1000 + end)
            for stream in STREAMS:
                one, other = getattr(found, stream), getattr(wanted, stream)
                assert (one.total, one.failed, one.words) == (other.total, other.failed, other.words)
                assert abs(one.longest_gap - other.longest_gap) < 1e-6
            assert [each.number for each in found.acks] == [each.number for each in wanted.acks]
            assert {each.number for each in found.events} >= {each.number for each in wanted.events}


def test_the_whole_has_what_came_after_its_end() -> None:
    made = Recorder()
    made.take("begin", 1000.0)
    made.take("end", 1001.0)
    made.take("try", "writes", 1000.9, 0.3, "")
    made.take("acknowledged", 1, 1001.2, 5)
    made.take("event", 1, 1001.3, 5)
    found = made.result()
    assert (found.end, found.acknowledged, found.unseen, found.writes.total) == (1.0, 1, (), 1)
