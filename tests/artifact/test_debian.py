"""The source `debian`: what it refuses, and on a machine with root the real thing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.artifact.binary import REQUIRED
from quorate.artifact.cache import Cache, unpacked
from quorate.artifact.debian import TEST_IMAGE, kubernetes_key, packages_key
from quorate.artifact.debs import Debs
from quorate.artifact.resolve import resolve
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster

Make = Callable[..., Cluster]


def said(*argv: Path | str) -> str:
    """The output of a command."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_a_kubernetes_that_debian_lacks_is_refused(cluster: Make, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        await resolve(cluster(source="debian", versions={"kubernetes": "1.36.0"}), print, cache=tmp_path)
    assert str(caught.value) == "Debian has Kubernetes 1.20.2, not 1.36.0"
    assert "1.20.2" in caught.value.hint


async def test_another_processor_is_refused(cluster: Make, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is for this machine's architecture"):
        await resolve(cluster(source="debian"), print, cache=tmp_path, arch="riscv64")


@pytest.mark.lab
async def test_the_real_thing(cluster: Make, tmp_path: Path) -> None:
    """Builds if the cache is cold: minutes."""
    given = cluster("docker", versions={"kubernetes": "1.20.2"}, source="debian", packages="bundle")
    supply = await resolve(given, print)
    for part, names in REQUIRED.items():
        assert set(names) <= set(supply.parts[part])
    for name in ("kubelet", "etcd", "runc", "bridge"):
        path = tmp_path / name
        with path.open("wb") as file:
            file.writelines(unpacked(supply.binaries[name]))
        path.chmod(0o755)
    assert said(tmp_path / "kubelet", "--version") == "Kubernetes v1.20.2\n"
    assert supply.versions["etcd"] in said(tmp_path / "etcd", "--version")
    for names in supply.libraries.values():
        assert set(names) <= set(supply.packages)
    nginx = {file.name for file in supply.packages["libnginx-mod-stream"]}
    assert {"nginx-common", "libnginx-mod-stream"} <= nginx
    assert TEST_IMAGE in supply.images
    assert supply.pause_image in supply.images
    with pytest.raises(ArtifactError, match=r"Debian has etcd 3\.4\.23, not 3\.5\.0"):
        await resolve(cluster(versions={"kubernetes": "1.20.2", "etcd": "3.5.0"}, source="debian"), print)


async def test_a_build_that_fails_leaves_nothing(
    cluster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(_root: Path, work: Path, _say: object) -> dict[str, Path]:
        (work / "kubelet").write_bytes(b"half")
        raise ArtifactError("broke off")

    def debs(_root: Path, _work: Path, _say: object) -> Debs:
        return Debs({}, {}, {}, {}, {}, {})

    def image(work: Path, *_: object) -> Path:
        (work / "image.tar").write_bytes(b"image")
        return work / "image.tar"

    def root(*_: object) -> Path:
        return tmp_path

    monkeypatch.setattr("quorate.artifact.kubernetes.build", build)
    monkeypatch.setattr("quorate.artifact.debs.fetch_debs", debs)
    monkeypatch.setattr("quorate.artifact.image.build_image", image)
    monkeypatch.setattr("quorate.artifact.debian.ensure_root", root)
    monkeypatch.setattr("quorate.artifact.debian.ensure_tools", root)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(ArtifactError, match="broke off"):
        await resolve(cluster(versions={"kubernetes": "1.20.2"}, source="debian"), print, cache=tmp_path)
    cache = Cache(tmp_path)
    assert cache.find(kubernetes_key("amd64")) is None
    assert cache.find(packages_key("amd64")) is not None
    assert not list(cache.partial.glob("scratch-*"))
