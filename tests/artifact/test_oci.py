"""Image archives: digests that hold, the same bytes each time, names for both readers, what a root must have."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from quorate.artifact import test_images
from quorate.artifact.archive import references
from quorate.artifact.oci import Image, Item, directory, write
from quorate.artifact.pod_images import pod_images, with_shell
from quorate.core import ArtifactError
from quorate.render.debian import SHELL

NAMES = ("r.example/pause:1", "x.example:5000/pause:2")


def read(archive: Path | bytes) -> dict[str, bytes]:
    """Content of the files in a tar."""
    file = archive.open("rb") if isinstance(archive, Path) else io.BytesIO(archive)
    with file, tarfile.open(fileobj=file) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """What a descriptor names, as long as it is what it says."""
    content = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
    assert len(content) == descriptor["size"]
    return content


def parts(path: Path) -> tuple[dict[str, Any], list[dict[str, tarfile.TarInfo]]]:
    """Configuration and layers of an image, as an OCI reader finds them, each digest checked."""
    files = read(path)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    manifest = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))
    config = json.loads(blob(files, manifest["config"]))
    layers = [blob(files, each) for each in manifest["layers"]]
    # Not compressed, so that a layer's digest is that of its content.
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in manifest["layers"]]
    found = []
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            found.append({entry.name: entry for entry in tar})
    return config, found


def example(tmp_path: Path) -> Image:
    (tmp_path / "program").write_bytes(b"ELF" * 1000)
    first = [directory("tmp", 0o1777), Item("run", tmp_path / "program", mode=0o755, low_ports=True)]
    second = [Item("again", target="run"), Item("etc/owned", b"x", owner=(7, 8))]
    return Image("arm64", [first, second], ["/run"], ["-v"], "7:8", {"B": "2", "A": "1"}, ports=["53/udp"])


def test_an_archive_holds_what_was_put_in(tmp_path: Path) -> None:
    write(example(tmp_path), NAMES, tmp_path / "image.tar")
    config, (first, second) = parts(tmp_path / "image.tar")
    assert config["architecture"] == "arm64"
    assert config["config"] == {
        "Entrypoint": ["/run"],
        "Cmd": ["-v"],
        "User": "7:8",
        "Env": ["A=1", "B=2"],
        "WorkingDir": "/",
        "ExposedPorts": {"53/udp": {}},
    }
    assert (first["tmp"].isdir(), first["tmp"].mode) == (True, 0o1777)
    assert (first["run"].size, first["run"].mode, first["run"].mtime) == (3000, 0o755, 0)
    assert (second["again"].issym(), second["again"].linkname) == (True, "run")
    assert (second["etc/owned"].uid, second["etc/owned"].gid) == (7, 8)
    # setcap cap_net_bind_service=+ep, as `getfattr -e hex -n security.capability` shows it.
    value = first["run"].pax_headers["SCHILY.xattr.security.capability"].encode()
    assert value.hex() == "0100000200040000000000000000000000000000"
    assert not second["etc/owned"].pax_headers


def test_docker_and_containerd_find_the_same_image_under_all_its_names(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    write(example(tmp_path), [*reversed(NAMES), NAMES[0]], path)
    files = read(path)
    (docker,) = json.loads(files["manifest.json"])
    index = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, index[0]))
    assert docker["RepoTags"] == list(NAMES) == references(path)
    assert [each["annotations"]["io.containerd.image.name"] for each in index] == list(NAMES)
    assert [each["annotations"]["org.opencontainers.image.ref.name"] for each in index] == ["1", "2"]
    assert index[0]["digest"] == index[1]["digest"]
    assert index[0]["platform"] == {"architecture": "arm64", "os": "linux"}
    assert files[docker["Config"]] == blob(files, manifest["config"])
    assert [files[name] for name in docker["Layers"]] == [blob(files, each) for each in manifest["layers"]]


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    write(example(tmp_path), NAMES, tmp_path / "one.tar")
    (tmp_path / "program").touch()
    write(example(tmp_path), NAMES[::-1], tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_what_is_no_name_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not the name of an image with a tag: busybox"):
        write(example(tmp_path), ["busybox"], tmp_path / "image.tar")
    assert not (tmp_path / "image.tar").exists()


def test_images_of_kubernetes_own_tests_share_what_they_have_in_common(tmp_path: Path) -> None:
    sources = tmp_path / "images"
    files = ("agnhost/porter/localhost.crt", "agnhost/porter/localhost.key", "kitten/html/kitten.jpg")
    for name in (*files, "kitten/html/data.json"):
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes(name.encode())
    programs = {name: tmp_path / name for name in ("agnhost", "coredns", "etcd", "nnp", "sample-apiserver")}
    for name, path in programs.items():
        path.write_bytes(f"ELF {name}".encode())
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("debian"))
    base = (tmp_path / "base.tar").read_bytes()
    stock = test_images.Stock("amd64", programs, None, sources, base, [base])
    upstream = "registry.k8s.io/e2e-test-images/"
    names = ("agnhost:2.66.1", "agnhost:2.55", "kitten:1.8", "nonroot:1.5", "nonewprivs:1.4", "sample-apiserver:1.29.2")
    made = [*(f"{upstream}{name}" for name in names), "registry.k8s.io/etcd:3.7.0-0"]
    archive = tmp_path / "tests.tar"
    missing = test_images.make([*made, "registry.k8s.io/pause:3.10.2", f"{upstream}perl:5.26"], stock, archive)
    assert missing == [f"{upstream}perl:5.26"]
    assert sorted(references(archive)) == sorted([*made, "registry.k8s.io/pause:3.10.2"])
    content = read(archive)
    assert sum(each == base for each in content.values()) == 1, "a layer of all is there once"
    by_name, own = {}, {}
    for entry in json.loads(content["index.json"])["manifests"]:
        manifest, name = json.loads(blob(content, entry)), entry["annotations"]["io.containerd.image.name"]
        by_name[name] = json.loads(blob(content, manifest["config"]))["config"]
        with tarfile.open(fileobj=io.BytesIO(blob(content, manifest["layers"][-1]))) as tar:
            own[name] = {item.name: item.mode for item in tar}
    assert by_name[made[0]]["Entrypoint"] == by_name[made[2]]["Entrypoint"] == ["/agnhost"]
    assert own[made[0]]["coredns"] == 0o755, "tests start name servers in it"
    assert by_name[made[2]]["Cmd"] == ["test-webserver"]
    assert by_name[made[3]]["User"] == "1234"
    assert own[made[4]] == {"usr/local/bin/nnp": 0o6755}, "root's, whoever starts it"
    assert by_name[made[5]]["Entrypoint"] == ["/sample-apiserver"]
    assert own[made[6]] == {"usr/local/bin/etcd": 0o755}
    assert by_name["registry.k8s.io/pause:3.10.2"]["Entrypoint"] == ["/bin/pause"], "where no compiler is"


@pytest.mark.parametrize(
    ("variables", "shell"),
    [({}, "busybox"), ({"data_1": "x"}, "busybox"), ({"data-1": "x"}, "bash"), ({"1st": "x"}, "bash")],
)
def test_the_shell_of_the_busybox_image(tmp_path: Path, variables: dict[str, str], shell: str) -> None:
    """Busybox's, but where that would lose a variable; all arguments arrive."""
    text = SHELL.replace("#!/usr/bin/bash", f"#!{shutil.which('bash')}")
    for name, path in (("busybox", "/bin/busybox"), ("bash", "/usr/bin/bash")):
        stand_in = tmp_path / name
        stand_in.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        stand_in.chmod(0o755)
        text = text.replace(f'"$0" {path} ', f'"$0" {stand_in} ')
    own = tmp_path / "sh"
    own.write_text(text)
    own.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", **variables}
    said = subprocess.run([own, "-c", "a  b"], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == f"{shell} -c a  b\n"


def test_images_of_programs_that_were_built(tmp_path: Path) -> None:
    versions = {"pause": "3.10.2", "coredns": "1.14.6", "metrics-server": "0.9.0", "agnhost": "2.66.1"}
    programs = {name: tmp_path / name for name in versions}
    for name, path in programs.items():
        path.write_bytes(f"ELF {name}".encode())
    made = pod_images(programs, versions, "amd64", tmp_path)
    assert {name: references(path) for name, path in made.items()} == {name: [name] for name in made}
    assert set(made) == {f"quorate.local/{name}:{version}" for name, version in versions.items()}
    for name, version in versions.items():
        config, (layer,) = parts(made[f"quorate.local/{name}:{version}"])
        assert config["config"]["Entrypoint"] == [f"/{name}"]
        assert layer[name].mode == 0o755
        assert name == "pause" or {"etc/passwd", "etc/ssl/certs", "tmp"} <= layer.keys()
        # Only the test server is root: what Kubernetes' own tests do with it wants that.
        assert config["config"].get("User", "0").startswith("6") == (name != "agnhost")
    _, (layer,) = parts(made["quorate.local/coredns:1.14.6"])
    assert layer["coredns"].pax_headers


def test_a_program_that_could_not_be_built_has_no_image(tmp_path: Path) -> None:
    (tmp_path / "coredns").write_bytes(b"ELF")
    made = pod_images({"coredns": tmp_path / "coredns"}, {"coredns": "1.14.6", "pause": "3.10"}, "arm64", tmp_path)
    assert list(made) == ["quorate.local/coredns:1.14.6"]


def test_the_test_server_on_top_of_a_shell(tmp_path: Path) -> None:
    """What `verify` runs in its pods: the layers below stay as they are."""
    busybox = [directory("bin"), Item("bin/sh", b"ELF sh", mode=0o755)]
    write(Image("amd64", [busybox], command=["/bin/pause"]), NAMES, tmp_path / "base.tar")
    (tmp_path / "agnhost").write_bytes(b"ELF agnhost")
    with_shell(tmp_path / "agnhost", tmp_path / "base.tar", ["quorate.local/tests:1"], "amd64", tmp_path / "tests.tar")
    config, (below, above) = parts(tmp_path / "tests.tar")
    assert references(tmp_path / "tests.tar") == ["quorate.local/tests:1"]
    assert below.keys() == {"bin", "bin/sh"}
    assert above["agnhost"].mode == 0o755
    assert config["config"]["Entrypoint"] == ["/agnhost"]
    assert config["config"]["Env"] == ["PATH=/bin"]
