"""What is late, and what is silent: workers after etcd was away, and second looks."""

import itertools

import pytest
from verify_door import Door, cluster, env
from verify_model import Model

from quorate.core import CommandFailed
from quorate.report.findings import Status, Verdict, failed, passed
from quorate.spec.cluster import Cluster, Versions
from quorate.verify import following, outage, pods
from quorate.verify.check import Check, examine
from quorate.verify.env import Env

pytestmark = pytest.mark.usefixtures("nothing_is_asked_from_here")
OLD, NEW = "1.26.3", "1.27.0"
ANEW = f"; API servers restarted, for {OLD} may leave watches without events after that"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods are there; a worker is asked for a moment, later once more."""

    async def grown(_env: Env) -> None:
        return None

    monkeypatch.setattr(pods, "grown", grown)
    monkeypatch.setattr(following, "WORKERS_KNOW_SOON_S", 0.0)
    monkeypatch.setattr(following, "WORKERS_KNOW_S", 0.0)


class Hosts(Model):
    """w2 does not know of the service for so many looks; with `cured`, until API servers begin anew."""

    def __init__(self, version: str, silent: int, *, cured: bool = False) -> None:
        self.cluster = cluster().model_copy(update={"versions": Versions(kubernetes=version)})
        super().__init__(self.cluster)
        self.silent = silent
        self.cured = cured
        self.restarted: list[str] = []

    def __call__(self, host: str, script: str) -> str:
        if "expose deployment" in script:
            return "10.0.0.9"
        if "restart kube-apiserver" in script:
            self.restarted.append(host)
            self.silent *= not self.cured
        if "http://10.0.0.9/" in script and host == "w2" and self.silent:
            self.silent -= 1
            raise CommandFailed("silent", host=host, code=7, stderr="")
        return super().__call__(host, script)


async def follow(model: Hosts) -> Verdict:
    return following.judge(model.cluster, await following.followed(env(Door(model), model.cluster)))


@pytest.mark.parametrize(
    ("version", "silent", "detail"),
    [
        (NEW, 0, "; 2 workers lead to it within 0 s"),
        (NEW, 1, "; w2 slow to know of a new service; 2 workers lead to it 0 s later"),
        (OLD, 0, f"{ANEW}; 2 workers lead to it within 0 s"),
        (OLD, 1, f"; w2 slow to know of a new service{ANEW}; 2 workers lead to it 0 s later"),
    ],
)
async def test_workers_follow(version: str, silent: int, detail: str) -> None:
    model = Hosts(version, silent)
    assert await follow(model) == passed(detail)
    assert model.restarted == (["m1"] if version == OLD else [])


async def test_a_watch_that_is_silent_begins_anew_where_it_may_be() -> None:
    model = Hosts(OLD, 9, cured=True)
    verdict = await follow(model)
    assert (verdict.status, "w2 slow" in verdict.detail) == (Status.PASSED, True)


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_worker_that_never_follows_is_named(version: str) -> None:
    verdict = await follow(Hosts(version, 9))
    assert verdict.status is Status.FAILED
    assert verdict.detail.startswith("from w2: a service made after that does not answer in 0 s; w2 slow to know")


async def test_nobody_waits_for_workers_where_an_api_server_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "RECOVERED_WITHIN_S", 0.0)
    model = Hosts(OLD, 9)
    model.spoil = lambda _host, _script, text: text.replace("kube-apiserver.service yes", "kube-apiserver.service no")
    assert await follow(model) == failed("0 s after the start: kube-apiserver on m1 is silent")
    assert model.silent == 8


@pytest.mark.parametrize(
    ("settles", "extra", "verdict"),
    [(True, 0.0, failed("not yet")), (False, 5.0, failed("not yet")), (True, 5.0, passed("there"))],
)
async def test_a_second_look_waits_for_what_is_late(settles: bool, extra: float, verdict: Verdict) -> None:
    looks = itertools.count()

    async def look(_env: Env) -> int:
        return next(looks)

    def judge(_cluster: Cluster, seen: int) -> Verdict:
        return passed("there") if seen >= 2 else failed("not yet")

    finding = await examine(Check("x", "x", look, judge, settles=settles), Env(cluster(), Door(), "x", extra))
    assert finding.verdict == verdict
    assert settles or next(looks) == 1
