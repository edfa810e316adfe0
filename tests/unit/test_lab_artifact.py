"""What the root and the image are made from: apt's sources, and the archive."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from quorate.artifact import apt, image, root
from quorate.core import ArtifactError

DEB822 = """Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/some.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
"""
LIST = """# deb http://commented.example bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main # why
deb-src http://source.example/debian bookworm main
deb http://two.example/debian trixie main
"""


def test_deb822_sources() -> None:
    first, second = apt.parse_deb822(DEB822)
    assert first.uri == "http://mirror.example/debian"
    assert first.suites == ("bookworm", "bookworm-updates")
    assert first.signed_by == "/usr/share/keyrings/some.gpg"
    assert second.signed_by == ""
    assert list(apt.parse_deb822(first.stanza())) == [first]


def test_one_line_sources() -> None:
    first, second = apt.parse_list(LIST)
    assert (first.uri, first.components, first.signed_by) == ("http://one.example/debian", ("main",), "/k.gpg")
    assert second.suites == ("trixie",)


def test_the_release_comes_first(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://s.example/x bookworm-security main\n")
    (tmp_path / "sources.list.d/a.list").write_text(LIST)
    (tmp_path / "sources.list.d/b.sources.disabled").write_text(DEB822)
    found = root.machine_sources(etc=tmp_path)
    assert [source.uri for source in found] == ["http://one.example/debian", "http://s.example/x"]
    with pytest.raises(ArtifactError, match="no package source of Debian sid"):
        root.machine_sources("sid", etc=tmp_path)


def read(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def test_the_image_is_what_docker_save_writes() -> None:
    made = image.archive(b"ELF", ["sh", "sleep"], ["r.example/pause:1", "x:2"], machine="x86_64")
    assert made == image.archive(b"ELF", ["sleep", "sh"], ["r.example/pause:1", "x:2"], machine="x86_64")
    files = read(made)
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    layer = files[manifest["Layers"][0]]
    assert manifest["Config"] == hashlib.sha256(files[manifest["Config"]]).hexdigest() + ".json"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert manifest["RepoTags"] == ["r.example/pause:1", "x:2"]
    assert config["architecture"] == "amd64"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getmember("bin/sh").linkname == "busybox"
        assert tar.getmember("bin/pause").mode == 0o755
        assert tar.getmember("tmp").mode == 0o1777


def test_a_bad_image_name_is_refused(tmp_path: Path) -> None:
    for name in ("busybox", "../x:1", "a b:1", "Big:1"):
        with pytest.raises(ArtifactError, match="not the name"):
            image.build_image(tmp_path, tmp_path, [name])
