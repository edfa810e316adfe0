"""Container images as archives, made without a container engine, byte for byte the same each time.

An archive is an OCI layout (image-spec: oci-layout, index.json, blobs), which `ctr images import` reads, and has a
manifest.json beside it, which `docker load` reads from Docker 20.10 on; both name the same blobs. Layers are not
compressed: the archive is, on its way.
"""

import hashlib
import io
import json
import re
import struct
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from quorate.core import ArtifactError

FORM = 1
"""Another number when `write` makes something else of the same image; for keys of caches."""

_EPOCH = "1970-01-01T00:00:00Z"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LOW_PORTS = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0).decode("ascii")
"""What `setcap cap_net_bind_service=+ep` writes: struct vfs_cap_data of version 2, effective (linux/capability.h)."""


@dataclass(frozen=True)
class Item:
    """One thing in a layer: a file where there is content, a symbolic link where there is a target, else a folder."""

    path: str
    content: bytes | Path | None = None
    target: str = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    """Numbers of user and group."""
    low_ports: bool = False
    """Whoever runs the program may listen on ports below 1024, as far as the container may."""


def directory(path: str, mode: int = 0o755) -> Item:
    """A folder of root's."""
    return Item(path, mode=mode)


@dataclass(frozen=True)
class Image:
    """An image: its layers, the lowest first, and how it is run."""

    arch: str
    """Go's name of the architecture: amd64, arm64."""
    layers: Sequence[Sequence[Item] | bytes]
    """As items, or as the archive that one is already."""
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""
    """Numbers as `user:group`; empty for root. Names would have to be looked up in the image."""
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    ports: Sequence[str] = ()
    """Ports that it serves, such as `53/udp`."""


def proper(names: Sequence[str]) -> list[str]:
    """The names of an image, each once and in order. Raises `ArtifactError` for what is no name with a tag."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][A-Za-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            raise ArtifactError(f"not the name of an image with a tag: {name}")
    return sorted(set(names))


def write(image: Image, names: Sequence[str], path: Path) -> None:
    """Write the archive of an image with these names (`registry.example/pause:3.2`), whole or not at all.

    Raises `ArtifactError` for what is no name with a tag.
    """
    write_all(dict.fromkeys(proper(names), image), path)


def write_all(images: Mapping[str, Image], path: Path) -> None:
    """Write one archive of several images by name; what they share is in it once. Raises as `write` does."""
    built = {id(image): _Built(image) for image in images.values()}
    names: dict[int, list[str]] = {}
    for name in proper(list(images)):
        names.setdefault(id(images[name]), []).append(name)
    index = [built[one].listed(tag) for one, tags in names.items() for tag in tags]
    docker = [built[one].for_docker(tags) for one, tags in names.items()]
    blobs = {blob.path: blob.content for one in built.values() for blob in one.blobs}
    part = path.with_name(f"{path.name}.part")
    with tarfile.open(part, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, Item("oci-layout", _json({"imageLayoutVersion": "1.0.0"})))
        _add(tar, Item("index.json", _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": index})))
        _add(tar, Item("manifest.json", _json(docker)))
        for each in ("blobs", "blobs/sha256"):
            _add(tar, directory(each))
        for name, content in blobs.items():
            _add(tar, Item(name, content))
    part.rename(path)


class _Built:
    """An image's blobs, and how they are listed."""

    def __init__(self, image: Image) -> None:
        self._arch = image.arch
        self._layers = [_Blob(_LAYER, one if isinstance(one, bytes) else _layer(one)) for one in image.layers]
        self._config = _Blob(_CONFIG, _json(_config(image, [layer.digest for layer in self._layers])))
        contents = {"config": self._config.descriptor, "layers": [layer.descriptor for layer in self._layers]}
        self._manifest = _Blob(_MANIFEST, _json({"schemaVersion": 2, "mediaType": _MANIFEST, **contents}))
        self.blobs = (self._config, self._manifest, *self._layers)

    def listed(self, tag: str) -> dict[str, object]:
        """Its entry under one name in the index."""
        platform = {"architecture": self._arch, "os": "linux"}
        return self._manifest.descriptor | {"platform": platform, "annotations": _notes(tag)}

    def for_docker(self, tags: Sequence[str]) -> dict[str, object]:
        """Its entry in manifest.json."""
        layers = [layer.path for layer in self._layers]
        return {"Config": self._config.path, "RepoTags": list(tags), "Layers": layers}


def layers_of(path: Path) -> list[bytes]:
    """The layers of an archive that `write` made, for another image on top of them."""
    with tarfile.open(path) as tar:

        def content(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None, f"{path}: {name} is no file"
            return file.read()

        return [content(name) for name in json.loads(content("manifest.json"))[0]["Layers"]]


def _notes(name: str) -> dict[str, str]:
    """The annotations by which an importer finds the name: containerd's own, and the specification's for the tag."""
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}


def _config(image: Image, layers: Sequence[str]) -> dict[str, object]:
    run: dict[str, object] = {
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.command),
        "User": image.user,
        "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
        "WorkingDir": image.workdir,
        "ExposedPorts": {port: {} for port in image.ports},
    }
    return {
        "architecture": image.arch,
        "os": "linux",
        "created": _EPOCH,
        "config": {name: value for name, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": list(layers)},
        "history": [{"created": _EPOCH, "created_by": "quorate"} for _ in layers],
    }


def _layer(items: Sequence[Item]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in items:
            _add(tar, item)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, item: Item) -> None:
    """Add an item, as old as time itself."""
    entry = tarfile.TarInfo(item.path)
    entry.mode = item.mode
    entry.uid, entry.gid = item.owner
    if item.target:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, item.target, 0o777
        tar.addfile(entry)
    elif item.content is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        if item.low_ports:
            entry.pax_headers = {"SCHILY.xattr.security.capability": _LOW_PORTS}
        content = item.content.read_bytes() if isinstance(item.content, Path) else item.content
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


@dataclass(frozen=True)
class _Blob:
    """A content, known by its digest."""

    kind: str
    content: bytes

    @cached_property
    def digest(self) -> str:
        """As descriptors write it."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def path(self) -> str:
        """Its place in an OCI layout."""
        return f"blobs/{self.digest.replace(':', '/')}"

    @property
    def descriptor(self) -> dict[str, object]:
        """How others refer to it."""
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
