"""The source `release` against a small upstream on this machine, with each thing that can go wrong."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from small_upstream import VERSIONS, Upstream, elf, tgz

from quorate.artifact.binary import REQUIRED
from quorate.artifact.resolve import at_hand, resolve
from quorate.core import ArtifactError
from quorate.spec.cluster import Cluster
from quorate.spec.sections import Backup
from quorate.spec.versions import table

Make = Callable[..., Cluster]
KUBELET = "/v1.20.2/bin/linux/amd64/kubelet"
ETCD = "/v3.4.23/etcd-v3.4.23-linux-amd64.tar.gz"


def quiet(_: str) -> None:
    """Say nothing."""


async def refused(cluster: Cluster, cache: Path) -> ArtifactError:
    """The error of a resolve that must fail, having kept nothing of the bad file."""
    with pytest.raises(ArtifactError) as caught:
        await resolve(cluster, quiet, cache=cache)
    assert caught.value.hint
    assert not [left for left in (cache / "partial").glob("scratch-*") if left.is_dir()]
    return caught.value


async def test_age_is_fetched_where_hosts_take_backups(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    """Its publisher gives no checksums: over plain HTTP one has to be pinned."""
    plain = cluster()
    assert "age" not in (await resolve(plain, quiet, cache=tmp_path)).parts
    mirrors = {**plain.artifacts.mirrors, "age": upstream.url}
    artifacts = plain.artifacts.model_copy(update={"mirrors": mirrors})
    given = plain.model_copy(update={"artifacts": artifacts, "backup": Backup(schedule="daily")})
    version = table(VERSIONS["kubernetes"]).age
    path = f"/v{version}/age-v{version}-linux-amd64.tar.gz"
    upstream.put(path, tgz({"age/age": elf("age", version=version)}))
    await refused(given, tmp_path)
    digest = hashlib.sha256(upstream.files[path]).hexdigest()
    (tmp_path / "artifacts.lock").write_text(f"{digest}  {upstream.url}{path}\n")
    supply = await resolve(given, quiet, cache=tmp_path)
    assert supply.parts["age"] == ("age",)
    assert supply.versions["age"] == version


async def test_everything_that_a_cluster_needs_is_fetched_and_verified(
    cluster: Make, upstream: Upstream, tmp_path: Path
) -> None:
    supply = await resolve(cluster(), quiet, cache=tmp_path)
    assert supply.versions == VERSIONS
    for part, names in REQUIRED.items():
        if part not in ("docker", "age"):
            assert set(names) <= set(supply.parts[part])
            assert set(supply.parts[part]) <= set(supply.binaries)
    assert "vlan" in supply.parts["cni_plugins"]
    assert "README.md" not in supply.binaries
    kubelet = supply.binaries["kubelet"]
    content = upstream.files[KUBELET]
    assert gzip.decompress(kubelet.path.read_bytes()) == content
    assert (kubelet.sha256, kubelet.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert kubelet.path == tmp_path / "blobs" / f"{kubelet.sha256}.gz"


async def test_containerd_is_the_static_build_where_there_is_one(
    cluster: Make, upstream: Upstream, tmp_path: Path
) -> None:
    versions = VERSIONS | {"containerd": "1.7.34"}
    path = "/v1.7.34/containerd-static-1.7.34-linux-amd64.tar.gz"
    members = {f"bin/{name}": elf(f"static {name}", version="1.7.34") for name in REQUIRED["containerd"]}
    upstream.put(path, tgz(members), f"{path}.sha256sum")
    supply = await resolve(cluster(versions=versions), quiet, cache=tmp_path)
    assert supply.binaries["ctr"].sha256 == hashlib.sha256(elf("static ctr", version="1.7.34")).hexdigest()


async def test_a_warm_cache_does_not_touch_the_network(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    first = await resolve(cluster(), quiet, cache=tmp_path)
    upstream.asked.clear()
    said: list[str] = []
    second = await resolve(cluster(), said.append, cache=tmp_path)
    assert second == first
    assert upstream.asked == []
    assert said == []


async def test_a_damaged_blob_is_noticed_and_fetched_again(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    first = await resolve(cluster(), quiet, cache=tmp_path)
    first.binaries["kubelet"].path.write_bytes(gzip.compress(b"something else"))
    upstream.asked.clear()
    second = await resolve(cluster(), quiet, cache=tmp_path)
    assert second == first
    assert {path for path, _ in upstream.asked} == {KUBELET, f"{KUBELET}.sha256"}


async def test_a_touched_blob_is_hashed_again_and_kept(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    first = await resolve(cluster(), quiet, cache=tmp_path)
    first.binaries["kubelet"].path.touch()
    upstream.asked.clear()
    assert await resolve(cluster(), quiet, cache=tmp_path) == first
    assert upstream.asked == []


async def test_a_wrong_checksum_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.files[KUBELET] = elf("another")
    error = await refused(cluster(), tmp_path)
    got = hashlib.sha256(elf("another")).hexdigest()
    assert f"{upstream.url}{KUBELET}" in str(error)
    assert "expected SHA-256" in str(error)
    assert got in str(error)
    assert not (tmp_path / "blobs" / f"{got}.gz").exists()


async def test_a_file_truncated_on_the_mirror_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.files[ETCD] = upstream.files[ETCD][:-100]
    assert "expected SHA-256" in str(await refused(cluster(), tmp_path))


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_broken_transfer_goes_on(cluster: Make, upstream: Upstream, tmp_path: Path, ranges: bool) -> None:
    upstream.cut[KUBELET] = 1
    upstream.ranges = ranges
    supply = await resolve(cluster(), quiet, cache=tmp_path)
    assert supply.binaries["kubelet"].size == len(upstream.files[KUBELET])
    asked = [range_ for path, range_ in upstream.asked if path == KUBELET]
    assert asked[0] == ""
    assert asked[1].startswith("bytes=")
    assert len(asked) == 2


async def test_an_interrupted_run_is_taken_up_by_the_next(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.cut[KUBELET] = 3
    error = await refused(cluster(), tmp_path)
    assert "3 attempts" in str(error)
    upstream.asked.clear()
    await resolve(cluster(), quiet, cache=tmp_path)
    asked = [range_ for path, range_ in upstream.asked if path == KUBELET]
    assert len(asked) == 1
    assert asked[0].startswith("bytes=")


async def test_what_is_left_of_another_file_does_not_spoil_the_next(
    cluster: Make, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.cut[KUBELET] = 3
    await refused(cluster(), tmp_path)
    for part in (tmp_path / "partial").glob("*.part"):
        part.write_bytes(b"x" * part.stat().st_size)
    supply = await resolve(cluster(), quiet, cache=tmp_path)
    assert supply.binaries["kubelet"].sha256 == hashlib.sha256(upstream.files[KUBELET]).hexdigest()


async def test_a_passing_server_error_is_tried_again(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.status[KUBELET] = [503, 502]
    await resolve(cluster(), quiet, cache=tmp_path)
    assert len([path for path, _ in upstream.asked if path == KUBELET]) == 3


async def test_a_missing_version_is_told_at_once(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    error = await refused(cluster(versions={"kubernetes": "1.20.99"}), tmp_path)
    assert "HTTP 404" in str(error)
    assert "versions" in error.hint
    paths = [path for path, _ in upstream.asked]
    assert len(paths) == len(set(paths))


async def test_an_html_page_instead_of_the_file_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.html.add(KUBELET)
    error = await refused(cluster(), tmp_path)
    assert "got an HTML page" in str(error)
    assert KUBELET in str(error)


async def test_an_html_page_instead_of_the_checksum_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.files[f"{KUBELET}.sha256"] = b"<html>welcome</html>"
    error = await refused(cluster(), tmp_path)
    assert f"{KUBELET}.sha256: expected the SHA-256 of kubelet, got an HTML page" in str(error)


async def test_a_missing_checksum_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    upstream.files["/v3.4.23/SHA256SUMS"] = b"0" * 64 + b"  another.tar.gz\n"
    error = await refused(cluster(), tmp_path)
    assert "expected the SHA-256 of etcd-v3.4.23-linux-amd64.tar.gz, got a text without it" in str(error)
    del upstream.files["/v3.4.23/SHA256SUMS"]
    assert "HTTP 404" in str(await refused(cluster(), tmp_path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (elf("kubelet", machine=183), "expected a binary for amd64, got one for arm64"),
        (b"#!/bin/sh\n", "expected an ELF binary, got a script"),
        (b"", "expected an ELF binary, got something else"),
    ],
)
async def test_what_is_no_binary_for_the_hosts_stops(
    cluster: Make, upstream: Upstream, tmp_path: Path, content: bytes, told: str
) -> None:
    upstream.put(KUBELET, content)
    upstream.files[f"{KUBELET}.sha256"] = hashlib.sha256(content).hexdigest().encode()
    assert told in str(await refused(cluster(), tmp_path))


async def test_a_wrong_binary_in_an_archive_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    del upstream.files["/v3.4.23/SHA256SUMS"]
    upstream.put(ETCD, tgz({"x/etcd": elf("etcd"), "x/etcdctl": elf("etcdctl", 183)}), "/v3.4.23/SHA256SUMS")
    assert "etcdctl: expected a binary for amd64" in str(await refused(cluster(), tmp_path))


async def test_an_archive_without_a_needed_binary_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    del upstream.files["/v3.4.23/SHA256SUMS"]
    upstream.put(ETCD, tgz({"../../etcd": elf("etcd")}), "/v3.4.23/SHA256SUMS")
    assert "expected etcdctl in it" in str(await refused(cluster(), tmp_path))


async def test_a_server_that_is_not_there(cluster: Make, tmp_path: Path) -> None:
    given = cluster(mirrors=dict.fromkeys(VERSIONS, "http://127.0.0.1:1"))
    error = await refused(given, tmp_path)
    assert "http://127.0.0.1:1/v" in str(error)
    assert "artifacts.mirrors" in error.hint


async def test_docker_over_plain_http_needs_a_pinned_checksum(
    cluster: Make, upstream: Upstream, tmp_path: Path
) -> None:
    given = cluster("docker", {**VERSIONS, "docker": "20.10.24"})
    error = await refused(given, tmp_path)
    assert "publisher gives no checksum" in str(error)
    path = "/x86_64/docker-20.10.24.tgz"
    digest = hashlib.sha256(upstream.files[path]).hexdigest()
    (tmp_path / "artifacts.lock").write_text(f"{digest}  {upstream.url}{path}\n")
    supply = await resolve(given, quiet, cache=tmp_path)
    assert set(supply.parts["docker"]) == set(REQUIRED["docker"])


async def test_docker_that_changed_since_it_was_pinned_stops(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    path = "/x86_64/docker-20.10.24.tgz"
    (tmp_path / "artifacts.lock").write_text(f"{'0' * 64}  {upstream.url}{path}\n")
    error = await refused(cluster("docker", {**VERSIONS, "docker": "20.10.24"}), tmp_path)
    assert f"expected SHA-256 {'0' * 64}" in str(error)


async def test_auto_takes_upstream_when_it_is_reachable(cluster: Make, upstream: Upstream, tmp_path: Path) -> None:
    said: list[str] = []
    supply = await resolve(cluster(source="auto"), said.append, cache=tmp_path)
    assert supply.versions["etcd"] == VERSIONS["etcd"]
    assert said[0].startswith("source release: upstream has Kubernetes 1.20.2")
    upstream.asked.clear()
    assert await resolve(cluster(source="auto"), quiet, cache=tmp_path) == supply
    assert upstream.asked == []


async def test_auto_tells_why_nothing_fits(cluster: Make, tmp_path: Path) -> None:
    given = cluster(source="auto", versions={"kubernetes": "1.30.0"}, mirrors={"kubernetes": "http://127.0.0.1:1"})
    error = await refused(given, tmp_path)
    for word in (
        "1.30.0",
        "directory is not set",
        "127.0.0.1:1",
        "Debian has Kubernetes 1.20.2 alone",
        "no lock of kubernetes 1.30.0",
    ):
        assert word in str(error)


async def test_what_was_fetched_once_is_at_hand(cluster: Make, tmp_path: Path) -> None:
    given = cluster(cache=str(tmp_path / "cache"))
    assert not at_hand(given, beside=None, arch="amd64")
    await resolve(given, lambda _: None)
    assert at_hand(given, beside=None, arch="amd64")
    assert not at_hand(given, beside=None, arch="arm64")
