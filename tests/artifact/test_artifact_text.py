"""What the artifact room reads out of texts: Debian's versions, dependencies, dpkg status, image names."""

import pytest

from quorate.artifact.archive import qualified
from quorate.artifact.debs import depends, identity, minimal_status, upstream_version


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("1.20.5+really1.20.2-1.1+deb12u1", "1.20.2"),
        ("3.4.23-4+b4", "3.4.23"),
        ("1.6.20~ds1-1+deb12u3", "1.6.20"),
        ("20.10.24+dfsg1-1+deb12u1+b6", "20.10.24"),
        ("1:2.2.7-1+b2", "2.2.7"),
    ],
)
def test_upstream_version(debian: str, upstream: str) -> None:
    assert upstream_version(debian) == upstream


def test_depends() -> None:
    assert depends("libc6 (>= 2.34), default-mta | mail-transport-agent, perl:any") == [
        "libc6",
        "default-mta",
        "mail-transport-agent",
        "perl",
    ]
    assert depends("") == []


def test_identity_of_a_package_file() -> None:
    assert identity("conntrack_1%3a1.4.7-1+b2_amd64.deb") == ("conntrack", "1:1.4.7-1+b2")


def test_the_smallest_debian() -> None:
    status = """Package: base-files
Essential: yes
Depends: awk
Version: 1

Package: mawk
Provides: awk
Pre-Depends: libc6 (>= 2)
Version: 1

Package: libc6
Version: 1

Package: curl
Version: 1
Depends: libc6
Description: a tool
 with: a colon
"""
    kept = minimal_status(status)
    assert [line for line in kept.splitlines() if line.startswith("Package")] == [
        "Package: base-files",
        "Package: libc6",
        "Package: mawk",
    ]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("grafana/grafana:1", "docker.io/grafana/grafana:1"),
        ("localhost/a:1", "localhost/a:1"),
        ("registry.example:5000/a:1", "registry.example:5000/a:1"),
    ],
)
def test_qualified(short: str, full: str) -> None:
    assert qualified(short) == full
