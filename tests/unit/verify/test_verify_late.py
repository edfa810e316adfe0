"""What is late, and what is silent: workers after etcd was away, and second looks."""

import itertools

import pytest
from verify_door import Door, cluster, env
from verify_model import Model

from quorate.core import CommandFailed
from quorate.spec.cluster import Versions
from quorate.verify import following, pods, workload
from quorate.verify.check import Wrong
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
    monkeypatch.setattr(following, "PROMPT", 0.0)
    monkeypatch.setattr(following, "PATIENCE", 0.0)


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


@pytest.mark.parametrize(
    ("version", "silent", "said"),
    [
        (NEW, 0, "; 2 workers lead to it within 0 s"),
        (NEW, 1, "; w2 slow to know of a new service; 2 workers lead to it 0 s later"),
        (OLD, 0, f"{ANEW}; 2 workers lead to it within 0 s"),
        (OLD, 1, f"; w2 slow to know of a new service{ANEW}; 2 workers lead to it 0 s later"),
    ],
)
async def test_workers_follow(version: str, silent: int, said: str) -> None:
    model = Hosts(version, silent)
    assert await following.followed(env(Door(model), model.cluster)) == said
    assert model.restarted == (["m1"] if version == OLD else [])


async def test_a_watch_that_is_silent_begins_anew_where_it_may_be() -> None:
    model = Hosts(OLD, 9, cured=True)
    assert "w2 slow" in await following.followed(env(Door(model), model.cluster))


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_worker_that_never_follows_is_named(version: str) -> None:
    model = Hosts(version, 9)
    with pytest.raises(Wrong, match="from w2: a service made after that does not answer in 0 s"):
        await following.followed(env(Door(model), model.cluster))


@pytest.mark.parametrize("patience", [0.0, 5.0])
async def test_a_second_look_waits_for_what_is_late(patience: float) -> None:
    looks = itertools.count()

    @workload.settling
    async def late(_env: Env) -> str:
        if next(looks) < 2:
            raise Wrong("not yet")
        return "there"

    asked = late(Env(cluster(), Door(), "x", patience))
    if patience:
        assert await asked == "there"
    else:
        with pytest.raises(Wrong, match="not yet"):
            await asked
