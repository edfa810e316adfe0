"""Programs that are not the version that they are taken for."""

import asyncio
from pathlib import Path

import pytest

from quorate.artifact import claims
from quorate.artifact.cache import Cache
from quorate.core import ArtifactError
from quorate.spec.supply import Supply


def supply(cache: Cache, folder: Path, **programs: str) -> Supply:
    """A supply of scripts that say something; names have `_` for `-`."""
    files = {}
    for name, text in programs.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        files[path.name] = path
    blobs = asyncio.run(cache.add(files))
    parts = {"kubernetes": tuple(name for name in blobs if name.startswith("kube"))}
    parts |= {"etcd": tuple(name for name in blobs if name.startswith("etcd"))}
    return Supply(versions={"kubernetes": "1.37.2", "etcd": "3.7.3"}, binaries=blobs, parts=parts)


def prove(found: Supply, cache: Cache, asked: dict[str, str] | None = None, arch: str = "amd64") -> None:
    asyncio.run(claims.prove(found, asked or {}, cache, arch))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_the_right_one_passes_and_is_asked_once(cache: Cache, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    found = supply(cache, tmp_path, kubelet=f"echo x >> {asked}; echo Kubernetes v1.37.2 go1.26.8")
    prove(found, cache)
    prove(found, cache)
    assert asked.read_text() == "x\n"


def test_each_wrong_one_is_named_with_what_it_says(cache: Cache, tmp_path: Path) -> None:
    found = supply(
        cache,
        tmp_path,
        kubelet="echo Kubernetes v1.36.3",
        kube_proxy="echo Kubernetes v1.37.2",
        etcd="echo etcd 3.6.14",
    )
    with pytest.raises(ArtifactError) as caught:
        prove(found, cache)
    assert "kubelet says 1.36.3, not 1.37.2" in str(caught.value)
    assert "etcd says 3.6.14, not 3.7.3" in str(caught.value)
    assert "kube-proxy" not in str(caught.value)


def test_the_cluster_file_counts_before_the_sources_own_word(cache: Cache, tmp_path: Path) -> None:
    found = supply(cache, tmp_path, kubelet="echo Kubernetes v1.37.2")
    with pytest.raises(ArtifactError, match=r"kubelet says 1\.37\.2, not 1\.37\.3"):
        prove(found, cache, {"kubernetes": "1.37.3"})


@pytest.mark.parametrize("text", ["exit 1", "kill -9 $$", "echo hello", "echo v1.37"])
def test_one_that_tells_nothing_is_refused(cache: Cache, tmp_path: Path, text: str) -> None:
    with pytest.raises(ArtifactError, match="kubelet says nothing"):
        prove(supply(cache, tmp_path, kubelet=text), cache)


def test_a_longer_number_is_another_version(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="kubelet says"):
        prove(supply(cache, tmp_path, kubelet="echo Kubernetes v1.37.20"), cache)


def test_for_another_processor_the_version_must_be_in_the_program(cache: Cache, tmp_path: Path) -> None:
    good = supply(cache, tmp_path, kubelet="v1.37.2")
    prove(good, cache, arch="s390x")
    with pytest.raises(ArtifactError, match=r"kubelet does not mention 1\.37\.9"):
        prove(good, cache, {"kubernetes": "1.37.9"}, arch="s390x")


@pytest.mark.parametrize("said", ["1.37.2-rc.1", "1.37.2-alpha.0.12+abc", "1.37.2-beta.2"])
def test_what_comes_before_a_release_is_not_the_release(cache: Cache, tmp_path: Path, said: str) -> None:
    with pytest.raises(ArtifactError, match=r"kubelet says 1\.37\.2-(rc|alpha|beta)"):
        prove(supply(cache, tmp_path, kubelet=f"echo Kubernetes v{said}"), cache)


@pytest.mark.parametrize("said", ["1.37.2", "1.37.2-0ubuntu1", "1.37.2+really1.2.3", "1.37.2-dirty"])
def test_what_a_distribution_adds_does_not_matter(cache: Cache, tmp_path: Path, said: str) -> None:
    prove(supply(cache, tmp_path, kubelet=f"echo Kubernetes v{said}"), cache)
