"""One writer: who changes the cluster holds its lock, who finds it held is told by whom, who only looks needs none."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_hosts import Hosts

from quorate.cli import output
from quorate.cli.output import Output
from quorate.state.holder import Holder
from quorate.verify import check, outage, runner, vip

Quorate = Callable[..., tuple[int, str, str]]
OTHER = replace(Holder.here("destroy"), token="0" * 32, who="ann@laptop", pid=4711, place="there")
WRITERS = [
    ("apply", "--yes"),
    ("destroy", "--yes", "tiny"),
    ("verify", "--disruptive", "--yes"),
    ("defrag", "--yes"),
]


@pytest.fixture(autouse=True)
def nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """These hosts say nothing, so every check fails: no second look will find more."""
    monkeypatch.setattr(runner, "SECOND_LOOK_EXTRA_S", 0.0)
    monkeypatch.setattr(check, "NETWORK_SETTLES_S", 0.0)
    monkeypatch.setattr(outage, "HEALTHY_WITHIN_S", 0.0)
    monkeypatch.setattr(vip, "VIP_ARRIVES_S", 0.0)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written here has been typed at the terminal."""
    master, slave = os.openpty()
    with os.fdopen(slave) as stdin, os.fdopen(master, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(output, "interactive", lambda: True)
        yield master
        monkeypatch.undo()


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_second_one_is_refused(quorate: Quorate, hosts: Hosts, tmp_path: Path, words: tuple[str, ...]) -> None:
    hosts.holder = OTHER.record
    code, _, err = quorate(*words)
    assert code == 10
    assert err.splitlines()[0] == (
        "error: locked by ann@laptop, pid 4711, destroy for 75 s, last sign of life on master01 3 s ago"
    )
    assert "--break-lock" in err.splitlines()[1]
    assert hosts.scripts == []
    assert hosts.took == []
    assert hosts.closed
    assert not (tmp_path / ".quorate").exists()
    code, out, _ = quorate(*words, "--json")
    assert code == 10
    assert json.loads(out)["error"]["class"] == "LockHeld"


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_the_lock_is_taken_before_anything_else_is_done(quorate: Quorate, hosts: Hosts, words: tuple[str, ...]) -> None:
    first: list[list[str]] = []
    hosts.acts = lambda _host, _script: first.append([*hosts.took]) or ""
    quorate(*words)
    assert first[0] == hosts.took == ["master01", "node01"]


def test_nothing_is_stopped_without_a_yes(quorate: Quorate, hosts: Hosts) -> None:
    code, _, err = quorate("verify", "--disruptive")
    assert code == 1
    assert "add --yes" in err
    assert hosts.scripts == []


def test_who_only_looks_needs_no_lock(quorate: Quorate, hosts: Hosts) -> None:
    hosts.holder = OTHER.record
    assert quorate("plan")[0] == 2
    quorate("status")
    assert hosts.took == []


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_it_can_be_broken(quorate: Quorate, hosts: Hosts, words: tuple[str, ...]) -> None:
    hosts.holder = OTHER.record
    assert quorate(*words, "--break-lock")[0] != 10
    assert hosts.took == ["master01", "node01"]


@pytest.mark.parametrize(("typed", "code"), [("yes\n\n", 1), ("Y\n\x04", 1), ("no\n", 10), ("\n", 10), ("\x04", 10)])
def test_breaking_asks_first(quorate: Quorate, hosts: Hosts, keyboard: int, typed: str, code: int) -> None:
    """A yes takes the lock; the plan then is a question of its own, which stays without a yes here."""
    hosts.holder = OTHER.record
    os.write(keyboard, typed.encode())
    said = quorate("apply", "--break-lock")
    assert said[0] == code
    assert "locked by ann@laptop, pid 4711" in said[1]
    assert ("not applied: there was no yes" in said[2]) is (code == 1)
    assert bool(hosts.took) is (code == 1)


async def test_the_lease_is_renewed_while_somebody_thinks(keyboard: int) -> None:
    """A question does not stop the loop in which signs of life are given."""

    async def answer() -> None:
        await asyncio.sleep(0.1)
        os.write(keyboard, b"yes\n")

    async with asyncio.timeout(5):
        confirmed, _ = await asyncio.gather(Output().confirmed("Really?"), answer())
    assert confirmed
