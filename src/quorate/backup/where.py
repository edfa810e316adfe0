"""All places of a cluster's backups, each with the client that it wants."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from quorate.backup.host_place import HostPlace
from quorate.backup.places import FolderPlace, Place, default_folder
from quorate.backup.s3_place import S3Place
from quorate.backup.ssh_place import SshPlace
from quorate.core import Transport
from quorate.spec.cluster import Cluster


def places(cluster: Cluster, local: Path) -> tuple[Place, ...]:
    """Where `quorate backup` brings them; the folder in which they are made comes first."""
    return tuple(_places(cluster, local))


def on_hosts(cluster: Cluster, via: Transport) -> tuple[Place, ...]:
    """The folders of etcd hosts, where they take backups by themselves."""
    there = cluster.members if cluster.backup.schedule else ()
    return tuple(HostPlace(host.name, cluster.backup.folder, via) for host in there)


def kept_short(cluster: Cluster, file: Path, there: Iterable[Place]) -> Iterator[Place]:
    """The places where `backup.keep` lets backups go: those of the file, where it has `keep` or a schedule; the folder
    beside it only when it has `keep`, and another folder, that an operator named, never.
    """
    given = cluster.backup
    written = "keep" in given.model_fields_set
    folders = {place.folder for place in given.places} | ({default_folder(file)} if written else set())
    for place in there if written or given.schedule else ():
        if not isinstance(place, FolderPlace) or place.folder in folders:
            yield place


def _places(cluster: Cluster, local: Path) -> Iterator[Place]:
    yield FolderPlace(local)
    for index, place in enumerate(cluster.backup.places):
        given = f"backup.places[{index}]"
        if place.folder is not None and place.folder != local:
            yield FolderPlace(place.folder)
        elif place.ssh is not None:
            yield SshPlace(place.ssh, f"{given}.ssh")
        elif place.s3 is not None:
            yield S3Place(place.s3, f"{given}.s3")
