"""A worker that is back on what it ran takes pods again; one of which nobody knows that does not."""

import pytest
from test_around import plan
from test_who_waits import workers

from quorate.core import Key, TransportError
from quorate.execute.given_back import give_back
from quorate.execute.outcome import Outcome
from quorate.render.fallback import BACK, SILENT
from quorate.report.event import Event, Said
from quorate.transport.local import LocalTransport

READY, PROXY = Key("n2", "ready", "node"), Key("n2", "file", "/etc/kubernetes/kube-proxy.yaml")
UNCORDONED = Key("m1", "uncordoned", "n2")
NOT_HELD = f"it did not hold, and {BACK}:\ndid not answer within 120 s"


class Hosts(LocalTransport):
    def __init__(self, lost: bool = False) -> None:
        super().__init__()
        self.lost, self.asked = lost, list[tuple[str, str]]()

    async def run(self, host: str, script: str, **_more: object) -> str:
        self.asked.append((host, script))
        if self.lost:
            raise TransportError("no route", host=host)
        return ""


async def told(hosts: Hosts, failed: dict[Key, str], **rollout: object) -> list[str]:
    """What is said after a run in which that failed on n2, and its node was left cordoned for it."""
    changes = plan(workers(3, drain=True, **rollout), lambda key: key.host == "n2")
    assert UNCORDONED in changes.steps
    outcome, said = Outcome(failed=failed, skipped={UNCORDONED: next(iter(failed))}), list[Event]()
    await give_back(changes, outcome, hosts, said.append)
    return [event.text for event in said if isinstance(event, Said)]


async def test_it_takes_pods_again() -> None:
    hosts = Hosts()
    assert await told(hosts, {READY: NOT_HELD}) == ["node n2 takes pods again, on what it ran before"]
    ((host, script),) = hosts.asked
    assert host == "m1"
    assert "uncordon" in script


@pytest.mark.parametrize(
    "failed",
    [{READY: f"it did not hold, and {SILENT}:"}, {READY: "exit code 1"}, {READY: NOT_HELD, PROXY: "no room"}],
    ids=["does not answer", "was not put back", "half of it was"],
)
async def test_it_stays_cordoned(failed: dict[Key, str]) -> None:
    hosts = Hosts()
    assert await told(hosts, failed) == []
    assert hosts.asked == []


async def test_the_sites_own_word_is_not_passed_over() -> None:
    hosts = Hosts()
    assert await told(hosts, {READY: NOT_HELD}, before_uncordon="/usr/local/sbin/check") == []
    assert hosts.asked == []


async def test_one_that_can_not_be_uncordoned_is_told() -> None:
    (said,) = await told(Hosts(lost=True), {READY: NOT_HELD})
    assert said == "node n2 is still cordoned: m1: no route"


async def test_others_are_not_touched() -> None:
    changes = plan(workers(3, drain=True), lambda key: key.host in ("n2", "n3"))
    hosts, kept = Hosts(), Key("m1", "uncordoned", "n3")
    outcome = Outcome(failed={READY: NOT_HELD}, skipped={kept: READY})
    await give_back(changes, outcome, hosts, lambda _event: None)
    assert hosts.asked == []
