"""Several versions side by side in one folder: what is chosen, what is missing, what lies in the wrong place."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import image, version_folder
from small_upstream import elf, resum

from quorate.artifact import side_by_side
from quorate.artifact.cache import Cache
from quorate.artifact.export_path import export_path
from quorate.artifact.resolve import resolve
from quorate.artifact.source import lacks, patches, releases
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.rules import files
from quorate.spec.supply import PackageFile, Supply
from quorate.spec.versions import table

Of = Callable[..., Cluster]
KUBERNETES = ("1.35.4", "1.36.1", "1.36.3")


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder made by hand, without any supply.json: three releases, and what the table wants beside the last."""
    folder = tmp_path / "bundle"
    for version in KUBERNETES:
        version_folder(folder, "kubernetes", version)
    minor = table("1.36.3")
    for part, version in (
        *(("etcd", "3.6.16"), ("etcd", "3.5.35"), ("containerd", minor.containerd), ("runc", minor.runc)),
        ("cni_plugins", minor.cni_plugins),
    ):
        version_folder(folder, part, version)
    return folder


@pytest.fixture
def of(cluster: Callable[..., Cluster], bundle: Path) -> Of:
    """A cluster that takes its binaries from the folder."""

    def made(kubernetes: str = "1.36.3", etcd: str = "3.6.16", folder: Path = bundle, **more: object) -> Cluster:
        versions = {"kubernetes": kubernetes, "etcd": etcd}
        return cluster(versions=versions, source="directory", directory=str(folder), mirrors={}, **more)

    return made


