"""Keys and certificates that lie on a host as files of their own."""

from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.pki import profiles
from quorate.resource.file import Directory, File
from quorate.resource.resource import Resource
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import ETCD_PKI, KUBERNETES, PKI

NAME = "trust"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.TOGETHER


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """The folders and every file of the certificate table that belongs on this host."""
    if host.has(Role.CONTROL_PLANE) or host.has(Role.WORKER):
        yield Directory(host=host.name, path=KUBERNETES, purge=True)
        yield Directory(host=host.name, path=PKI, purge=True)
    if host.has(Role.ETCD):
        yield Directory(host=host.name, path=ETCD_PKI.rpartition("/")[0], purge=True)
        yield Directory(host=host.name, path=ETCD_PKI, purge=True)
    for file in profiles.files(context.cluster, host):
        yield File(
            host=host.name,
            path=file.path,
            content=context.secrets.text(file.id),
            mode=file.mode,
            owner=file.owner,
            secret=file.secret,
        )
