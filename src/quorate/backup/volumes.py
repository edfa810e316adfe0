"""What a persistent volume is, read from its object as it lies in etcd: what it holds is in no backup."""

import base64
import json
from collections.abc import Iterator
from typing import Any

SOURCES = (
    *("gcePersistentDisk", "awsElasticBlockStore", "hostPath", "glusterfs", "nfs", "rbd", "iscsi", "cinder", "cephfs"),
    *("fc", "flocker", "flexVolume", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk"),
    *("portworxVolume", "scaleIO", "local", "storageos", "csi"),
)
"""Kinds of volumes; the first has number 1 in `PersistentVolumeSource` of Kubernetes' generated.proto."""
WHERE = {
    "hostPath": ("path",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "local": ("path",),
    "csi": ("driver",),
}
"""What tells where it lies: the first fields of its message, in their order."""
_SPEC, _SOURCE, _CLAIM, _NAMESPACE, _NAME = 2, 2, 4, 2, 3
"""Numbers of fields: PersistentVolume.spec; persistentVolumeSource and claimRef in it; ObjectReference's."""
_PROTOBUF = b"k8s\0"
_RAW = 2
"""Number of the field of `Unknown` that has the object."""


def kind(stored: bytes) -> str:
    """`nfs 10.0.0.9:/srv, of shop/data`: kind, place and claim; nothing where that can't be read."""
    try:
        source, places, claim = _of_json(stored) if stored.startswith(b"{") else _of_protobuf(stored)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    told = f"{source} {':'.join(places)}".rstrip()
    return f"{told}, of {'/'.join(claim)}" if claim else told


Read = tuple[str, list[str], list[str]]
"""Kind, places, and namespace and name of the claim."""


def _of_json(stored: bytes) -> Read:
    spec: dict[str, Any] = json.loads(stored)["spec"]
    (source,) = (each for each in SOURCES if each in spec)
    claim = spec.get("claimRef", {})
    places = [str(spec[source][each]) for each in WHERE.get(source, ()) if each in spec[source]]
    return source, places, [str(claim[each]) for each in ("namespace", "name") if each in claim]


def _of_protobuf(stored: bytes) -> Read:
    if not stored.startswith(_PROTOBUF):
        raise ValueError("neither JSON nor Kubernetes' protobuf")
    spec = _fields(_fields(_fields(stored[len(_PROTOBUF) :])[_RAW])[_SPEC])
    ((number, content),) = _fields(spec[_SOURCE]).items()
    source, told, claim = dict(enumerate(SOURCES, 1))[number], _fields(content), _fields(spec.get(_CLAIM, b""))
    places = [told[each].decode() for each in range(1, len(WHERE.get(source, ())) + 1) if each in told]
    return source, places, [claim[each].decode() for each in (_NAMESPACE, _NAME) if each in claim]


def _fields(message: bytes) -> dict[int, bytes]:
    """The fields of a message that are texts or messages themselves, by number."""
    return dict(_walk(message))


def _walk(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, message[at : at + size]
                at += size
            case 5:
                at += 4
            case other:
                raise ValueError(f"wire type {other}")
    if at != len(message):
        raise ValueError("cut off")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not message[at - 1] & 0x80:
            return value, at


def decoded(key: str, value: str) -> tuple[str, str]:
    """Name and kind of a volume, from key and value as etcdctl writes them in JSON. Raises ValueError."""
    return base64.b64decode(key, validate=True).decode().rpartition("/")[2], kind(base64.b64decode(value))