async def refused(cluster: Cluster, cache: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        await resolve(cluster, quiet, cache=cache)
    return f"{caught.value}. {caught.value.hint}"


@pytest.mark.parametrize(("kubernetes", "etcd"), [("1.36.3", "3.6.16"), ("1.36.1", "3.6.16"), ("1.36.3", "3.5.35")])
async def test_each_part_comes_from_the_folder_of_its_version(
    of: Of, bundle: Path, tmp_path: Path, kubernetes: str, etcd: str
) -> None:
    cache = tmp_path / "cache"
    supply = await resolve(of(kubernetes, etcd), quiet, cache=cache)
    assert (supply.versions["kubernetes"], supply.versions["etcd"]) == (kubernetes, etcd)
    laid = await Cache(cache).add(
        {"kubelet": bundle / f"kubernetes-{kubernetes}/kubelet", "etcd": bundle / f"etcd-{etcd}/etcd"}
    )
    assert {name: supply.binaries[name] for name in laid} == laid
    said: list[str] = []
    assert await resolve(of(kubernetes, etcd), said.append, cache=cache) == supply
    assert said == []


def test_what_the_folder_has_is_known_without_reading_it_whole(of: Of, bundle: Path) -> None:
    (bundle / "kubernetes-1.37.2.part-12").mkdir()
    (bundle / "kubernetes-1.37.2.part-12/SHA256SUMS").touch()
    (bundle / "notes").mkdir()
    assert releases(of(), None) == KUBERNETES
    assert patches(of(), None) == {"1.35": "1.35.4", "1.36": "1.36.3"}
    assert lacks(of(), None) == ""


async def test_what_is_missing_is_told_with_what_is_there(of: Of, bundle: Path, tmp_path: Path) -> None:
    told = await refused(of("1.37.2", "3.7.3"), tmp_path / "cache")
    assert f"{bundle} has no kubernetes 1.37.2, etcd 3.7.3" in told
    assert "kubernetes 1.35.4 and 1.36.1 and 1.36.3, etcd 3.5.35 and 3.6.16" in told
    assert "artifacts --export FOLDER --path" in told
    assert lacks(of("1.37.2", "3.7.3"), None) in told


async def test_a_program_of_another_version_than_its_folder_is_refused(of: Of, bundle: Path, tmp_path: Path) -> None:
    place = bundle / "kubernetes-1.36.3"
    (place / "kubelet").write_bytes(elf("kubelet", version="1.36.1"))
    resum(place)
    told = await refused(of(), tmp_path / "cache")
    assert f"{place / 'kubelet'} says 1.36.1, not 1.36.3" in told
    assert "move each into the folder of its version" in told


async def test_all_that_is_wrong_is_told_at_once(of: Of, bundle: Path, tmp_path: Path) -> None:
    (bundle / "etcd-3.6.16/etcd").write_bytes(elf("another"))
    (bundle / "etcd-3.6.16/runc").write_bytes(elf("runc"))
    lines = (bundle / "etcd-3.6.16/SHA256SUMS").read_text()
    (bundle / "kubernetes-1.36.3/kubectl").unlink()
    runc = version_folder(bundle, "runc", table("1.36.3").runc)
    (runc / "etcdctl").write_bytes(elf("etcdctl"))
    resum(runc)
    told = await refused(of(), tmp_path / "cache")
    assert f"{bundle}/etcd-3.6.16 is not as it should be: etcd: expected SHA-256" in told
    assert "runc" not in lines, "what has no line is not used"
    assert f"{bundle}/kubernetes-1.36.3 is not as it should be: kubectl: listed in SHA256SUMS, but missing" in told
    assert "etcdctl: is a program of etcd, and lies in a folder of runc" in told


async def test_names_and_layouts_that_are_not_clear(of: Of, bundle: Path, tmp_path: Path) -> None:
    (bundle / "kubernetes-1.36.1").rename(bundle / "kubernetes-v1.36")
    told = await refused(of(), tmp_path / "cache")
    assert "holds kubernetes-v1.36: expected a part and its whole version" in told
    (bundle / "kubernetes-v1.36").rename(bundle / "kubernetes-1.36.1")
    (bundle / "SHA256SUMS").touch()
    told = await refused(of(), tmp_path / "cache")
    assert "holds a version at its top (SHA256SUMS), and Kubernetes 1.35.4, 1.36.1, 1.36.3 in" in told
    assert f"away with {bundle / 'SHA256SUMS'}" in told


async def test_what_is_exported_is_read_as_it_was(of: Of, tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    first = await _more(await resolve(of("1.36.1", "3.5.35"), quiet, cache=cache), cache, tmp_path)
    second = await _more(await resolve(of(), quiet, cache=cache), cache, tmp_path)
    asked = {"kubernetes": "", "etcd": ""}
    written = await export_path([(first, asked), (second, asked)], out, quiet)
    assert all(one.anew for one in written)
    assert (
        {path.name for path in out.iterdir()}
        == {one.name for one in written}
        >= {
            *("kubernetes-1.36.1", "kubernetes-1.36.3", "etcd-3.5.35", "etcd-3.6.16"),
            *("coredns-1.14.6", "distribution"),
        }
    )
    for supply in (first, second):
        kubernetes, etcd = supply.versions["kubernetes"], supply.versions["etcd"]
        assert await resolve(of(kubernetes, etcd, out, packages="bundle"), quiet, cache=cache) == supply
    facts = json.loads((out / "kubernetes-1.36.3/supply.json").read_text())
    assert "etcd" not in facts["versions"], "what a file names goes with no release"
    assert facts["versions"]["runc"] == second.versions["runc"]


async def _more(supply: Supply, cache: Path, folder: Path) -> Supply:
    """The same with images and a package, as a source that brings them."""
    kubernetes = supply.versions["kubernetes"]
    names = {
        "coredns": "quorate.local/coredns:1.14.6",
        "pause": "quorate.local/pause:3.10",
        "test": f"quorate.local/test:{kubernetes}",
    }
    blobs = await Cache(cache).add({name: image(folder / f"{name}.tar", tag) for name, tag in names.items()})
    (folder / "nginx_1_amd64.deb").write_bytes(b"nginx")
    file = PackageFile(
        "nginx", "1", "nginx_1_amd64.deb", (await Cache(cache).add({"": folder / "nginx_1_amd64.deb"}))[""]
    )
    return replace(
        supply,
        versions={**supply.versions, "coredns": "1.14.6", "agnhost": kubernetes},
        libraries={"runc": ("libseccomp2",)},
        packages={"nginx": (file,)},
        images={tag: blobs[name] for name, tag in names.items()},
        pause_image=names["pause"],
        coredns_image=names["coredns"],
    )


async def test_an_export_is_whole_or_not_there_and_leaves_what_is_good(of: Of, tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    supply = await resolve(of(), quiet, cache=cache)
    await export_path([(supply, {})], out, quiet)
    (out / "etcd-3.6.16/etcd").write_bytes(b"cut off")
    (out / "notes").write_text("ours")
    written = await export_path([(supply, {})], out, quiet)
    assert [one.name for one in written if one.anew] == ["etcd-3.6.16"]
    assert (out / "notes").read_text() == "ours"
    assert await resolve(of(folder=out), quiet, cache=cache) == supply
    gone = replace(
        supply, binaries={**supply.binaries, "kubelet": replace(supply.binaries["kubelet"], path=tmp_path / "x")}
    )
    later = replace(gone, versions={**gone.versions, "kubernetes": "1.36.9"})
    with pytest.raises(ArtifactError):
        await export_path([(later, {})], out, quiet)
    assert [path.name for path in out.glob("kubernetes-*")] == ["kubernetes-1.36.3"]
    (out / "SHA256SUMS").touch()
    with pytest.raises(ArtifactError, match="holds one version at its top"):
        await export_path([(supply, {})], out, quiet)


def test_the_layout_is_known_by_kubernetes_alone(tmp_path: Path) -> None:
    assert not side_by_side.is_side_by_side(tmp_path)
    version_folder(tmp_path, "etcd", "3.6.16")
    assert not side_by_side.is_side_by_side(tmp_path)
    version_folder(tmp_path, "kubernetes", "1.36.3")
    assert side_by_side.is_side_by_side(tmp_path)


def test_a_cluster_file_may_name_such_a_folder(of: Of, bundle: Path) -> None:
    assert list(files.artifacts(of())) == []
    for path in bundle.glob("kubernetes-*/SHA256SUMS"):
        path.unlink()
    (fault,) = files.artifacts(of())
    assert "has no SHA256SUMS file" in fault.rule
