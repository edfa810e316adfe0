"""Names of objects from keys of etcd, what differs between two moments, and what a persistent volume is."""

import base64
import gzip
import json

import pytest

from quorate.backup.names import Difference, Names, compared
from quorate.backup.volumes import kind
from quorate.core import QuorateError

KEYS = {
    "/registry/pods/shop/web-1": ("pods", "shop/web-1"),
    "/registry/minions/w1": ("nodes", "w1"),
    "/registry/services/specs/shop/web": ("services", "shop/web"),
    "/registry/services/endpoints/shop/web": ("endpoints", "shop/web"),
    "/registry/clusterroles/system:aggregate-to-admin": ("clusterroles", "system:aggregate-to-admin"),
    "/registry/ranges/serviceips": ("ranges", "serviceips"),
    "/registry/example.org/widgets/shop/w": ("widgets.example.org", "shop/w"),
    "/registry/apiregistration.k8s.io/apiservices/v1.": ("apiservices.apiregistration.k8s.io", "v1."),
}


def field(number: int, content: bytes | str) -> bytes:
    """A field of a protobuf message, as texts and messages are written."""
    plain = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2] if number < 16 else [number << 3 & 0x7F | 0x82, number >> 4]) + sized(plain)


def sized(plain: bytes) -> bytes:
    """Its length before it."""
    count, head = len(plain), b""
    while count > 127:
        head, count = head + bytes([count & 0x7F | 0x80]), count >> 7
    return head + bytes([count]) + plain


def volume(number: int, source: bytes, claim: bytes = b"") -> bytes:
    """A persistent volume as an API server stores it; what it takes, and how often it was bound, is passed over."""
    metadata = field(1, "pv1") + b"\x38\x96\x01"  # generation, a number
    spec = (
        field(1, field(1, "storage") + field(2, "1Gi")) + field(2, field(number, source)) + claim + field(5, "Retain")
    )
    whole = field(1, metadata) + field(2, spec) + field(3, field(1, "Bound"))
    return b"k8s\0" + field(1, field(1, "v1") + field(2, "PersistentVolume")) + field(2, whole)


CLAIM = field(4, field(1, "PersistentVolumeClaim") + field(2, "shop") + field(3, "data") + field(4, "uid"))
PLAIN = {"spec": {"capacity": {}, "local": {"path": "/mnt/a"}, "claimRef": {"namespace": "shop", "name": "data"}}}
VOLUMES = [
    (volume(3, field(1, "/srv/a") + field(2, "Directory")), "hostPath /srv/a"),
    (volume(5, field(1, "10.0.0.9") + field(2, "/srv") + b"\x18\x01", CLAIM), "nfs 10.0.0.9:/srv, of shop/data"),
    (volume(20, field(1, "/mnt/" + "d" * 300)), "local /mnt/" + "d" * 300),
    (volume(22, field(1, "ebs.csi.aws.com") + field(2, "vol-1"), CLAIM), "csi ebs.csi.aws.com, of shop/data"),
    (volume(6, field(1, "10.0.0.7:6789")), "rbd"),
    (json.dumps(PLAIN).encode(), "local /mnt/a, of shop/data"),
]


@pytest.mark.parametrize(("stored", "told"), VOLUMES)
def test_what_a_volume_is(stored: bytes, told: str) -> None:
    assert kind(stored) == told
    for length in range(len(stored)):
        assert kind(stored[:length]) in ("", told), "what is cut off says nothing else"


@pytest.mark.parametrize(
    "stored",
    [b"", b"x", b"k8s:enc:aesgcm:v1:key1:...", b"k8s\0", b"{}", b'{"spec": []}', volume(23, b""), volume(0, b"")],
)
def test_what_is_no_volume_says_nothing(stored: bytes) -> None:
    assert kind(stored) == ""


def test_kinds_are_those_of_kubectl() -> None:
    names = Names.of(KEYS)
    assert {(each, name) for each, found in names.kinds.items() for name in found} == set(KEYS.values())
    with pytest.raises(ValueError, match="compact_rev_key"):
        Names.of(["compact_rev_key"])


def test_a_list_as_it_lies_in_a_set() -> None:
    encoded = [base64.b64encode(each).decode() for each in (b"/registry/persistentvolumes/pv2", VOLUMES[1][0])]
    lines = ["/registry/persistentvolumes/pv1", "/registry/persistentvolumes/pv2", f"volume {' '.join(encoded)}"]
    read = Names.read(gzip.compress("\n".join(lines).encode()), "x")
    assert read.kinds == {"persistentvolumes": {"pv1", "pv2"}}
    assert read.told_volumes == ("pv1", "pv2 (nfs 10.0.0.9:/srv, of shop/data)")
    assert Names.read(gzip.compress(b""), "x") == Names()
    for wrong in (
        b"",
        b"plain",
        gzip.compress(b"a line"),
        gzip.compress(b"volume x y"),
        gzip.compress(b"\xff"),
        read_cut(),
    ):
        with pytest.raises(QuorateError, match="x: is no list of names"):
            Names.read(wrong, "x")


def read_cut() -> bytes:
    return gzip.compress(b"/registry/pods/a/b\n" * 100)[:-9]


def test_what_differs() -> None:
    pods = [f"/registry/pods/shop/web-{number}" for number in range(5)]
    then = Names.of([*pods, "/registry/secrets/shop/a", "/registry/events/shop/e1", "/registry/jobs/shop/j"])
    now = Names.of([*pods[:3], "/registry/pods/shop/new", "/registry/secrets/shop/a", "/registry/configmaps/shop/c"])
    assert list(compared(then, now)) == [
        Difference("pods", ("shop/web-3", "shop/web-4"), ("shop/new",)),
        Difference("configmaps", (), ("shop/c",)),
        Difference("jobs", ("shop/j",), ()),
    ]
    assert list(compared(then, then)) == []
