"""The probe's pure parts: the arithmetic of gaps and losses, answers as they arrive, orders as text."""

import pytest

from quorate.drill.answer import Broken
from quorate.drill.probe_config import Pace, ProbeConfig, Target
from quorate.drill.record import Acknowledged, Event, Result, Stream, Try
from quorate.drill.visit import Answer


def test_an_order_shows_no_keys_and_comes_back_as_it_was() -> None:
    order = ProbeConfig(Target("10.0.0.1", 6443, b"CA", b"CERT", b"KEY", "api.test"), Pace(new=0.02), keep=True)
    assert ProbeConfig.read(order.text()) == order
    assert "KEY" not in repr(order)
    assert Target("fd00::1", 6443, b"", b"", b"").authority == "[fd00::1]:6443"
    with pytest.raises(ValueError, match="above 0"):
        Pace(new=0)


def test_answers_are_read_however_they_arrive() -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    for text in (plain, chunked):
        for size in (1, 2, 7, len(text)):
            answer, body = Answer(), b""
            for at in range(0, len(text), size):
                assert not answer.done
                body += answer.feed(text[at : at + size])
            assert (answer.done, body) == (True, b"hello")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "answer"),
        (b"220 mail.test ESMTP\r\n\r\n", "answer"),
    ],
)
def test_an_answer_that_is_none_says_why(text: bytes, word: str) -> None:
    answer = Answer()
    if word == "cut":
        answer.feed(text)
        text = b""
    with pytest.raises(Broken, match=f"^{word}$"):
        answer.feed(text)


def stream(*ends: float, failed: tuple[float, ...] = (), until: float = 10.0) -> Stream:
    good = [Try(end - 0.1, 0.1, True) for end in ends]
    return Stream((*good, *(Try(end - 1.0, 1.0, False, "timeout") for end in failed)), 0.0, until)


def test_a_gap_runs_between_the_ends_of_successes_and_to_both_edges() -> None:
    assert stream(1, 2, 5, 9).longest_gap == pytest.approx(4)
    assert stream(5, 1, 2, 9, failed=(3, 4)).longest_gap == pytest.approx(4)
    assert stream(4, 5, 6).longest_gap == pytest.approx(4)
    assert stream(4, 4.5, 8).longest_gap == pytest.approx(4)
    assert stream(1, 2, 3).longest_gap == pytest.approx(7)
    assert stream(failed=(3,)).longest_gap == stream().longest_gap == 10
    # An answer that came after the end is none within it.
    assert stream(1, 2, 12).longest_gap == pytest.approx(8)


def test_a_window_has_the_tries_that_ended_in_it() -> None:
    one = stream(1, 2, 5, 9, failed=(3, 4)).window(1.5, 4)
    assert (one.total, one.failed, one.words) == (3, 2, {"timeout": 2})
    assert one.longest_gap == pytest.approx(2)
    assert str(one) == "2 of 3 failed (timeout 2), longest gap 2.00 s"


def test_writes_belong_to_a_window_with_their_events() -> None:
    acks = tuple(Acknowledged(number, float(number), 100 + number) for number in (1, 2, 3, 4))
    events = (Event(1, 0.9, 101), Event(2, 2.5, 102), Event(4, 4.1, 104))
    tries = (*(Try(at, 0.1, True) for at in (0.0, 0.05, 0.45, 0.5)), Try(2, 0.1, False, "unknown-timeout"))
    whole = Stream(tries, 0.0, 6.0)
    result = Result(0.0, 6.0, whole, whole, whole, whole, acks, events, (2.2,), (2, 4), (4,), {"cut": 2.0})
    assert (result.acknowledged, result.unknown, result.unseen) == (4, 1, (3,))
    assert result.longest_delay == 3.0
    assert result.disorder == 0
    assert result.longest_pause == pytest.approx(1.5)
    part = result.window(1.5, 2.4)
    assert (part.acknowledged, part.lost, part.undone, part.reopened) == (1, (2,), (), 1)
    assert part.longest_delay == 0.5
    assert part.marks == {"cut": 2.0}
    assert part.window(2.1, 2.2).longest_delay == 0


def test_versions_that_do_not_rise_are_counted_in_answers_and_in_events() -> None:
    empty = Stream((), 0.0, 1.0)
    acks = tuple(Acknowledged(at, 0.1, version) for at, version in enumerate((5, 6, 6, 9)))
    events = tuple(Event(at, 0.1, version) for at, version in enumerate((5, 4, 0, 9)))
    assert Result(0.0, 1.0, empty, empty, empty, empty, acks, events).disorder == 2
