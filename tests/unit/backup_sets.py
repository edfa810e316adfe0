"""A small backup with everything in it, as tests want it: made from a state folder of its own."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from state_folders import TEXT

from quorate.backup import archive
from quorate.backup.manifest import EtcdData, EtcdMember, Manifest, ProvedMark, StateMark
from quorate.state import age
from quorate.state.bundle import Bundle, Entry

SNAPSHOT = bytes(range(256)) * 4096
"""A megabyte that looks like nothing."""
KEY = age.make_identity()
NAME = "c-20261123T120000Z-0123abcd"
OBJECTS = ("/registry/pods/shop/web-1", "/registry/secrets/shop/login", "/registry/minions/w1")
"""Keys of what is in it."""


def bundle() -> Bundle:
    """A state folder with next to nothing."""
    return Bundle("c", "cluster.yaml", {"cluster.yaml": Entry(TEXT.encode(), 0o600)})


def manifest(content: Bundle) -> Manifest:
    """What such a backup says of itself."""
    return Manifest(
        cluster="c",
        taken_at="2026-11-23T12:00:00Z",
        host="m1",
        degraded="",
        etcd=EtcdData(
            version="3.6.14",
            cluster_version="3.6.0",
            storage_version="3.6.0",
            cluster_id=2**64 - 1,
            members=(EtcdMember("m1", 2**63, ("https://10.0.0.1:2380",)),),
            revision=1234,
            compact_revision=1000,
            hash=99,
            keys={"/registry/pods": 12, "/registry/secrets": 3},
            size=len(SNAPSHOT),
            sha256=hashlib.sha256(SNAPSHOT).hexdigest(),
        ),
        kubernetes="1.37.2",
        versions={"kubernetes": "1.37.2", "etcd": "3.6.14"},
        binaries={"etcd": "a" * 64},
        encryption_keys=("key1",),
        ca={"ca": "b" * 64},
        state=StateMark(7, content.digest),
        not_in_it=("volume pv1 (nfs)",),
        proved=ProvedMark(1, "2026-11-23T12:00:10Z"),
    )


def parts(
    told: Manifest,
    content: Bundle,
    *,
    locked: bytes = b"",
    key: str = KEY,
    snapshot: bytes = SNAPSHOT,
    objects: Sequence[str] = OBJECTS,
) -> list[archive.Part]:
    """The members of a set, in order."""

    def sealed(plain: bytes) -> bytes:
        return age.seal(plain, [age.public(key)])

    members = {
        archive.MANIFEST: told.to_json(),
        archive.IDENTITY: locked,
        archive.STATE: sealed(content.pack(told.state.sequence)),
        archive.CONFIG: sealed(b"a tar"),
        archive.NAMES: sealed(gzip.compress("".join(f"{each}\n" for each in objects).encode())),
        archive.SNAPSHOT: sealed(snapshot),
    }
    return [(name, lambda out, content=content: out.write(content)) for name, content in members.items() if content]  # type: ignore[misc]


def backup(folder: Path, name: str = NAME, **changes: object) -> Path:
    """A whole set on the disk; `changes` are those of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{archive.SUFFIX}"
    content = bundle()
    archive.write(path, parts(replace(manifest(content), **changes), content))  # type: ignore[arg-type]
    return path
