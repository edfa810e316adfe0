"""What the root and the image are made from: apt's sources, and what the image holds."""

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


def test_the_image_has_busybox_under_every_name() -> None:
    (layer,) = image.image(b"ELF", ["sleep", "sh"], "amd64").layers
    assert list(layer) == list(image.image(b"ELF", ["sh", "sleep"], "amd64").layers[0])
    found = {item.path: item for item in layer}
    assert found["bin/sh"].target == "busybox"
    assert found["bin/busybox"].content == b"ELF"
    assert found["bin/pause"].mode == 0o755
    assert found["tmp"].mode == 0o1777


def test_a_bad_image_name_is_refused(tmp_path: Path) -> None:
    for name in ("busybox", "../x:1", "a b:1", "Big:1"):
        with pytest.raises(ArtifactError, match="not the name"):
            image.build_image(tmp_path, tmp_path, [name])
