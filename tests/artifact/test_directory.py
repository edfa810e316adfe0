"""The source `directory`, with each thing that can be wrong with a folder, and the way there and back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import image
from small_upstream import elf, resum

from quorate.artifact.binary import REQUIRED
from quorate.artifact.cache import Cache
from quorate.artifact.export import export, listing
from quorate.artifact.resolve import resolve
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.supply import PackageFile, Supply

Make = Callable[..., Cluster]


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def carried(cluster: Make, folder: Path) -> Cluster:
    """A cluster that takes everything from the folder."""
    return cluster(source="directory", directory=str(folder))


async def refused(cluster: Cluster, cache: Path) -> str:
    """The text of the error of a resolve that must fail."""
    with pytest.raises(ArtifactError) as caught:
        await resolve(cluster, quiet, cache=cache)
    assert caught.value.hint
    return str(caught.value)


async def test_a_good_folder(carried: Cluster, tmp_path: Path) -> None:
    supply = await resolve(carried, quiet, cache=tmp_path / "cache")
    assert set(supply.binaries) == {name for part in REQUIRED if part != "docker" for name in REQUIRED[part]}
    assert supply.versions["kubernetes"] == "1.20.2"
    said: list[str] = []
    assert await resolve(carried, said.append, cache=tmp_path / "cache") == supply
    assert said == []


async def test_a_readme_beside_the_binaries_is_no_binary(carried: Cluster, folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("hello")
    resum(folder)
    assert "README.md" not in (await resolve(carried, quiet, cache=tmp_path / "cache")).binaries


async def test_all_faults_are_told_at_once(carried: Cluster, folder: Path, tmp_path: Path) -> None:
    (folder / "etcd").unlink()
    (folder / "kubelet").write_bytes(elf("another"))
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    (folder / "SHA256SUMS").write_text(
        "".join(f"{line}\n" for line in lines if not line.endswith(("  runc", "  bridge")))
    )
    (folder / "bridge").unlink()
    (folder / "packages").mkdir()
    (folder / "packages/nginx_1_amd64.deb").write_bytes(b"x")
    text = await refused(carried, tmp_path / "cache")
    for told in (
        "etcd: listed in SHA256SUMS, but missing",
        "kubelet: expected SHA-256",
        "runc: has no line in SHA256SUMS",
        "bridge: missing",
        "packages/nginx_1_amd64.deb: has no line in SHA256SUMS",
    ):
        assert told in text


async def test_a_binary_for_another_processor(carried: Cluster, folder: Path, tmp_path: Path) -> None:
    (folder / "kubelet").write_bytes(elf("kubelet", machine=183))
    resum(folder)
    assert "kubelet: expected a binary for amd64, got one for arm64" in await refused(carried, tmp_path / "cache")


async def test_a_change_after_the_first_look_is_noticed(carried: Cluster, folder: Path, tmp_path: Path) -> None:
    await resolve(carried, quiet, cache=tmp_path / "cache")
    (folder / "kubelet").write_bytes(elf("another"))
    assert "kubelet: expected SHA-256" in await refused(carried, tmp_path / "cache")


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 64}  ../etc/passwd", f"{'0' * 64}  /etc/passwd"])
async def test_a_line_that_is_no_checksum(carried: Cluster, folder: Path, tmp_path: Path, line: str) -> None:
    (folder / "SHA256SUMS").write_text(line + "\n")
    assert "SHA256SUMS:1: expected" in await refused(carried, tmp_path / "cache")


async def test_no_sums_at_all(carried: Cluster, folder: Path, tmp_path: Path) -> None:
    (folder / "SHA256SUMS").unlink()
    assert "No such file" in await refused(carried, tmp_path / "cache")


async def test_docker_needs_dockers_binaries(cluster: Make, folder: Path, tmp_path: Path) -> None:
    text = await refused(cluster("docker", source="directory", directory=str(folder)), tmp_path / "cache")
    assert "dockerd: missing" in text


async def test_there_and_back(cluster: Make, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    source = await resolve(cluster(source="directory", directory=str(folder)), quiet, cache=cache)
    debs = {}
    for name in ("nginx_1.22-1_amd64.deb", "libpcre_1%3a8_amd64.deb"):
        (tmp_path / name).write_bytes(name.encode() * 100)
        debs[name] = tmp_path / name
    blobs = await Cache(cache).add(debs)
    nginx = PackageFile("nginx", "1.22-1", "nginx_1.22-1_amd64.deb", blobs["nginx_1.22-1_amd64.deb"])
    pcre = PackageFile("libpcre", "1:8", "libpcre_1%3a8_amd64.deb", blobs["libpcre_1%3a8_amd64.deb"])
    archive = image(tmp_path / "i.tar", "docker.io/library/busybox:1.36", "quorate.local/pause:3.2")
    names = {"coredns": "quorate.local/coredns:1", "metrics": "quorate.local/metrics-server:1"}
    pods = {name: image(tmp_path / f"{name}.tar", tag) for name, tag in names.items()}
    stored = await Cache(cache).add({"i": archive, **pods})
    supply = Supply(
        versions=source.versions,
        binaries=source.binaries,
        parts=source.parts,
        libraries={"runc": ("libpcre",)},
        packages={"nginx": (pcre, nginx), "libpcre": (pcre,)},
        images={
            **dict.fromkeys(("docker.io/library/busybox:1.36", "quorate.local/pause:3.2"), stored["i"]),
            **{tag: stored[name] for name, tag in names.items()},
        },
        pause_image="quorate.local/pause:3.2",
        coredns_image=names["coredns"],
        metrics_server_image=names["metrics"],
    )
    out = tmp_path / "out"
    await export(supply, out)
    assert not list(tmp_path.glob("out.part*"))
    assert len(list((out / "images").iterdir())) == 3
    given = cluster(source="directory", directory=str(out), packages="bundle")
    assert await resolve(given, quiet, cache=cache) == supply
    plain = await resolve(cluster(source="directory", directory=str(out), packages="distribution"), quiet, cache=cache)
    assert plain.packages == {}
    rows = listing(supply)
    assert len(rows) == len(supply.binaries) + 2 + 4
    assert ("package", "libpcre", "1:8") in {(row.kind, row.name, row.version) for row in rows}
    with pytest.raises(ArtifactError):
        await export(supply, out)


async def test_the_folder_of_another_version_is_refused(cluster: Make, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    given = {"source": "directory", "directory": str(folder)}
    await export(await resolve(cluster(**given), quiet, cache=cache), tmp_path / "out")
    other = cluster(versions={"kubernetes": "1.21.0"}, source="directory", directory=str(tmp_path / "out"))
    assert "holds kubernetes 1.20.2, not 1.21.0" in await refused(other, cache)


async def test_images_of_the_cluster_file_are_added(
    carried: Cluster, cluster: Make, folder: Path, tmp_path: Path
) -> None:
    path = image(tmp_path / "app.tar", "app:1", "registry.example/app:2")
    given = cluster(source="directory", directory=str(folder), images=[str(path)])
    supply = await resolve(given, quiet, cache=tmp_path / "cache")
    assert set(supply.images) == {"docker.io/library/app:1", "registry.example/app:2"}
    path.write_bytes(b"not a tar")
    assert "not an image archive" in await refused(given, tmp_path / "cache")


async def test_a_binary_of_another_version_than_its_name_is_refused(
    carried: Cluster, folder: Path, tmp_path: Path
) -> None:
    """Sums and names are right, and what it says is not what the cluster file says."""
    (folder / "kubelet").write_bytes(elf("kubelet", version="1.19.9"))
    resum(folder)
    error = await refused(carried, tmp_path / "cache")
    assert "kubelet says 1.19.9, not 1.20.2" in error
