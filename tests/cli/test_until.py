"""`--until`: times that are understood, and those that are refused by name."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from fake_hosts import Hosts

from quorate.cli.apply import _exit_code
from quorate.cli.until import moment, window
from quorate.core import UsageError
from quorate.report.event import Ended

Quorate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock is that of a place with summer time."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOW = datetime(2026, 10, 24, 23, 40, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("23:41", "2026-10-24T23:41:00+02:00"),
        ("23:40", "2026-10-25T23:40:00+01:00"),
        ("04:00", "2026-10-25T04:00:00+01:00"),
        ("4:00", "2026-10-25T04:00:00+01:00"),
        ("2026-10-25T04:00:00Z", "2026-10-25T04:00:00+00:00"),
        ("2026-12-24T04:00:00+01:00", "2026-12-24T04:00:00+01:00"),
        ("2026-12-24 04:00+01:00", "2026-12-24T04:00:00+01:00"),
    ],
)
def test_times(text: str, meant: str) -> None:
    """The next one by the clock of this machine, or one with its zone; one night has 25 hours."""
    assert moment(text, NOW).isoformat() == meant


@pytest.mark.parametrize(
    ("text", "why", "fix"),
    [
        ("soon", "--until soon: is no time", "--until 04:00"),
        ("24:00", "hours go to 23", "--until 04:00"),
        ("04:60", "minutes to 59", "--until 04:00"),
        ("2026-12-24", "is a day, and no time", "2026-12-24T04:00:00+01:00"),
        ("2026-13-24T04:00:00Z", "is no time", "2026-12-24T04:00:00+01:00"),
        ("2026-12-24T04:00:00", "does not say of which zone", "2026-12-24T04:00:00+02:00"),
        ("2026-10-24T21:40:00Z", "is over, it is 2026-10-24T23:40:00+02:00", "--until 04:00"),
    ],
)
def test_what_is_refused(text: str, why: str, fix: str) -> None:
    with pytest.raises(UsageError) as refused:
        moment(text, NOW)
    assert refused.value.message.startswith(f"--until {text}: ")
    assert why in refused.value.message
    assert fix in refused.value.hint


def test_without_one_there_is_no_end() -> None:
    assert window("") is None
    asked = window("04:00", lambda: NOW)
    assert asked
    assert asked.until > NOW


def test_a_wrong_time_touches_no_host(quorate: Quorate, hosts: Hosts, file: object) -> None:
    code, _, err = quorate("apply", "--yes", "--until", "soon")
    assert (code, hosts.scripts) == (64, [])
    assert "--until soon: is no time" in err


@pytest.mark.usefixtures("file")
def test_a_plan_tells_until_when(quorate: Quorate, hosts: Hosts) -> None:
    _, out, _ = quorate("apply", "--yes", "--until", "2099-12-24T04:00:00Z")
    assert "nothing begins that would not end by 2099-12-24 04:00+00:00" in out
    assert hosts.scripts


def test_postponed_is_neither_done_nor_failed() -> None:
    ended = Ended(
        ok=False, changed=3, unchanged=0, failed=0, skipped=0, stopped=False, seconds=1, postponed=("n2 (node)",)
    )
    assert (ended.word, _exit_code(ended, away=False), _exit_code(ended, away=True)) == ("postponed", 75, 75)
    for more, word, code in (({"failed": 1}, "failed", 7), ({"stopped": True}, "stopped", 130)):
        other = replace(ended, **more)
        assert (other.word, _exit_code(other, away=False)) == (word, code)
