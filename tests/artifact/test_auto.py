"""`artifacts.source: auto`: the first source that can deliver all, what was used once before it; one line says why."""

from pathlib import Path
from typing import Any

import pytest

from quorate.artifact import debian, modules, release, resolve
from quorate.artifact.cache import Cache
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.spec.supply import Supply

EXAMPLE = Path(__file__).parents[2] / "examples/three-masters.yaml"
NAMES = ("release", "debian", "modules")


@pytest.fixture
def cluster() -> Cluster:
    return load(EXAMPLE)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Why each source can't deliver (empty: it can); `cached` in its place: it has been used before."""
    why = dict.fromkeys(NAMES, "no")

    def supply(name: str) -> Any:
        async def made(*_: object) -> Supply:
            return Supply(versions={"from": name})

        return made

    async def reachable(*_: object) -> str:
        return why["release"]

    async def lacks(*_: object) -> str:
        return why["debian"].replace("cached", "")

    monkeypatch.setattr(release, "recall", lambda *_: None)
    monkeypatch.setattr(release, "reachable", reachable)
    monkeypatch.setattr(release, "resolve_release", supply("release"))
    monkeypatch.setattr(debian, "lacks", lacks)
    monkeypatch.setattr(debian, "cached", lambda *_: why["debian"] == "cached")
    monkeypatch.setattr(debian, "resolve_debian", supply("debian"))
    monkeypatch.setattr(modules, "lacks", lambda *_: why["modules"].replace("cached", ""))
    monkeypatch.setattr(modules, "cached", lambda *_: why["modules"] == "cached")
    monkeypatch.setattr(modules, "resolve_modules", supply("modules"))
    return why


async def chosen(cluster: Cluster, tmp_path: Path, said: list[str]) -> str:
    found = await resolve._first(cluster, Cache(tmp_path), said.append, "amd64", None)
    return found.versions["from"]


@pytest.mark.parametrize("number", range(3))
async def test_the_first_that_can(cluster: Cluster, sources: dict[str, str], tmp_path: Path, number: int) -> None:
    for name in NAMES[number:]:
        sources[name] = ""
    for name in NAMES[:number]:
        sources[name] = f"{name} has no way"
    said: list[str] = []
    assert await chosen(cluster, tmp_path, said) == NAMES[number]
    (line,) = said
    assert line.startswith(f"source {NAMES[number]}: ")
    for name in NAMES[:number]:
        assert f"{name} has no way" in line


@pytest.mark.parametrize("name", ["debian", "modules"])
async def test_what_was_used_once_stays(cluster: Cluster, sources: dict[str, str], tmp_path: Path, name: str) -> None:
    sources["release"] = ""
    sources[name] = "cached"
    said: list[str] = []
    assert await chosen(cluster, tmp_path, said) == name
    assert not said


async def test_none_can(cluster: Cluster, sources: dict[str, str], tmp_path: Path) -> None:
    for name in NAMES:
        sources[name] = f"why {name} can't"
    with pytest.raises(ArtifactError) as caught:
        await chosen(cluster, tmp_path, [])
    for name in NAMES:
        assert f"why {name} can't" in str(caught.value)


def test_modules_say_what_they_can_not(cluster: Cluster) -> None:
    assert "1.20.2 is not built from modules" in modules.lacks(cluster, None)


async def test_debian_says_what_it_does_not_have(cluster: Cluster, tmp_path: Path) -> None:
    newer = cluster.versions.model_copy(update={"kubernetes": "1.36.3"})
    assert "1.20.2 alone" in await debian.lacks(newer, Cache(tmp_path), lambda _: None, "amd64")
